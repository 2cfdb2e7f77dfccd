/** What sessions and their tokens are refused with. */

import { problem } from "#src/kernel/problem";

export const tokenMissing = problem("token.missing", 401, "An access token is needed");
export const tokenInvalid = problem("token.invalid", 401, "The access token is not valid");
export const tokenExpired = problem("token.expired", 401, "The access token has expired");
export const sessionRevoked = problem("session.revoked", 401, "The session has ended; sign in again");
export const sessionExpired = problem("session.expired", 401, "The session has expired; sign in again");
export const sessionNotFound = problem("session.not_found", 404, "There is no such session of yours");
export const accountRestricted = problem("account.restricted", 403, "The account is restricted");
export const accessDenied = problem("access.denied", 403, "This needs a role that the account does not have");
export const capabilityLimited = problem("capability.limited", 403, "A restriction of the account forbids this");
export const refreshInvalid = problem("refresh.invalid", 401, "The refresh token is not valid");
export const refreshReused = problem("refresh.reused", 401, "The refresh token had been used before; the session was ended to be safe");

/** What the gate may refuse an account's token with; every such route, field and event lists them. */
export const gateProblems = [
  tokenMissing,
  tokenInvalid,
  tokenExpired,
  sessionRevoked,
  sessionExpired,
  accountRestricted,
  accessDenied,
  capabilityLimited,
];
