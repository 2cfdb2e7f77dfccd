/** Blocks: the only writer of `blocks`. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import { START, type Place } from "./follow-lists.sql.ts";
import type { EdgeState, Pair } from "./follow.sql.ts";

/** What a block ended, seen from who blocked: the follow from them, and the one to them. */
export interface Cut {
  readonly follow: "requested" | "accepted" | null;
  readonly followed: "requested" | "accepted" | null;
}

/** What ends of an edge in this state. */
export function cutOf(state: EdgeState): "requested" | "accepted" | null {
  return state === "gone" ? null : state;
}

export async function insertBlock(tx: Tx, pair: Pair, cut: Cut): Promise<void> {
  await affected(
    tx,
    sql`insert into blocks (blocker_id, blocked_id, cut_follow, cut_followed)
        values (${pair.actorId}::uuid, ${pair.otherId}::uuid, ${cut.follow}, ${cut.followed})`,
  );
}

/** Takes the block away and tells what it had cut; nothing where there was none. */
export async function deleteBlock(tx: Tx, pair: Pair): Promise<Cut | undefined> {
  return await row<Cut>(
    tx,
    sql`delete from blocks where blocker_id = ${pair.actorId}::uuid and blocked_id = ${pair.otherId}::uuid
        returning cut_follow as follow, cut_followed as followed`,
  );
}

/** Somebody blocked, with as much as their blocker may know. */
export interface BlockedRow extends Place, Cut {
  readonly username: string;
  readonly display_name: string;
  readonly avatar_url: string | null;
  readonly created_at: Date;
}

/**
 * Whom somebody blocked, the newest first; served by blocks_newest. Who blocked them too, or has ended, is left out: this
 * list is no way to learn of them, and unblocking works without it.
 */
export async function selectBlocked(
  on: Db,
  { ownerId, after = START, limit }: { readonly ownerId: string; readonly after: Place | undefined; readonly limit: number },
): Promise<BlockedRow[]> {
  return await rows<BlockedRow>(
    on,
    sql`select b.blocked_id as id, (extract(epoch from b.created_at) * 1000000)::bigint::text as changed_us, b.created_at,
          b.cut_follow as follow, b.cut_followed as followed, u.username, u.display_name, u.avatar_url
        from blocks b
        join users u on u.id = b.blocked_id and u.status not in ('deactivated', 'erased')
        where b.blocker_id = ${ownerId}::uuid
          and (b.created_at, b.blocked_id)
            < (timestamptz 'epoch' + ${after.changed_us}::bigint * interval '1 microsecond', ${after.id}::uuid)
          and not exists (select from blocks back where back.blocker_id = b.blocked_id and back.blocked_id = b.blocker_id)
        order by b.created_at desc, b.blocked_id desc
        limit ${limit}`,
  );
}
