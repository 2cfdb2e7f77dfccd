/** Lifting a restriction before its end, or before its start: one decision of a moderator. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { withdraw } from "./enact.ts";
import { lockParties } from "./parties.ts";
import { restrictionNotActive, restrictionNotFound } from "./restrictions.errors.ts";
import { isOverAt, type RestrictionRow } from "./restrictions.rows.ts";
import { databaseNow, findRestriction } from "./restrictions.sql.ts";

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
  const { actorId, restrictionId, note } = decision;
  const lifted = await inTx(
    deps.db,
    async (tx) => {
      const subjectId = (await findRestriction(tx, restrictionId))?.user_id;
      if (subjectId === undefined) throw new Problem(restrictionNotFound);
      await lockParties(tx, { actorId, subjectId });
      const now = await databaseNow(tx);
      const restriction = await findRestriction(tx, restrictionId);
      if (restriction === undefined) throw new Problem(restrictionNotFound);
      if (isOverAt(restriction, now)) throw new Problem(restrictionNotActive);
      return await withdraw(tx, { restriction, now, by: { actorId }, note });
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "restriction.lifted", userId: lifted.user_id, actorId, reason: lifted.reason });
  return lifted;
}
