/** What stands between many pairs of people, in one statement. */

import type { Status } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import { rows, sql } from "#src/db/sql";
import type { Capability, Role } from "#src/kernel/actor";
import { PRESETS, type Privacy } from "#src/policy/privacy";
import type { EdgeState } from "./follow.sql.ts";

/** Who asks, and about whom. Ids in lower case. */
export interface PairKey {
  readonly viewerId: string;
  readonly targetId: string;
}

/** Both sides as they stand at this moment, and what is between them. */
export interface PairRow {
  readonly viewer_id: string;
  readonly target_id: string;
  readonly viewer_status: Status;
  readonly viewer_limited: Capability[];
  readonly viewer_roles: Role[];
  readonly target_status: Status;
  readonly target_limited: string[];
  readonly target_privacy: Privacy;
  /** The viewer blocked the target. */
  readonly blocking: boolean;
  /** The target blocked the viewer: for the policy, and never to be told. */
  readonly blocked_by: boolean;
  /** The edge from the viewer. */
  readonly out_state: EdgeState;
  /** The edge to the viewer. */
  readonly in_state: EdgeState;
  /** Null where the viewer has not muted the target; an ended mute is none. */
  readonly mute_notifications: boolean | null;
  readonly mute_until: Date | null;
}

/** As the database gives them: who never set anything has no settings there. */
type Stored = Omit<PairRow, "target_privacy"> & { readonly target_privacy: Privacy | null };

/** The facts of these pairs in no order; a pair of which either account is not there is not in it. Primary keys only. */
export async function selectPairs(on: Db, pairs: readonly PairKey[]): Promise<PairRow[]> {
  const [viewers, targets] = [pairs.map(({ viewerId }) => viewerId), pairs.map(({ targetId }) => targetId)];
  const found = await rows<Stored>(
    on,
    sql`select v.id as viewer_id, t.id as target_id, vs.status as viewer_status, vs.limited as viewer_limited, v.roles as viewer_roles,
          ts.status as target_status, ts.limited as target_limited, privacy_of(ps) as target_privacy,
          exists (select from blocks b where b.blocker_id = v.id and b.blocked_id = t.id) as blocking,
          exists (select from blocks b where b.blocker_id = t.id and b.blocked_id = v.id) as blocked_by,
          outward.state as out_state, inward.state as in_state, m.notifications as mute_notifications, m.until as mute_until
        from unnest(${viewers}::uuid[], ${targets}::uuid[]) as asked (viewer_id, target_id)
        join users v on v.id = asked.viewer_id
        join users t on t.id = asked.target_id
        join user_standings vs on vs.user_id = v.id
        join user_standings ts on ts.user_id = t.id
        left join privacy_settings ps on ps.user_id = t.id
        left join follows outward on outward.follower_id = v.id and outward.followee_id = t.id
        left join follows inward on inward.follower_id = t.id and inward.followee_id = v.id
        left join mutes m on m.muter_id = v.id and m.muted_id = t.id and (m.until is null or m.until > now())`,
  );
  return found.map((pair) => ({ ...pair, target_privacy: pair.target_privacy ?? PRESETS.open }));
}
