/** What the restrictions feature refuses with. */

import { problem } from "#src/kernel/problem";

export const restrictionNotFound = problem("restriction.not_found", 404, "There is no such restriction");
export const restrictionNotActive = problem("restriction.not_active", 409, "The restriction has ended or was lifted already");
export const restrictionOwnAccount = problem("restriction.own_account", 403, "Nobody decides about their own account");
export const roleInsufficient = problem("role.insufficient", 403, "Your role does not allow you to act on this account");
