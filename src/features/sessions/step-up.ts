/** Fresh sessions: sensitive changes want that their owner proved who they are a short while ago, not only that a device is open. */

import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import { Problem } from "#src/kernel/problem";
import { stepUpRequired } from "./sessions.errors.ts";

/** DESIGN §5. */
const FRESH_SECONDS = 10 * 60;

/** @throws Problem `step_up.required` when the session began, or was stepped up, longer ago than ten minutes; an impersonation is never fresh */
export async function requireFresh(tx: Tx, sessionId: string): Promise<void> {
  const found = await row(
    tx,
    sql`select 1 from sessions
        where id = ${sessionId}::uuid and impersonator_id is null
          and coalesce(authenticated_at, created_at) > now() - make_interval(secs => ${FRESH_SECONDS})`,
  );
  if (found === undefined) throw new Problem(stepUpRequired);
}

/** Notes that its owner has just proved who they are. Line 4 of the lock order. */
export async function markAuthenticated(tx: Tx, sessionId: string): Promise<void> {
  await affected(
    tx,
    sql`update sessions set authenticated_at = clock_timestamp() where id = ${sessionId}::uuid and impersonator_id is null`,
  );
}
