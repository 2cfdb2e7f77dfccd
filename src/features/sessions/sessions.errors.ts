/** What sessions and their tokens are refused with. */

import { problem } from "#src/kernel/problem";

export const tokenMissing = problem("token.missing", 401, "An access token is needed");
export const tokenInvalid = problem("token.invalid", 401, "The access token is not valid");
export const tokenExpired = problem("token.expired", 401, "The access token has expired");
export const sessionRevoked = problem("session.revoked", 401, "The session has ended; sign in again");
export const sessionExpired = problem("session.expired", 401, "The session has expired; sign in again");
export const sessionNotFound = problem("session.not_found", 404, "There is no such session of yours");
export const trustedDeviceNotFound = problem("trusted_device.not_found", 404, "There is no such trusted device of yours");
export const accountRestricted = problem("account.restricted", 403, "The account is restricted");
export const accessDenied = problem("access.denied", 403, "This needs a role that the account does not have");
export const capabilityLimited = problem("capability.limited", 403, "A restriction of the account forbids this");
export const impersonationRefused = problem("impersonation.refused", 403, "This is not done in somebody else's place");
export const refreshInvalid = problem("refresh.invalid", 401, "The refresh token is not valid");
export const refreshReused = problem("refresh.reused", 401, "The refresh token had been used before; the session was ended to be safe");
export const csrfRefused = problem("csrf.refused", 403, "The cookie did not come from a page that may use it, with its X-CSRF-Token");
export const stepUpRequired = problem(
  "step_up.required",
  403,
  "Prove once more who you are: this change wants a sign-in of the last ten minutes",
);

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
  impersonationRefused,
];
