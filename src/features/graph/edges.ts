/** What every change between two people has in common: the pair's lock, the policy's word, and an edge's next state. */

import { followAccepted, followRequested, followRequestEnded, userFollowed, userUnfollowed } from "#src/contract/event-types";
import { lockPair } from "#src/db/locks";
import type { Tx } from "#src/db/tx";
import { appendEvent } from "#src/events/append";
import { userNotFound } from "#src/features/accounts/public";
import { dropNotices } from "#src/features/notices/public";
import { markTie, refuse } from "#src/features/profiles/public";
import { topRole, type Actor, type Capability } from "#src/kernel/actor";
import { Problem, type ProblemType } from "#src/kernel/problem";
import { decide, type SocialAction } from "#src/policy/decide";
import type { Privacy } from "#src/policy/privacy";
import { selectPairFacts, writeEdge, type Edge, type EdgeState, type Pair, type PairFacts } from "./follow.sql.ts";

/** Where an edge stands, and whose it is. */
interface Standing extends Edge {
  readonly state: EdgeState;
  readonly version: number;
  /** What the followee lets whom see. */
  readonly privacy: Privacy;
}

/** Why a request ends without a yes. */
type RequestEnd = "cancelled" | "rejected" | "blocked";

/**
 * Line 1 of the lock order, whoever calls, and what is true under it. The facts are read in a statement of their own: one
 * that takes the lock would still see what was before it.
 * @param self what acting on oneself is told as
 * @throws Problem as `refuse`, unless the policy allows the action
 */
export async function lockedFacts(tx: Tx, pair: Pair, action: SocialAction, self: ProblemType): Promise<PairFacts> {
  await lockPair(tx, pair.actorId, pair.otherId);
  const facts = await selectPairFacts(tx, pair);
  if (facts === undefined) throw new Problem(userNotFound);
  const viewer = {
    userId: pair.actorId as Actor["userId"],
    role: topRole(facts.own_roles),
    restricted: facts.own_status !== "active",
    limited: new Set(facts.own_limited as Capability[]),
  };
  const target = {
    id: pair.otherId,
    status: facts.other_status,
    limited: facts.other_limited,
    role: topRole(facts.other_roles),
    privacy: facts.other_privacy,
  };
  refuse(decide(viewer, target, { ...facts, follows: facts.out_state === "accepted" }, action), self);
  return facts;
}

/** The edge from who acts to the other. */
export function outward(pair: Pair, facts: PairFacts): Standing {
  const edge = { followerId: pair.actorId, followeeId: pair.otherId };
  return { ...edge, state: facts.out_state, version: facts.out_version, privacy: facts.other_privacy };
}

/** The edge from the other to who acts. */
export function inward(pair: Pair, facts: PairFacts): Standing {
  const edge = { followerId: pair.otherId, followeeId: pair.actorId };
  return { ...edge, state: facts.in_state, version: facts.in_version, privacy: facts.own_privacy };
}

/** Makes the edge accepted or requested: its event (line 2: the follower's version row), then the edge (line 5). */
export async function beginEdge(tx: Tx, standing: Standing, state: "accepted" | "requested"): Promise<void> {
  const { edge, edgeVersion } = nextOf(standing);
  const subject = edge.followerId;
  const data = { ...edge, edgeVersion };
  await appendEvent(tx, state === "accepted" ? userFollowed : followRequested, { subject, data });
  if (standing.state === "requested") await appendEvent(tx, followAccepted, { subject, data });
  await writeEdge(tx, edge, { state, edgeVersion, step: state === "accepted" ? 1 : 0 });
  if (standing.state === "requested") await dropNotices(tx, edge.followeeId, edge.followerId);
}

/** Ends the edge, a follow or a request; it stays as a tombstone. Nothing happens where there is none. Lines as `beginEdge`. */
export async function endEdge(tx: Tx, standing: Standing, how: RequestEnd): Promise<void> {
  if (standing.state === null || standing.state === "gone") return;
  const { edge, edgeVersion } = nextOf(standing);
  if (standing.state === "requested") {
    await appendEvent(tx, followRequestEnded, { subject: edge.followerId, data: { ...edge, edgeVersion, how } });
    await writeEdge(tx, edge, { state: "gone", edgeVersion, step: 0 });
    await dropNotices(tx, edge.followeeId, edge.followerId);
    return;
  }
  await appendEvent(tx, userUnfollowed, { subject: edge.followerId, data: { ...edge, edgeVersion } });
  await writeEdge(tx, edge, { state: "gone", edgeVersion, step: -1 });
  // What was for followers is not for this one any more.
  if (Object.values(standing.privacy).includes("followers")) await markTie(tx, edge.followeeId, edge.followerId);
}

function nextOf({ followerId, followeeId, version }: Standing): { readonly edge: Edge; readonly edgeVersion: number } {
  return { edge: { followerId, followeeId }, edgeVersion: version + 1 };
}
