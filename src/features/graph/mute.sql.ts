/** Mutes: the only writer of `mutes`. One that has reached its end is as none. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import { START, type Place } from "./follow-lists.sql.ts";
import type { Pair } from "./follow.sql.ts";

/** Until when, and whether notices and pushes are muted too. */
export interface Mute {
  readonly until: Date | null;
  readonly notifications: boolean;
}

export async function writeMute(tx: Tx, pair: Pair, mute: Mute): Promise<void> {
  await affected(
    tx,
    sql`insert into mutes (muter_id, muted_id, until, notifications)
        values (${pair.actorId}::uuid, ${pair.otherId}::uuid, ${mute.until}, ${mute.notifications})
        on conflict (muter_id, muted_id) do update set
          until = excluded.until, notifications = excluded.notifications, created_at = now()`,
  );
}

export async function deleteMute(tx: Tx, pair: Pair): Promise<boolean> {
  return (await affected(tx, sql`delete from mutes where muter_id = ${pair.actorId}::uuid and muted_id = ${pair.otherId}::uuid`)) > 0;
}

export async function deleteEndedMutes(on: Db): Promise<void> {
  await affected(on, sql`delete from mutes where until <= now()`);
}

export interface MutedRow extends Place, Mute {
  readonly created_at: Date;
}

/** Whom somebody muted, the newest first, as far as they may see them; served by mutes_newest. */
export async function selectMuted(
  on: Db,
  { ownerId, after = START, limit }: { readonly ownerId: string; readonly after: Place | undefined; readonly limit: number },
): Promise<MutedRow[]> {
  return await rows<MutedRow>(
    on,
    sql`select m.muted_id as id, (extract(epoch from m.created_at) * 1000000)::bigint::text as changed_us, m.created_at, m.until, m.notifications
        from mutes m
        where m.muter_id = ${ownerId}::uuid and (m.until is null or m.until > now())
          and (m.created_at, m.muted_id)
            < (timestamptz 'epoch' + ${after.changed_us}::bigint * interval '1 microsecond', ${after.id}::uuid)
          and (select p.shown from people_seen_by(${ownerId}::uuid, 'user') p where p.id = m.muted_id)
        order by m.created_at desc, m.muted_id desc
        limit ${limit}`,
  );
}

/** Whether somebody is to hear nothing of another: muted with notices, or blocked either way. Three probes of keys. */
export async function selectIsQuiet(on: Db | Tx, { actorId, otherId }: Pair): Promise<boolean> {
  const found = await row<{ quiet: boolean }>(
    on,
    sql`select exists (select from mutes m where m.muter_id = ${actorId}::uuid and m.muted_id = ${otherId}::uuid
            and m.notifications and (m.until is null or m.until > now()))
          or exists (select from blocks b where b.blocker_id = ${actorId}::uuid and b.blocked_id = ${otherId}::uuid)
          or exists (select from blocks b where b.blocker_id = ${otherId}::uuid and b.blocked_id = ${actorId}::uuid) as quiet`,
  );
  return found?.quiet === true;
}
