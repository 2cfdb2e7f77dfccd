/** Transactions: one `inTx` a use case, repeated when PostgreSQL says that nothing happened. */

import { setTimeout as wait } from "node:timers/promises";
import type { Knex } from "knex";
import type pg from "pg";
import { currentSpan, inSpan } from "#src/kernel/trace";
import { asProblem, isRetryable } from "./errors.ts";
import { poolOf, refuseWhenCrowded, type Db } from "./pool.ts";
import { TRANSACTION_SPAN } from "./statement-span.ts";

declare const open: unique symbol;
/** An open transaction. Only `inTx` makes one, so a write that forgot its transaction does not compile. */
export type Tx = Knex.Transaction & { readonly [open]: true };

export interface TxOptions {
  /**
   * Whether the commit waits for the disk. True in revoking transactions: an acknowledged ban must survive a crash even where
   * the database's default is weaker. False where a crash that takes it back is no harm. The database's default when left out.
   */
  readonly durable?: boolean;
}

const connections = new WeakMap<object, pg.PoolClient>();

const WAIT_FOR_DISK = "set local synchronous_commit = on";
const LEAVE_TO_DISK = "set local synchronous_commit = off";

/** Serialization failures and deadlocks are repeated this often in all. */
const TRIES = 8;

/**
 * Runs `work` in one transaction and commits. A throw rolls back. Deadlock and serialization failure are repeated with
 * a random pause, so `work` may run several times and must have no effect outside the transaction.
 * @throws Problem `service.busy` when the database cannot answer
 */
export function inTx<Result>(db: Db, work: (tx: Tx) => Promise<Result>, options: TxOptions = {}): Promise<Result> {
  if (currentSpan() === undefined) return transact(db, work, options);
  return inSpan(TRANSACTION_SPAN, () => transact(db, work, options));
}

async function transact<Result>(db: Db, work: (tx: Tx) => Promise<Result>, options: TxOptions): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    refuseWhenCrowded(db);
    const startedMs = performance.now(); // allow: a duration for metrics only, #5
    let failed = true;
    try {
      const result = await db.transaction(async (trx) => {
        const tx = trx as Tx;
        const client = (await trx.client.acquireConnection()) as pg.PoolClient;
        connections.set(tx, client);
        if (options.durable === undefined) return await work(tx);
        return (await Promise.all([client.query(options.durable ? WAIT_FOR_DISK : LEAVE_TO_DISK), work(tx)]))[1];
      });
      failed = false;
      return result;
    } catch (error) {
      if (!isRetryable(error) || attempt === TRIES) throw asProblem(error);
    } finally {
      poolOf(db).onQuery?.(performance.now() - startedMs, failed);
    }
    await wait(Math.random() * 10 * 2 ** attempt);
  }
}

/** The connection of a transaction, or nothing for a pool. For `db/` only. */
export function connectionOf(on: Db | Tx): pg.PoolClient | undefined {
  return connections.get(on);
}
