/** Changes of who may see whom, for the processes that keep people watching: the only writer of `tie_changes`. */

import type { Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/**
 * Has every process ask the policy anew about these two, or about everybody with this one, before it tells anything of after
 * this transaction. Line 6 of the lock order.
 */
export async function markTie(tx: Tx, oneId: string, otherId: string | null): Promise<void> {
  await affected(tx, sql`insert into tie_changes (one_id, other_id) values (${oneId}::uuid, ${otherId}::uuid)`);
}

/** Of how many changes back one looks: more than there are in two seconds. */
const RECENT = 2_000;

/** Whether processes may not have asked anew yet about somebody and this person. From the end of the primary key, bounded. */
export async function selectIsUnsettled(on: Db, userId: string): Promise<boolean> {
  const found = await row<{ fresh: boolean }>(
    on,
    sql`select exists (
          select from (select one_id, other_id, created_at from tie_changes order by id desc limit ${RECENT}) t
          where t.created_at > now() - interval '2 seconds' and ${userId}::uuid in (t.one_id, t.other_id)
        ) as fresh`,
  );
  return found?.fresh === true;
}

/** They are read within a second; a process that could not read for a day has lost its database too. */
export async function deleteOldTies(on: Db): Promise<void> {
  await affected(on, sql`delete from tie_changes where created_at < now() - interval '1 day'`);
}
