/** What one-time tokens are for, and how long each is good for. */

const HOUR = 60 * 60;

/** Seconds until each kind ends. */
export const LIFETIME_SECONDS = {
  /** Makes the account that was asked for (REGISTRATION=verified). */
  registration: 24 * HOUR,
  /** Proves that an account's address is its owner's. */
  address: 24 * HOUR,
  password_reset: HOUR,
  /** Not mailed: stands for a password that was right and must be changed, until there is another. */
  password_change: HOUR / 4,
  /** The first password of an account that somebody else has made. */
  invitation: 7 * 24 * HOUR,
  /** Signs in, where that is offered. */
  sign_in: HOUR / 6,
  address_change: 24 * HOUR,
  /** Takes a change of address back. */
  address_undo: 7 * 24 * HOUR,
  /** Not mailed: stands for a password that was right, until a second factor is proved. */
  mfa_challenge: HOUR / 12,
  /** Likewise, for an account that must add a second factor first. */
  mfa_enrolment: HOUR / 4,
  /** Not mailed: what an authenticator signs to become a passkey of one account, asked for in one session. */
  passkey_registration: HOUR / 12,
  /** Likewise, to sign in: nobody's yet. */
  passkey_login: HOUR / 12,
  /** Not mailed: the `state` of a sign-in through another provider, while its page is open. Nobody's yet. */
  oidc_sign_in: HOUR / 6,
  /** Likewise, to link an identity to one account, asked for in one session. */
  oidc_link: HOUR / 6,
  /** Likewise, to prove once more who somebody is in one session. */
  step_up: HOUR / 12,
} as const;

export type Purpose = keyof typeof LIFETIME_SECONDS;
