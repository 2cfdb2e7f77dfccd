/** Who decides about whom, held still until the decision is made. */

import { lockFacts, userNotFound, type UserFacts } from "#src/features/accounts/public";
import type { Tx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { hasRole, outranks, topRole } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { restrictionOwnAccount, roleInsufficient, staffTarget } from "./restrictions.errors.ts";

interface Parties {
  readonly actorId: string;
  readonly subjectId: string;
}

/**
 * Locks the subject's version row (line 2 of the lock order) and both accounts by id (line 3), and looks at their roles
 * again: whoever was demoted or restricted since the gate let them in decides nothing.
 * @throws Problem `user.not_found`, `restriction.own_account`, `role.insufficient`
 */
export async function lockParties(tx: Tx, { actorId, subjectId }: Parties): Promise<UserFacts> {
  if (actorId === subjectId) throw new Problem(restrictionOwnAccount);
  await lockSubject(tx, subjectId);
  const facts = new Map<string, UserFacts>();
  for (const id of [actorId, subjectId].sort()) {
    const found = await lockFacts(tx, id);
    if (found !== undefined) facts.set(id, found);
  }
  const actor = facts.get(actorId);
  const subject = facts.get(subjectId);
  if (subject === undefined) throw new Problem(userNotFound);
  if (actor === undefined || !mayDecide(actor, subject)) throw new Problem(roleInsufficient);
  return subject;
}

/** Admins are restricted by the CLI only, which follows from this: nobody outranks them. */
function mayDecide(actor: UserFacts, subject: UserFacts): boolean {
  const role = topRole(actor.roles);
  return actor.status === "active" && hasRole(role, "moderator") && outranks(role, topRole(subject.roles));
}

/**
 * For decisions that no user of ours makes: locks the version rows of these accounts (line 2), then the accounts
 * themselves (line 3), each by id. Absent ones are left out.
 */
export async function lockAccounts(tx: Tx, ids: readonly string[]): Promise<ReadonlyMap<string, UserFacts>> {
  const inOrder = [...new Set(ids)].sort();
  // Sent together; a connection runs them in this order.
  const versions = inOrder.map((id) => lockSubject(tx, id));
  const accounts = inOrder.map((id) => lockFacts(tx, id));
  await Promise.all(versions);
  const found = (await Promise.all(accounts)).flatMap((facts) => facts ?? []);
  return new Map(found.map((facts) => [facts.id, facts]));
}

/** @throws Problem `restriction.staff_target` for an admin, and for a moderator unless that is allowed */
export function refuseStaff(subject: UserFacts, staffAllowed: boolean): void {
  const role = topRole(subject.roles);
  if (hasRole(role, "admin")) throw new Problem(staffTarget, { detail: "Admins are not restricted this way" });
  if (hasRole(role, "moderator") && !staffAllowed) throw new Problem(staffTarget, { detail: "The account has the role moderator" });
}
