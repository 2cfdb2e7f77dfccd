/** What second factors are refused with. */

import { problem } from "#src/kernel/problem";

export const totpExists = problem("totp.exists", 409, "The account has an authenticator app already; remove it first");
export const totpNotFound = problem("totp.not_found", 404, "The account has no authenticator app");
export const factorCodeWrong = problem("mfa.code_wrong", 403, "The code is not right, or was used already");

/** Tries at any proof of who somebody is; the codes of a factor are the first of them. */
export const signInThrottled = problem("sign_in.throttled", 429, "Too many attempts; try again later");

export const passkeyInvalid = problem(
  "passkey.invalid",
  400,
  "This is no answer of a passkey that is known here: not whole, for another site or question, not verified, or signed wrongly",
);
export const passkeyChallengeInvalid = problem(
  "passkey.challenge_invalid",
  400,
  "The passkey's challenge was used, has ended, or was made for something else; ask for options again",
);
export const passkeyNotFound = problem("passkey.not_found", 404, "The account has no such passkey");
export const passkeyLast = problem("passkey.last_way_in", 409, "Nothing else signs in to the account: set a password first");
export const passkeyExists = problem("passkey.exists", 409, "This passkey was added already");
export const passkeyTooMany = problem("passkey.too_many", 409, "The account has as many passkeys as it may have; remove one first");
