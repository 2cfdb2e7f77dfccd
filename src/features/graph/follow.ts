/** Following and its end. */

import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { Problem } from "#src/kernel/problem";
import { followedAs } from "#src/policy/decide";
import { beginEdge, endEdge, lockedFacts, outward } from "./edges.ts";
import { selectFollowUse, type Edge, type EdgeState, type FollowLimits } from "./follow.sql.ts";
import { followSelf, followTooMany, followTooManyWaiting } from "./graph.errors.ts";

interface Needs {
  readonly db: Db;
}

interface FollowNeeds extends Needs {
  /** Where limits are off there are none here. */
  readonly config: { readonly rateLimits: boolean };
}

/** More than people do who find their friends, less than whoever follows to be seen. Counted in the database: over all processes. */
export const FOLLOW_LIMITS: FollowLimits = { newInADay: 400, newcomersInADay: 100, newcomerDays: 7, waiting: 500 };

/**
 * Makes one follow the other, or ask to where the other wants to be asked. Following whom one follows already, or has asked,
 * changes nothing and tells nobody; a request that need not wait any more is accepted by asking again.
 * @throws Problem `follow.self`, `user.not_found`, `user.unavailable`, `account.restricted`, `capability.limited`,
 *   `follow.too_many` with the seconds to wait, `follow.too_many_waiting`
 */
export async function follow(deps: FollowNeeds, edge: Edge): Promise<"accepted" | "requested"> {
  const pair = { actorId: edge.followerId, otherId: edge.followeeId };
  return await inTx(deps.db, async (tx) => {
    const facts = await lockedFacts(tx, pair, "follow", followSelf);
    const wanted = followedAs({ privacy: facts.other_privacy });
    if (facts.out_state === "accepted" || facts.out_state === wanted) return facts.out_state;
    if (deps.config.rateLimits) await requireRoom(tx, edge, { from: facts.out_state, to: wanted });
    await beginEdge(tx, outward(pair, facts), wanted);
    return wanted;
  });
}

/** Leaving somebody gives nothing back, else following and leaving would have no end; coming back to somebody costs nothing. */
async function requireRoom(
  tx: Tx,
  { followerId }: Edge,
  { from, to }: { readonly from: EdgeState; readonly to: "accepted" | "requested" },
): Promise<void> {
  if (from === "requested") return;
  // Line 2 of the lock order, before it is counted.
  await lockSubject(tx, followerId);
  const use = await selectFollowUse(tx, followerId, FOLLOW_LIMITS);
  if (from === null && use.wait_seconds !== null) {
    throw new Problem(followTooMany, { retryAfterSeconds: Math.max(1, Math.ceil(use.wait_seconds)) });
  }
  if (to === "requested" && use.waits_for_too_many) throw new Problem(followTooManyWaiting);
}

/**
 * Ends a follow, or takes a request back; the edge stays as a tombstone. Ending one that is not there changes nothing: the
 * caller wanted it gone.
 * @throws Problem `follow.self`, `user.not_found`, `account.restricted`
 */
export async function unfollow(deps: Needs, edge: Edge): Promise<"gone"> {
  const pair = { actorId: edge.followerId, otherId: edge.followeeId };
  return await inTx<"gone">(deps.db, async (tx) => {
    const facts = await lockedFacts(tx, pair, "unfollow", followSelf);
    await endEdge(tx, outward(pair, facts), "cancelled");
    return "gone";
  });
}
