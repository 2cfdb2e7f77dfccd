/** Following and its end. */

import { userFollowed, userUnfollowed } from "#src/contract/event-types";
import { lockPair } from "#src/db/locks";
import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { appendEvent } from "#src/events/append";
import { userNotFound } from "#src/features/accounts/public";
import { refuse } from "#src/features/profiles/public";
import { topRole, type Actor, type Capability } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { decide, type SocialAction } from "#src/policy/decide";
import { selectEdgeFacts, writeEdge, type Edge, type EdgeFacts } from "./follow.sql.ts";
import { followSelf } from "./graph.errors.ts";

interface Needs {
  readonly db: Db;
}

/**
 * Makes one follow the other. Following whom one follows already changes nothing and tells nobody.
 * @throws Problem `follow.self`, `user.not_found`, `user.unavailable`, `account.restricted`, `capability.limited`
 */
export async function follow(deps: Needs, edge: Edge): Promise<"accepted"> {
  return await inTx<"accepted">(deps.db, async (tx) => {
    const facts = await lockedFacts(tx, edge, "follow");
    if (facts.state === "accepted") return "accepted";
    const edgeVersion = (facts.edge_version ?? 0) + 1;
    await appendEvent(tx, userFollowed, { subject: edge.followerId, data: { ...edge, edgeVersion } });
    await writeEdge(tx, edge, { state: "accepted", edgeVersion });
    return "accepted";
  });
}

/**
 * Ends a follow; the edge stays as a tombstone. Ending one that is not there changes nothing: the caller wanted it gone.
 * @throws Problem `follow.self`, `user.not_found`, `account.restricted`
 */
export async function unfollow(deps: Needs, edge: Edge): Promise<"gone"> {
  return await inTx<"gone">(deps.db, async (tx) => {
    const facts = await lockedFacts(tx, edge, "unfollow");
    if (facts.state !== "accepted") return "gone";
    const edgeVersion = (facts.edge_version ?? 0) + 1;
    await appendEvent(tx, userUnfollowed, { subject: edge.followerId, data: { ...edge, edgeVersion } });
    await writeEdge(tx, edge, { state: "gone", edgeVersion });
    return "gone";
  });
}

/**
 * Lines 1 to 5 of the lock order, whoever calls: the pair here, the follower's version row in appendEvent, then the edge.
 * The facts are read in a statement of their own: one that takes the lock would still see what was before it.
 */
async function lockedFacts(tx: Tx, edge: Edge, action: SocialAction): Promise<EdgeFacts> {
  await lockPair(tx, edge.followerId, edge.followeeId);
  const facts = await selectEdgeFacts(tx, edge);
  if (facts === undefined) throw new Problem(userNotFound);
  const follower = {
    userId: edge.followerId as Actor["userId"],
    role: topRole(facts.follower_roles),
    restricted: facts.follower_status !== "active",
    limited: new Set(facts.follower_limited as Capability[]),
  };
  const followee = { id: edge.followeeId, status: facts.followee_status, limited: facts.followee_limited };
  refuse(decide(follower, followee, facts, action), followSelf);
  return facts;
}
