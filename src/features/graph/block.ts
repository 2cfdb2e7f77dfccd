/** Blocking: from its commit on neither learns of the other by any door. */

import { userBlocked, userUnblocked } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { appendEvent, lockSubject } from "#src/events/append";
import { dropNotices } from "#src/features/notices/public";
import { markTie } from "#src/features/profiles/public";
import { cutOf, deleteBlock, insertBlock, type Cut } from "./block.sql.ts";
import { endEdge, inward, lockedFacts, outward } from "./edges.ts";
import type { Pair } from "./follow.sql.ts";
import { blockSelf } from "./graph.errors.ts";

interface Needs {
  readonly db: Db;
}

/**
 * Blocks somebody: ends follows and requests both ways with their events, takes each out of the other's notices, and has
 * those who watch cut. Blocking whom one has blocked changes nothing.
 * @throws Problem `block.self`, `user.not_found` (also for who blocked the caller), `user.is_staff`, `account.restricted`
 */
export async function block(deps: Needs, pair: Pair): Promise<"blocked"> {
  return await inTx<"blocked">(deps.db, async (tx) => {
    const facts = await lockedFacts(tx, pair, "block", blockSelf);
    if (facts.blocking) return "blocked";
    const cut: Cut = { follow: cutOf(facts.out_state), followed: cutOf(facts.in_state) };
    // Line 2: where events of both follow, their rows are taken in the order of their ids.
    const subjects = cut.followed === null ? [pair.actorId] : [pair.actorId, pair.otherId];
    for (const id of subjects.toSorted()) await lockSubject(tx, id);
    await appendEvent(tx, userBlocked, { subject: pair.actorId, data: { blockerId: pair.actorId, blockedId: pair.otherId, cut } });
    await endEdge(tx, outward(pair, facts), "blocked");
    await endEdge(tx, inward(pair, facts), "blocked");
    await insertBlock(tx, pair, cut);
    await dropNotices(tx, pair.actorId, pair.otherId);
    await dropNotices(tx, pair.otherId, pair.actorId);
    await markTie(tx, pair.actorId, pair.otherId);
    return "blocked";
  });
}

/**
 * Takes a block back and tells what it had ended, which stays ended. Where there was no block there is nothing to tell.
 * @throws Problem `block.self`, `user.not_found`, `account.restricted`
 */
export async function unblock(deps: Needs, pair: Pair): Promise<Cut> {
  return await inTx(deps.db, async (tx) => {
    await lockedFacts(tx, pair, "unblock", blockSelf);
    await lockSubject(tx, pair.actorId);
    const cut = await deleteBlock(tx, pair);
    if (cut === undefined) return { follow: null, followed: null };
    await appendEvent(tx, userUnblocked, { subject: pair.actorId, data: { blockerId: pair.actorId, blockedId: pair.otherId, cut } });
    return cut;
  });
}
