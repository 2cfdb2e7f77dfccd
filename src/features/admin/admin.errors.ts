/** What administration refuses with. */

import { problem } from "#src/kernel/problem";

export const lastAdmin = problem("admin.last", 409, "This is the last admin who can sign in; make another one first");
export const ownAccount = problem("admin.own_account", 403, "Nobody administers their own account");
export const impersonationUnavailable = problem("impersonation.unavailable", 409, "Only an account in good standing can be impersonated");
export const impersonationTooOften = problem("impersonation.too_often", 429, "You have impersonated often enough for an hour");
export const impersonationNotFound = problem("impersonation.not_found", 404, "There is no such impersonation that stands");
