/**
 * Telling of starts and ends when their time has come, each once. Enforcement does not wait for it: the view
 * `user_standings` knows the time by itself.
 */

import { lockFacts, setStatus } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import type { Log } from "#src/kernel/log";
import { cutOff, noticeImposed, noticeOver, tellRestored, tellRestricted } from "./announcements.ts";
import { countRevoked } from "./declared.sql.ts";
import { stateAt, type RestrictionRow } from "./restrictions.rows.ts";
import { databaseNow, findRestriction, selectDue, writeAnnounced, type Due } from "./restrictions.sql.ts";

interface Needs {
  readonly db: Db;
  readonly log: Log;
}

const BATCH = 100;

/** Tells of everything that is due and returns how many that were. One that fails is left for the next round and holds up no other. */
export async function announceDue(deps: Needs, signal: AbortSignal): Promise<number> {
  const failed: string[] = [];
  let told = 0;
  for (;;) {
    const batch = await selectDue(deps.db, failed, BATCH);
    for (const due of batch) {
      if (signal.aborted) return told;
      if (await announceOrLog(deps, due)) told += 1;
      else failed.push(due.id);
    }
    if (batch.length < BATCH) return told;
  }
}

async function announceOrLog(deps: Needs, due: Due): Promise<boolean> {
  try {
    await inTx(deps.db, (tx) => announce(tx, due), { durable: true });
    return true;
  } catch (error) {
    deps.log.warn(
      { restrictionId: due.id, error: String(error) },
      "a restriction's start or end could not be announced; it will be tried again",
    );
    return false;
  }
}

/** Looks again under the locks (lines 2 and 3): somebody may have lifted or told it meanwhile. */
async function announce(tx: Tx, due: Due): Promise<void> {
  await lockSubject(tx, due.user_id);
  await lockFacts(tx, due.user_id);
  const restriction = await findRestriction(tx, due.id);
  const now = await databaseNow(tx);
  if (restriction === undefined) return;
  switch (stateAt(restriction, now)) {
    case "active":
      if (restriction.start_announced_at === null) await announceStart(tx, restriction, now);
      return;
    case "ended":
      if (restriction.end_announced_at === null) await announceEnd(tx, restriction, now);
      return;
    case "planned":
    case "lifted":
      return;
  }
}

async function announceStart(tx: Tx, restriction: RestrictionRow, now: Date): Promise<void> {
  const standing = await setStatus(tx, restriction.user_id);
  await countRevoked(tx, restriction.id, await cutOff(tx, restriction, true));
  await writeAnnounced(tx, restriction.id, { start_announced_at: now, end_announced_at: null });
  await tellRestricted(tx, restriction, standing);
  await noticeImposed(tx, restriction);
}

/** Also for one that began and ended while no worker ran: sessions from before its start are over by `sessions_valid_from`. */
async function announceEnd(tx: Tx, restriction: RestrictionRow, now: Date): Promise<void> {
  const standing = await setStatus(tx, restriction.user_id);
  await writeAnnounced(tx, restriction.id, { start_announced_at: restriction.start_announced_at ?? now, end_announced_at: now });
  await tellRestored(tx, restriction, standing);
  await noticeOver(tx, restriction, "ended");
}
