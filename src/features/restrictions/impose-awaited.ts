/** Imposing what waited for an address that somebody has now. */

import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import type { Clock } from "#src/kernel/clock";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { applyWish } from "./apply-wish.ts";
import { wishBody } from "./declared.schemas.ts";
import { makeDurable, selectOverdue, selectWaitingFor, type Waiting } from "./declared.sql.ts";
import { readWish } from "./wish.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
}

/** The account has just registered. What may not be imposed keeps waiting, and the next `PUT` of its source says why. */
export async function imposeAwaited(deps: Pick<Needs, "clock" | "log">, tx: Tx, userId: string): Promise<void> {
  const [first] = await selectWaitingFor(tx, userId);
  if (first === undefined) return;
  await makeDurable(tx);
  await imposeOrLog(deps, tx, first);
}

const BATCH = 100;

/** For what no registration tells: a changed address, an event that was given up. Returns how many were imposed. */
export async function imposeOverdue(deps: Needs, signal: AbortSignal): Promise<number> {
  let imposed = 0;
  for (const waiting of await selectOverdue(deps.db, BATCH)) {
    if (signal.aborted) break;
    if (await inTx(deps.db, (tx) => imposeOrLog(deps, tx, waiting), { durable: true })) imposed += 1;
  }
  return imposed;
}

/**
 * A refusal comes before anything is written, so the transaction may go on. The security stream is told before the commit:
 * a consumer has no moment after it.
 */
async function imposeOrLog(deps: Pick<Needs, "clock" | "log">, tx: Tx, waiting: Waiting): Promise<boolean> {
  const name = { source: waiting.source, externalId: waiting.external_id };
  const body = wishBody.parse(waiting.wish);
  try {
    const { told } = await applyWish(deps, tx, { name, body, wish: readWish(body) });
    for (const event of told) securityEvent(deps.log, event);
    return told.length > 0;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    deps.log.warn({ ...name, code: error.code }, "a declared restriction that waited for an account cannot be imposed on it");
    return false;
  }
}
