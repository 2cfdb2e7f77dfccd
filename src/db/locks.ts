/** Locks that have no row of their own. The order of all locks is in README.md. */

import { affected, sql } from "./sql.ts";
import type { Tx } from "./tx.ts";

/** Line 1 of the lock order: the unordered pair, so that a follow and a block of the same two cannot miss each other. Held to the end of the transaction. */
export async function lockPair(tx: Tx, one: string, other: string): Promise<void> {
  const key = one < other ? `${one}:${other}` : `${other}:${one}`;
  await affected(tx, sql`select pg_advisory_xact_lock(hashtextextended(${key}, 0))`);
}
