/** Muting: not wanting to see somebody's things, without their noticing. */

import { userMuted, userUnmuted } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { appendEvent, lockSubject } from "#src/events/append";
import { inputInvalid, Problem } from "#src/kernel/problem";
import type { Clock } from "#src/kernel/clock";
import { lockedFacts } from "./edges.ts";
import type { Pair } from "./follow.sql.ts";
import { muteSelf } from "./graph.errors.ts";
import { deleteMute, writeMute, type Mute } from "./mute.sql.ts";

interface Needs {
  readonly db: Db;
}

/**
 * Mutes somebody, or changes how one has muted them.
 * @throws Problem `input.invalid` for an end that has passed, `mute.self`, `user.not_found`, `account.restricted`
 */
export async function mute(deps: Needs & { readonly clock: Clock }, pair: Pair, wanted: Mute): Promise<Mute> {
  if (wanted.until !== null && wanted.until <= deps.clock.now()) {
    throw new Problem(inputInvalid, { errors: [{ path: "body.until", message: "must be in the future" }] });
  }
  return await inTx(deps.db, async (tx) => {
    await lockedFacts(tx, pair, "mute", muteSelf);
    const until = wanted.until?.toISOString() ?? null;
    const data = { muterId: pair.actorId, mutedId: pair.otherId, until, notifications: wanted.notifications };
    await appendEvent(tx, userMuted, { subject: pair.actorId, data });
    await writeMute(tx, pair, wanted);
    return wanted;
  });
}

/** Takes a mute back; one that is not there is as good as taken back. @throws Problem `mute.self`, `user.not_found`, `account.restricted` */
export async function unmute(deps: Needs, pair: Pair): Promise<"gone"> {
  return await inTx<"gone">(deps.db, async (tx) => {
    await lockedFacts(tx, pair, "unmute", muteSelf);
    await lockSubject(tx, pair.actorId);
    if (!(await deleteMute(tx, pair))) return "gone";
    await appendEvent(tx, userUnmuted, { subject: pair.actorId, data: { muterId: pair.actorId, mutedId: pair.otherId } });
    return "gone";
  });
}
