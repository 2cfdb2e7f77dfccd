/** What profiles refuse with, and how the policy's refusals are told: the same words on every door of the social features. */

import { userNotFound } from "#src/features/accounts/public";
import { accountRestricted, capabilityLimited } from "#src/features/sessions/public";
import { Problem, problem, type ProblemType } from "#src/kernel/problem";
import type { Decision, Refusal } from "#src/policy/decide";

export const userUnavailable = problem("user.unavailable", 409, "This account is not available at present");
export const userPrivate = problem("user.private", 403, "They do not show this to you");
export const userIsStaff = problem("user.is_staff", 403, "Staff cannot be blocked; mute them, or write to an admin");

/**
 * @param self what acting on oneself is told as, where that is senseless
 * @throws Problem `user.not_found`, `user.unavailable`, `user.private`, `user.is_staff`, `account.restricted`, `capability.limited` or `self` unless the decision allows
 */
export function refuse(decision: Decision, self: ProblemType = userNotFound): void {
  const refusal = refusalOf(decision, self);
  if (refusal !== undefined) throw refusal;
}

/** What `refuse` throws; undefined where the decision allows. */
export function refusalOf(decision: Decision, self: ProblemType = userNotFound): Problem | undefined {
  return decision === "allow" ? undefined : new Problem(problemFor(decision.refuse, self));
}

function problemFor(refusal: Refusal, self: ProblemType): ProblemType {
  switch (refusal) {
    case "hidden":
    case "unlisted":
      return userNotFound;
    case "unavailable":
      return userUnavailable;
    case "private":
      return userPrivate;
    case "staff":
      return userIsStaff;
    case "restricted":
      return accountRestricted;
    case "limited":
      return capabilityLimited;
    case "self":
      return self;
  }
}
