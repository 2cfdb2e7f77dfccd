/** The end of one incarnation of a declaration, and of what it imposed. */

import { appendAudit } from "#src/features/audit/public";
import type { Tx } from "#src/db/tx";
import type { SecurityEvent } from "#src/kernel/log";
import { firstEnforced, type Declared } from "./declared.rows.ts";
import { writeEnd } from "./declared.sql.ts";
import { withdraw } from "./enact.ts";
import { isOverAt, type RestrictionRow } from "./restrictions.rows.ts";
import { databaseNow, findRestriction } from "./restrictions.sql.ts";

/** How it ends. */
export interface Ending {
  readonly how: "lifted" | "kept";
  readonly note: string;
  /** For the audit log: whose wish this is. */
  readonly facts: NonNullable<Parameters<typeof appendAudit>[1]["facts"]>;
}

/**
 * Lifts or keeps what an incarnation imposed and marks it ended. The caller holds the declaration and the account, and
 * has read `declared` under both.
 * @returns what to tell the security stream after the commit
 */
export async function endIncarnation(tx: Tx, declared: Declared, ending: Ending): Promise<SecurityEvent[]> {
  const now = await databaseNow(tx);
  const standing = await standingOf(tx, declared, now);
  await markEnded(tx, declared, ending.how);
  if (standing === undefined) return [];
  const { how, note, facts } = ending;
  if (how === "lifted") {
    await withdraw(tx, { restriction: standing, now, by: { actorId: null, facts }, note });
    return [{ kind: "restriction.lifted", userId: standing.user_id, reason: standing.reason }];
  }
  await appendAudit(tx, {
    actorId: null,
    action: "restriction.kept",
    subjectId: standing.user_id,
    facts: { restrictionId: standing.id, kind: standing.kind, ...facts },
    details: { note },
  });
  return [];
}

/** Marks it ended without touching what it imposed. */
export async function markEnded(tx: Tx, declared: Declared, how: "lifted" | "kept"): Promise<void> {
  await writeEnd(tx, {
    source: declared.source,
    externalId: declared.external_id,
    uid: declared.uid,
    generation: declared.generation,
    createdAt: declared.object_created_at,
    how,
    firstEnforcedAt: firstEnforced(declared),
  });
}

/** The restriction it imposed, if that stands or is planned. */
export async function standingOf(tx: Tx, declared: Declared | undefined, now: Date): Promise<RestrictionRow | undefined> {
  const restriction = await imposedBy(tx, declared);
  return restriction === undefined || isOverAt(restriction, now) ? undefined : restriction;
}

/** The restriction it imposed, whatever has become of it. */
export async function imposedBy(tx: Tx, declared: Declared | undefined): Promise<RestrictionRow | undefined> {
  const id = declared?.restriction_id ?? null;
  return id === null ? undefined : await findRestriction(tx, id);
}
