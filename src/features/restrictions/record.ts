/** What moderators see of one account. */

import { userFacts, userNotFound, type UserFacts } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import { Problem } from "#src/kernel/problem";
import type { RestrictionRow } from "./restrictions.rows.ts";
import { databaseNow, selectPast, selectStanding, selectStatus, type StandingRow } from "./restrictions.sql.ts";

interface Needs {
  readonly db: Db;
}

/** An account with its restrictions, as of `at` (the database's time). */
export interface ModerationRecord {
  readonly user: UserFacts;
  readonly standing: StandingRow;
  /** In force or planned, the soonest first. */
  readonly restrictions: readonly RestrictionRow[];
  /** Ended or lifted, the newest first, 100 at most. */
  readonly history: readonly RestrictionRow[];
  readonly at: Date;
}

const HISTORY = 100;

/** @throws Problem `user.not_found` */
export async function moderationRecord(deps: Needs, userId: string): Promise<ModerationRecord> {
  const at = await databaseNow(deps.db);
  const [[user], standing, restrictions, history] = await Promise.all([
    userFacts(deps.db, [userId]),
    selectStatus(deps.db, userId),
    selectStanding(deps.db, userId),
    selectPast(deps.db, userId, HISTORY),
  ]);
  if (user === undefined || standing === undefined) throw new Problem(userNotFound);
  return { user, standing, restrictions, history, at };
}
