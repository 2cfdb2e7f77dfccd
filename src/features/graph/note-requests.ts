/** Notices of follows and requests to follow. Written by consumers, not by the request: nothing of a followee is locked by who follows. */

import { lockPair } from "#src/db/locks";
import type { Tx } from "#src/db/tx";
import { addNotice, dropNotices, followsTold } from "#src/features/notices/public";
import { selectPairFacts, type Edge } from "./follow.sql.ts";
import { selectIsQuiet } from "./mute.sql.ts";

/** Unread ones of either kind that one keeps: whom a crowd follows or asks at once, or bots, is not buried. The list of requests has all. */
const UNREAD_FOLLOWS = 100;

/** Tells the followee who asks, while the request waits, once for each follower however often they ask. */
export async function noteRequest(tx: Tx, { followerId, followeeId }: Edge): Promise<void> {
  const pair = { actorId: followeeId, otherId: followerId };
  // Line 1 of the lock order: a block or an answer at this moment comes before or after, and then takes the notice away.
  await lockPair(tx, followerId, followeeId);
  const facts = await selectPairFacts(tx, pair);
  if (facts?.in_state !== "requested" || (await selectIsQuiet(tx, pair))) return;
  await dropNotices(tx, followeeId, followerId);
  const { unread } = await followsTold(tx, { type: "follow.requested", userId: followeeId, aboutId: followerId, most: UNREAD_FOLLOWS });
  if (unread >= UNREAD_FOLLOWS) return;
  await addNotice(tx, followeeId, { type: "follow.requested", data: { userId: followerId } }, { mail: "none" });
}

/** Tells the follower of the yes, while it stands. */
export async function noteAccepted(tx: Tx, { followerId, followeeId }: Edge): Promise<void> {
  const pair = { actorId: followerId, otherId: followeeId };
  await lockPair(tx, followerId, followeeId);
  const facts = await selectPairFacts(tx, pair);
  if (facts?.out_state !== "accepted" || (await selectIsQuiet(tx, pair))) return;
  await dropNotices(tx, followerId, followeeId);
  await addNotice(tx, followerId, { type: "follow.accepted", data: { userId: followeeId } }, { mail: "none" });
}

/**
 * Tells the followee who follows, once of each person however often they leave and come back. Not who says yes to each follower: they
 * know.
 */
export async function noteFollowed(tx: Tx, { followerId, followeeId }: Edge): Promise<void> {
  const pair = { actorId: followeeId, otherId: followerId };
  await lockPair(tx, followerId, followeeId);
  const facts = await selectPairFacts(tx, pair);
  if (facts?.in_state !== "accepted" || facts.own_privacy.requireFollowApproval || (await selectIsQuiet(tx, pair))) return;
  const { isTold, unread } = await followsTold(tx, {
    type: "follow.started",
    userId: followeeId,
    aboutId: followerId,
    most: UNREAD_FOLLOWS,
  });
  if (isTold || unread >= UNREAD_FOLLOWS) return;
  await addNotice(tx, followeeId, { type: "follow.started", data: { userId: followerId } }, { mail: "none" });
}
