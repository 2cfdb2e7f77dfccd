/** Who follows someone, and whom they follow: ids of one page. */

import type { Db } from "#src/db/pool";
import { rows, sql } from "#src/db/sql";
import type { Viewer } from "#src/policy/decide";

/** One place in a list: microseconds since 1970 as text (a Date would lose three digits), and the id that breaks ties. */
export interface Place {
  readonly changed_us: string;
  readonly id: string;
}

/** What part of whose list, as seen by whom. */
export interface Slice {
  readonly ownerId: string;
  readonly viewer: Viewer;
  /** The last one shown; the list begins anew without it. */
  readonly after: Place | undefined;
  readonly limit: number;
}

// Before every row of a list that has the newest first.
export const START: Place = { changed_us: "9000000000000000", id: "ffffffff-ffff-ffff-ffff-ffffffffffff" };

/** The same part of the lists of several people. */
export interface Slices extends Omit<Slice, "ownerId"> {
  readonly ownerIds: readonly string[];
}

/** One row of somebody's list. */
export interface OwnedPlace extends Place {
  readonly owner_id: string;
}

/**
 * Newest first in each list. Served by follows_followers from the cursor on, so a page in the middle of a million costs what the
 * first does. The policy is asked row by row as a scalar subquery, not by a join, which the planner might turn into a hash of
 * all users.
 */
export async function selectFollowers(on: Db, { ownerIds, viewer, after = START, limit }: Slices): Promise<OwnedPlace[]> {
  return await rows<OwnedPlace>(
    on,
    sql`select owner.id as owner_id, page.id, (extract(epoch from page.changed_at) * 1000000)::bigint::text as changed_us
        from unnest(${ownerIds}::uuid[]) as owner (id)
        cross join lateral (
          select f.follower_id as id, f.changed_at
          from follows f
          where f.followee_id = owner.id and f.state = 'accepted'
            and (f.changed_at, f.follower_id)
              < (timestamptz 'epoch' + ${after.changed_us}::bigint * interval '1 microsecond', ${after.id}::uuid)
            and (select p.shown from people_seen_by(${viewer.userId}::uuid, ${viewer.role}) p where p.id = f.follower_id)
          order by f.changed_at desc, f.follower_id desc
          limit ${limit}
        ) page
        order by page.changed_at desc, page.id desc`,
  );
}

/** The same in the other direction; served by follows_following. */
export async function selectFollowing(on: Db, { ownerIds, viewer, after = START, limit }: Slices): Promise<OwnedPlace[]> {
  return await rows<OwnedPlace>(
    on,
    sql`select owner.id as owner_id, page.id, (extract(epoch from page.changed_at) * 1000000)::bigint::text as changed_us
        from unnest(${ownerIds}::uuid[]) as owner (id)
        cross join lateral (
          select f.followee_id as id, f.changed_at
          from follows f
          where f.follower_id = owner.id and f.state = 'accepted'
            and (f.changed_at, f.followee_id)
              < (timestamptz 'epoch' + ${after.changed_us}::bigint * interval '1 microsecond', ${after.id}::uuid)
            and (select p.shown from people_seen_by(${viewer.userId}::uuid, ${viewer.role}) p where p.id = f.followee_id)
          order by f.changed_at desc, f.followee_id desc
          limit ${limit}
        ) page
        order by page.changed_at desc, page.id desc`,
  );
}

/** Who waits to follow, the newest first; served by follows_requests. */
export async function selectRequests(on: Db, { ownerId, viewer, after = START, limit }: Slice): Promise<Place[]> {
  return await rows<Place>(
    on,
    sql`select f.follower_id as id, (extract(epoch from f.changed_at) * 1000000)::bigint::text as changed_us
        from follows f
        where f.followee_id = ${ownerId}::uuid and f.state = 'requested'
          and (f.changed_at, f.follower_id)
            < (timestamptz 'epoch' + ${after.changed_us}::bigint * interval '1 microsecond', ${after.id}::uuid)
          and (select p.shown from people_seen_by(${viewer.userId}::uuid, ${viewer.role}) p where p.id = f.follower_id)
        order by f.changed_at desc, f.follower_id desc
        limit ${limit}`,
  );
}
