/** Edges: what must be known before one changes, and the change. The only writer of `follows` and of new `count_deltas`. */

import type { Status } from "#src/features/accounts/public";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Role } from "#src/kernel/actor";
import { PRESETS, type Privacy } from "#src/policy/privacy";

/** Who follows whom. */
export interface Edge {
  readonly followerId: string;
  readonly followeeId: string;
}

/** Who acts, on whom. */
export interface Pair {
  readonly actorId: string;
  readonly otherId: string;
}

/** Null when there never was an edge. */
export type EdgeState = "requested" | "accepted" | "gone" | null;

/** Both sides as they stand at this moment, and what is between them. */
export interface PairFacts {
  readonly own_status: Status;
  readonly own_limited: string[];
  readonly own_roles: Role[];
  readonly other_status: Status;
  readonly other_limited: string[];
  readonly other_roles: Role[];
  readonly other_privacy: Privacy;
  readonly own_privacy: Privacy;
  /** Either blocked the other. */
  readonly blocked: boolean;
  /** Who acts did. */
  readonly blocking: boolean;
  /** The edge from who acts, and its version. */
  readonly out_state: EdgeState;
  readonly out_version: number;
  /** The edge to who acts. */
  readonly in_state: EdgeState;
  readonly in_version: number;
}

/** As the database gives them: who never set anything has no settings there. */
type StoredFacts = Omit<PairFacts, "other_privacy" | "own_privacy"> & {
  readonly other_privacy: Privacy | null;
  readonly own_privacy: Privacy | null;
};

/**
 * The facts of one pair, or nothing when either account is not there. Locks no row: the pair's lock keeps edges and blocks
 * as they are, and a followee's row must stay free. All by primary keys.
 */
export async function selectPairFacts(tx: Tx, pair: Pair): Promise<PairFacts | undefined> {
  const facts = await row<StoredFacts>(
    tx,
    sql`select own.status as own_status, own.limited as own_limited, u.roles as own_roles,
          other.status as other_status, other.limited as other_limited, o.roles as other_roles,
          privacy_of(op) as own_privacy, privacy_of(ps) as other_privacy,
          exists (select from blocks b where b.blocker_id = u.id and b.blocked_id = o.id) as blocking,
          exists (select from blocks b where b.blocker_id = u.id and b.blocked_id = o.id)
            or exists (select from blocks b where b.blocker_id = o.id and b.blocked_id = u.id) as blocked,
          outward.state as out_state, coalesce(outward.edge_version, 0) as out_version,
          inward.state as in_state, coalesce(inward.edge_version, 0) as in_version
        from users u
        join users o on o.id = ${pair.otherId}::uuid
        join user_standings own on own.user_id = u.id
        join user_standings other on other.user_id = o.id
        left join privacy_settings op on op.user_id = u.id
        left join privacy_settings ps on ps.user_id = o.id
        left join follows outward on outward.follower_id = u.id and outward.followee_id = o.id
        left join follows inward on inward.follower_id = o.id and inward.followee_id = u.id
        where u.id = ${pair.actorId}::uuid`,
  );
  if (facts === undefined) return undefined;
  return { ...facts, other_privacy: facts.other_privacy ?? PRESETS.open, own_privacy: facts.own_privacy ?? PRESETS.open };
}

/**
 * Writes the edge in its new state with the version its event tells, and appends what that is to both counters, which count
 * accepted edges only. Line 5 of the lock order. Under the pair's lock, so the edge is as it was read; the deltas are
 * appended, never added to a row that others write too: a followee with a million followers is as quick to follow as one
 * with none.
 */
export async function writeEdge(
  tx: Tx,
  edge: Edge,
  change: { readonly state: "requested" | "accepted" | "gone"; readonly edgeVersion: number; readonly step: -1 | 0 | 1 },
): Promise<void> {
  await affected(
    tx,
    sql`with edge as (
          insert into follows (follower_id, followee_id, state, edge_version)
          values (${edge.followerId}::uuid, ${edge.followeeId}::uuid, ${change.state}, ${change.edgeVersion})
          on conflict (follower_id, followee_id) do update set
            state = excluded.state, edge_version = excluded.edge_version, changed_at = now()
          returning follower_id, followee_id, ${change.step}::int as step
        )
        insert into count_deltas (user_id, followers, following)
        select followee_id, step, 0 from edge where step <> 0
        union all
        select follower_id, 0, step from edge where step <> 0`,
  );
}

/** How much somebody may follow. */
export interface FollowLimits {
  /** People they never followed or asked before, in a day. */
  readonly newInADay: number;
  /** The same for an account that is younger than `newcomerDays`. */
  readonly newcomersInADay: number;
  readonly newcomerDays: number;
  /** Requests that wait. */
  readonly waiting: number;
}

/** Where a follower stands against the limits. */
export interface FollowUse {
  /** Seconds until another new person can be followed; null: at once. */
  readonly wait_seconds: number | null;
  readonly waits_for_too_many: boolean;
}

/** Under the follower's version row, so that of many at once none passes that should not. At most as many index entries as the limits. */
export async function selectFollowUse(tx: Tx, followerId: string, limits: FollowLimits): Promise<FollowUse> {
  const use = await row<FollowUse>(
    tx,
    sql`select
          (select extract(epoch from f.created_at + interval '1 day' - now())::float8 from follows f
            where f.follower_id = u.id and f.created_at > now() - interval '1 day'
            order by f.created_at desc
            offset (case when u.created_at > now() - ${limits.newcomerDays}::int * interval '1 day'
              then ${limits.newcomersInADay}::int else ${limits.newInADay}::int end) - 1
            limit 1) as wait_seconds,
          exists (select from follows f where f.follower_id = u.id and f.state = 'requested' offset ${limits.waiting}::int - 1) as waits_for_too_many
        from users u where u.id = ${followerId}::uuid`,
  );
  return use ?? { wait_seconds: null, waits_for_too_many: false };
}
