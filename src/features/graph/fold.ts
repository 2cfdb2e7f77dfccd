/** Keeps reads of counters short. */

import type { Db } from "#src/db/pool";
import { foldDeltas } from "./counts.sql.ts";

interface Needs {
  readonly db: Db;
}

const BATCH = 5_000;

/** Folds what waits, batch by batch, until little is left or the signal is aborted. Counters read the same before and after. */
export async function foldCounts(deps: Needs, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await foldDeltas(deps.db, BATCH)) === BATCH);
}
