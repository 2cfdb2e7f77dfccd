/** What a followee does about followers: yes or no to requests, and taking a follow away. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { Problem } from "#src/kernel/problem";
import { beginEdge, endEdge, inward, lockedFacts } from "./edges.ts";
import type { Pair } from "./follow.sql.ts";
import { followRequestNotFound, followSelf } from "./graph.errors.ts";

interface Needs {
  readonly db: Db;
}

/**
 * Accepts a request to follow; who follows already stays a follower. The follower is told.
 * @throws Problem `follow_request.not_found`, `follow.self`, `user.not_found`, `user.unavailable`, `account.restricted`
 */
export async function acceptRequest(deps: Needs, pair: Pair): Promise<"accepted"> {
  return await inTx<"accepted">(deps.db, async (tx) => {
    const facts = await lockedFacts(tx, pair, "accept", followSelf);
    if (facts.in_state === "accepted") return "accepted";
    if (facts.in_state !== "requested") throw new Problem(followRequestNotFound);
    await beginEdge(tx, inward(pair, facts), "accepted");
    return "accepted";
  });
}

/**
 * Rejects a request; the follower is not told, and may ask again.
 * @throws Problem `follow_request.not_found`, `follow.self`, `user.not_found`, `account.restricted`
 */
export async function rejectRequest(deps: Needs, pair: Pair): Promise<"gone"> {
  return await inTx<"gone">(deps.db, async (tx) => {
    const facts = await lockedFacts(tx, pair, "drop", followSelf);
    if (facts.in_state !== "requested") throw new Problem(followRequestNotFound);
    await endEdge(tx, inward(pair, facts), "rejected");
    return "gone";
  });
}

/**
 * Ends somebody's follow of oneself, or their request. Removing who is no follower changes nothing.
 * @throws Problem `follow.self`, `user.not_found`, `account.restricted`
 */
export async function removeFollower(deps: Needs, pair: Pair): Promise<"gone"> {
  return await inTx<"gone">(deps.db, async (tx) => {
    const facts = await lockedFacts(tx, pair, "drop", followSelf);
    await endEdge(tx, inward(pair, facts), "rejected");
    return "gone";
  });
}
