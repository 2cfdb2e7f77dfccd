/** How long what this feature gives out counts (DESIGN §5). */

/** Of an access token. */
export const ACCESS_TOKEN_SECONDS = 15 * 60;

/** No session, and with it no refresh token, lives longer, whatever SESSION_ABSOLUTE_DAYS says. */
export const SESSION_SECONDS = 400 * 24 * 60 * 60;
