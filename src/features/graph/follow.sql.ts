/** Edges: what must be known before one changes, and the change. The only writer of `follows` and of new `count_deltas`. */

import type { Status } from "#src/features/accounts/public";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Role } from "#src/kernel/actor";

/** Who follows whom. */
export interface Edge {
  readonly followerId: string;
  readonly followeeId: string;
}

/** Both sides as they stand at this moment, and what is between them. */
export interface EdgeFacts {
  readonly follower_status: Status;
  readonly follower_limited: string[];
  readonly follower_roles: Role[];
  readonly followee_status: Status;
  readonly followee_limited: string[];
  readonly blocked: boolean;
  /** Null when there never was an edge. */
  readonly state: "requested" | "accepted" | "gone" | null;
  readonly edge_version: number | null;
}

/**
 * The facts of one edge, or nothing when either account is not there. Locks no row: the pair's lock keeps edge and blocks
 * as they are, and a followee's row must stay free. All by primary keys.
 */
export async function selectEdgeFacts(tx: Tx, edge: Edge): Promise<EdgeFacts | undefined> {
  return await row<EdgeFacts>(
    tx,
    sql`select own.status as follower_status, own.limited as follower_limited, u.roles as follower_roles,
          other.status as followee_status, other.limited as followee_limited,
          exists (select from blocks b where b.blocker_id = own.user_id and b.blocked_id = other.user_id)
            or exists (select from blocks b where b.blocker_id = other.user_id and b.blocked_id = own.user_id) as blocked,
          f.state, f.edge_version
        from users u
        join user_standings own on own.user_id = u.id
        join user_standings other on other.user_id = ${edge.followeeId}::uuid
        left join follows f on f.follower_id = u.id and f.followee_id = other.user_id
        where u.id = ${edge.followerId}::uuid`,
  );
}

/**
 * Writes the edge in its new state with the version its event tells, and appends +1 or -1 to both counters. Line 5 of the
 * lock order. Under the pair's lock, so the edge is as it was read; the deltas are appended, never added to a row that
 * others write too: a followee with a million followers is as quick to follow as one with none.
 */
export async function writeEdge(
  tx: Tx,
  edge: Edge,
  change: { readonly state: "accepted" | "gone"; readonly edgeVersion: number },
): Promise<void> {
  await affected(
    tx,
    sql`with edge as (
          insert into follows (follower_id, followee_id, state, edge_version)
          values (${edge.followerId}::uuid, ${edge.followeeId}::uuid, ${change.state}, ${change.edgeVersion})
          on conflict (follower_id, followee_id) do update set
            state = excluded.state, edge_version = excluded.edge_version, changed_at = now()
          returning follower_id, followee_id, case state when 'accepted' then 1 else -1 end as step
        )
        insert into count_deltas (user_id, followers, following)
        select followee_id, step, 0 from edge
        union all
        select follower_id, 0, step from edge`,
  );
}
