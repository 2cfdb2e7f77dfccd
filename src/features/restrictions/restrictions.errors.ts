/** What the restrictions feature refuses with. */

import { problem } from "#src/kernel/problem";

export const restrictionNotFound = problem("restriction.not_found", 404, "There is no such restriction");
export const restrictionNotActive = problem("restriction.not_active", 409, "The restriction has ended or was lifted already");
export const restrictionOwnAccount = problem("restriction.own_account", 403, "Nobody decides about their own account");
export const roleInsufficient = problem("role.insufficient", 403, "Your role does not allow you to act on this account");
export const staffTarget = problem("restriction.staff_target", 403, "An account with a staff role is not restricted this way");
export const restrictionConflict = problem("restriction.conflict", 409, "Another declaration restricts that account");
export const restrictionSuperseded = problem("restriction.superseded", 409, "A later version of the declaration, or its end, is known");
export const foreignSource = problem("restriction.foreign_source", 403, "That source is not of this app");
