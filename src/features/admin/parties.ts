/** Who administers whom, held still until it is done. */

import { appendAudit } from "#src/features/audit/public";
import { lockFacts, userNotFound, type UserFacts } from "#src/features/accounts/public";
import { roleInsufficient } from "#src/features/restrictions/public";
import { requireFresh } from "#src/features/sessions/public";
import { lockSubject } from "#src/events/append";
import type { Tx } from "#src/db/tx";
import { hasRole, topRole, type Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { ownAccount } from "./admin.errors.ts";

/** An admin with a session, or somebody at the terminal of a machine that holds the database's password. */
export type Administrator = Pick<Actor, "userId" | "sessionId"> | "operator";

/** One change and why. */
export interface Change {
  readonly by: Administrator;
  readonly userId: string;
  /** For the audit log. */
  readonly reason: string;
}

/**
 * Locks the account (lines 2 and 3 of the lock order) and whoever changes it, and looks at roles and freshness again.
 * @throws Problem `user.not_found`, `role.insufficient`, `admin.own_account`, `step_up.required`
 */
export async function lockTarget(tx: Tx, { by, userId }: Change): Promise<UserFacts> {
  await lockSubject(tx, userId);
  const actorId = by === "operator" ? undefined : by.userId;
  if (actorId === userId) throw new Problem(ownAccount);
  const facts = new Map<string, UserFacts | undefined>();
  for (const id of [...(actorId === undefined ? [] : [actorId]), userId].sort()) facts.set(id, await lockFacts(tx, id));
  const target = facts.get(userId);
  if (by !== "operator") {
    const actor = facts.get(by.userId);
    if (actor === undefined || actor.status !== "active" || !hasRole(topRole(actor.roles), "admin")) throw new Problem(roleInsufficient);
    await requireFresh(tx, by.sessionId);
    if (target !== undefined && hasRole(topRole(target.roles), "admin")) throw new Problem(roleInsufficient);
  }
  if (target === undefined) throw new Problem(userNotFound);
  return target;
}

/** Puts a change on record. */
export async function record(
  tx: Tx,
  { by, userId, reason }: Change,
  action: `account.${Lowercase<string>}`,
  facts: Readonly<Record<string, string | number | readonly string[]>> = {},
): Promise<void> {
  await appendAudit(tx, {
    actorId: by === "operator" ? null : by.userId,
    action,
    subjectId: userId,
    facts: { ...facts, by: by === "operator" ? "operator" : "admin" },
    details: { reason },
  });
}
