/** Lifting a restriction before its end, or before its start. */

import { appendAudit } from "#src/features/audit/public";
import { setStatus } from "#src/features/accounts/public";
import { announceChange } from "#src/features/sessions/public";
import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { noticeOver, tellRestored, tellWhyLifted } from "./announcements.ts";
import { lockParties } from "./parties.ts";
import { restrictionNotActive, restrictionNotFound } from "./restrictions.errors.ts";
import { stateAt, type RestrictionRow } from "./restrictions.rows.ts";
import { databaseNow, findRestriction, writeLift } from "./restrictions.sql.ts";

interface Needs {
  readonly db: Db;
  readonly log: Log;
}

export interface Lift {
  readonly actorId: string;
  readonly restrictionId: string;
  /** Why, for the record; not shown to the user. */
  readonly note: string;
}

/**
 * Lifts one restriction; others of the account still stand. Old sessions stay ended: `sessions_valid_from` never goes back.
 * @throws Problem `restriction.not_found`, `restriction.not_active`, `restriction.own_account`, `role.insufficient`
 */
export async function lift(deps: Needs, decision: Lift): Promise<RestrictionRow> {
  const lifted = await inTx(
    deps.db,
    async (tx) => {
      const subjectId = (await findRestriction(tx, decision.restrictionId))?.user_id;
      if (subjectId === undefined) throw new Problem(restrictionNotFound);
      await lockParties(tx, { actorId: decision.actorId, subjectId });
      const restriction = await write(tx, decision);
      const standing = await setStatus(tx, subjectId);
      await announceChange(tx, subjectId);
      await tellRestored(tx, restriction, standing);
      await tellWhyLifted(tx, restriction, decision.note);
      await record(tx, restriction, decision);
      // Of one that never began the user was told nothing.
      if (hadBegun(restriction)) await noticeOver(tx, restriction, "lifted");
      return restriction;
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "restriction.lifted", userId: lifted.user_id, actorId: decision.actorId, reason: lifted.reason });
  return lifted;
}

async function write(tx: Tx, decision: Lift): Promise<RestrictionRow> {
  const now = await databaseNow(tx);
  const restriction = await findRestriction(tx, decision.restrictionId);
  if (restriction === undefined) throw new Problem(restrictionNotFound);
  const state = stateAt(restriction, now);
  if (state === "lifted" || state === "ended") throw new Problem(restrictionNotActive);
  return await writeLift(tx, restriction.id, { lifted_at: now, lifted_by: decision.actorId, lift_note: decision.note });
}

function hadBegun(restriction: RestrictionRow): boolean {
  return restriction.lifted_at !== null && restriction.starts_at <= restriction.lifted_at;
}

async function record(tx: Tx, restriction: RestrictionRow, decision: Lift): Promise<void> {
  await appendAudit(tx, {
    actorId: decision.actorId,
    action: "restriction.lifted",
    subjectId: restriction.user_id,
    facts: { restrictionId: restriction.id, kind: restriction.kind, begun: hadBegun(restriction) },
    details: { note: decision.note },
  });
}
