/** What registering and signing in are refused with. */

import { problem } from "#src/kernel/problem";

export const credentialsInvalid = problem("credentials.invalid", 401, "The name or password is not right");
export const passwordUnsuitable = problem("password.unsuitable", 400, "The password is too easy to guess");
export const hashingBusy = problem("sign_in.busy", 503, "Too many people are signing in just now");
export const passwordWrong = problem("password.wrong", 403, "The current password is not right");
export const passwordMustChange = problem(
  "password.must_change",
  401,
  "The password is right, and somebody else knows it: set one of your own first",
);
export const mfaRequired = problem("mfa.required", 401, "The password is right; a second factor is needed as well");
export const mfaEnrolmentRequired = problem(
  "mfa.enrolment_required",
  401,
  "The password is right; this account's role must add a second factor first",
);
export const mfaChallengeInvalid = problem(
  "mfa.challenge_invalid",
  401,
  "The challenge was used, has ended or had its tries; sign in again",
);
export const emailSignInOff = problem("email_sign_in.off", 403, "Signing in by mail is not offered here");
export const identityUnknown = problem("identity.unknown", 403, "No account is linked to that identity; sign in, and link it");
export const identityAddressMissing = problem(
  "identity.address_missing",
  403,
  "The provider tells no e-mail address that an account could have; register here, and link the identity",
);
export const identityAddressUnproved = problem(
  "identity.address_unproved",
  403,
  "The provider has not made sure of the e-mail address; register here, and link the identity",
);
export const identityAddressTaken = problem(
  "identity.address_taken",
  409,
  "An account has that e-mail address; sign in to it, and link the identity",
);
