/** Counters: the folded base plus what is not folded yet. */

import type { Db } from "#src/db/pool";
import { row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** How many follow someone, and how many they follow. */
export interface Counts {
  readonly followersCount: number;
  readonly followingCount: number;
}

/** Exact counters of many people in one statement, also while a fold runs: base and deltas are read under one snapshot. */
export async function countsOf(on: Db | Tx, ids: readonly string[]): Promise<ReadonlyMap<string, Counts>> {
  const found = await rows<{ id: string; followers: number; following: number }>(
    on,
    sql`select person.id, t.followers, t.following
        from unnest(${ids}::uuid[]) as person (id)
        cross join lateral follow_totals(person.id) t`,
  );
  return new Map(found.map((one) => [one.id, { followersCount: one.followers, followingCount: one.following }]));
}

/** Counters as a viewer may be told them: null where more people block the viewer than follow_totals_seen_by looks at. */
export type ShownCounts = { readonly [Count in keyof Counts]: number | null };

/** The same as a viewer sees them: without those who block the viewer. */
export async function countsSeenBy(on: Db | Tx, viewerId: string, ids: readonly string[]): Promise<ReadonlyMap<string, ShownCounts>> {
  const found = await rows<{ id: string; followers: number | null; following: number | null }>(
    on,
    sql`select person.id, t.followers, t.following
        from unnest(${ids}::uuid[]) as person (id)
        cross join lateral follow_totals_seen_by(${viewerId}::uuid, person.id) t`,
  );
  return new Map(found.map((one) => [one.id, { followersCount: one.followers, followingCount: one.following }]));
}

/**
 * Moves up to `limit` deltas into the bases and tells how many, in one statement. Folders at once skip each other's deltas
 * and write the bases in order of their ids, so they neither wait in a circle nor count twice. Nothing else writes a base.
 */
export async function foldDeltas(on: Db, limit: number): Promise<number> {
  const folded = await row<{ folded: number }>(
    on,
    sql`with taken as (
          delete from count_deltas where id in (select id from count_deltas order by id limit ${limit} for update skip locked)
          returning user_id, followers, following
        ), sums as (
          select user_id, sum(followers) as followers, sum(following) as following from taken group by user_id order by user_id
        ), moved as (
          insert into follow_counts as c (user_id, followers_count, following_count)
          select user_id, followers, following from sums order by user_id
          on conflict (user_id) do update set
            followers_count = c.followers_count + excluded.followers_count,
            following_count = c.following_count + excluded.following_count
        )
        select count(*) as folded from taken`,
  );
  return folded?.folded ?? 0;
}
