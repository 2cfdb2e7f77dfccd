/** Receipts that are not believed: the event is published once more instead. */

import type { Db } from "#src/db/pool";
import { rows, sql } from "#src/db/sql";

/**
 * Makes those of these events due that were last claimed before receipts went on and longer ago than `lateSeconds`.
 * A claim says until when it holds; its beginning follows from that.
 * @returns their ids; all others are as they were
 */
export async function doubtReceipts(
  db: Db,
  ids: readonly string[],
  {
    resumedSecondsAgo,
    lateSeconds,
    leaseSeconds,
  }: { readonly resumedSecondsAgo: number; readonly lateSeconds: number; readonly leaseSeconds: number },
): Promise<readonly string[]> {
  const found = await rows<{ id: string }>(
    db,
    // Published five times, it is believed whatever its receipt is like: a slow consumer must not keep it for ever.
    sql`update outbox set due_at = now()
        where id = any (${ids}::uuid[]) and isfinite(done_at) is not true and isfinite(due_at) and attempts between 1 and 4
          and due_at - make_interval(secs => ${leaseSeconds}::float8 * 2 ^ (attempts - 1))
            < now() - make_interval(secs => greatest(${resumedSecondsAgo}::float8, ${lateSeconds}::float8))
        returning id`,
  );
  return found.map(({ id }) => id);
}
