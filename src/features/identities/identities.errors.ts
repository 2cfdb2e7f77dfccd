/** What signing in through other providers, and linking them, is refused with. */

import { problem } from "#src/kernel/problem";

export const providerNotFound = problem("oidc.provider_not_found", 404, "There is no such provider to sign in through");
export const providerAway = problem("oidc.provider_away", 503, "The provider does not answer as it should just now");
export const redirectRefused = problem("oidc.redirect_refused", 400, "That page is not one that the provider may send people back to");
export const stateInvalid = problem(
  "oidc.state_invalid",
  400,
  "This sign-in was completed already, has ended, or was begun elsewhere; begin again",
);
export const providerDenied = problem("oidc.denied", 400, "The provider did not sign anybody in");
export const responseRefused = problem("oidc.response_refused", 400, "The provider's response is not one to trust; begin again");
export const identityNotFound = problem("identity.not_found", 404, "There is no such identity of yours");
export const identityTaken = problem("identity.taken", 409, "That identity is linked to an account already");
export const identityTooMany = problem("identity.too_many", 409, "The account has as many identities as it may have");
export const identityLast = problem(
  "identity.last_way_in",
  409,
  "Nothing else signs in to the account: set a password or add a passkey first",
);
