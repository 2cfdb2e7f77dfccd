/** Reading and writing `revocations`. */

import type { OwnConnection } from "#src/db/own-connection";
import { affected, sql } from "#src/db/sql";
import type { Db } from "#src/db/pool";
import type { Tx } from "#src/db/tx";

/** The NOTIFY channel that hurries the feed. A hint: the poll finds what it missed. */
export const CHANNEL = "revocations";

/** Who must be forgotten, and why. `sessionId` of null means all of them. */
export interface Revocation {
  readonly subject: string;
  readonly sessionId: string | null;
  readonly reason: string;
}

/** How far a process has read: the snapshot of its last read, and which database that was. */
export interface FeedPosition {
  readonly epoch: string;
  readonly snapshot: string;
}

/**
 * The stored epoch names the database; system identifier and timeline tell a restored copy and a promoted standby from it,
 * since transaction ids mean nothing across those.
 */
export async function feedPosition(connection: OwnConnection): Promise<FeedPosition> {
  const [found] = await connection.query<FeedPosition>({
    text: `select concat_ws(':', e.epoch, s.system_identifier, c.timeline_id) as epoch, pg_current_snapshot()::text as snapshot
           from feed_epoch e, pg_control_system() s, pg_control_checkpoint() c`,
  });
  if (found === undefined) throw new Error("feed_epoch has no row");
  return found;
}

/**
 * Rows that are visible now and were not at the read before. Comparing snapshots, not ids, so a transaction that took its
 * number early and committed late is neither skipped nor told twice. Served by revocations_xact.
 */
export async function newRevocations(connection: OwnConnection, since: string): Promise<{ revocations: Revocation[]; snapshot: string }> {
  const found = await connection.query<{ snapshot: string; subject: string | null; session_id: string | null; reason: string | null }>({
    name: "feed",
    text: `select pg_current_snapshot()::text as snapshot, r.subject, r.session_id, r.reason
           from (values (1)) one
           left join revocations r
             on r.xact_id >= pg_snapshot_xmin($1::pg_snapshot) and not pg_visible_in_snapshot(r.xact_id, $1::pg_snapshot)
           order by r.id`,
    values: [since],
  });
  const snapshot = found[0]?.snapshot ?? since;
  const revocations = found.flatMap(({ subject, session_id: sessionId, reason }) =>
    subject === null || reason === null ? [] : [{ subject, sessionId, reason }],
  );
  return { revocations, snapshot };
}

/** Tells every process, in the transaction of what it tells. Line 6 of the lock order. */
export async function insertRevocation(tx: Tx, revocation: Revocation): Promise<void> {
  await affected(
    tx,
    sql`with told as (
          insert into revocations (subject, session_id, reason)
          values (${revocation.subject}::uuid, ${revocation.sessionId}::uuid, ${revocation.reason})
        )
        select pg_notify(${CHANNEL}, '')`,
  );
}

/** Sweeps away up to 1,000 rows that every process has long read: they are kept for 24 h. */
export async function deleteOldRevocations(db: Db): Promise<number> {
  return await affected(
    db,
    sql`delete from revocations where id in (
          select id from revocations where created_at < now() - interval '24 hours' order by created_at limit 1000
        )`,
  );
}
