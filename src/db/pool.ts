/** The pool, and knex and raw pg on top of the same connections. */

import knexModule, { type Knex } from "knex";
import pg from "pg";
import { Problem, serviceBusy } from "#src/kernel/problem";
import type { Log } from "#src/kernel/log";

declare const pooled: unique symbol;
/** Reads, each on whatever connection is free. Made by `openDb` only. */
export type Db = Knex & { readonly [pooled]: true };

export interface DbOptions {
  readonly url: string;
  /** Connections at most. */
  readonly maxConnections: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  readonly log: Log;
  /** How long a caller waits for a free connection before 503; 2 s when left out. */
  readonly acquireTimeoutMs?: number;
  /** How long one statement may take before its connection is given up. */
  readonly statementTimeoutMs?: number;
  /** Told of each statement, for metrics. */
  readonly onQuery?: (durationMs: number, failed: boolean) => void;
}

/** How many callers may wait for a connection before further ones are turned away at once. */
const MAX_WAITING = 500;

const pools = new WeakMap<Db, OpenPool>();

interface OpenPool {
  readonly pool: pg.Pool;
  readonly onQuery: ((durationMs: number, failed: boolean) => void) | undefined;
}

// int8 and numeric counts stay below 2^53 here; ids are uuid. xid8 has its own type and stays text.
pg.types.setTypeParser(20, Number);

/** Opens a pool. Close it with `closeDb`. Nothing is connected until the first statement. */
export function openDb(options: DbOptions): Db {
  const statementTimeoutMs = options.statementTimeoutMs ?? 5_000;
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.maxConnections,
    // A process that stood still for a second, as beside another that starts, finds its callers' time over before what it waited for.
    connectionTimeoutMillis: options.acquireTimeoutMs ?? 2_000,
    idleTimeoutMillis: 600_000,
    application_name: options.applicationName,
    keepAlive: true,
    // Statements that do not wait for each other's answers are sent together: `Promise.all` in a transaction is one round trip.
    pipeline: true,
    keepAliveInitialDelayMillis: 10_000,
    statement_timeout: statementTimeoutMs,
    // The client gives up a little later than the server, and at once when the server is frozen: the connection is then discarded.
    query_timeout: statementTimeoutMs + 500,
    idle_in_transaction_session_timeout: 10_000,
  });
  pool.on("error", (error) => {
    // At the end connections are told to go but not waited for; who comes first, server or socket, is no news.
    const level = pool.ending ? "debug" : "warn";
    options.log[level]({ error: error.message }, "an idle database connection was lost");
  });
  pool.on("connect", (client) => {
    // A server that drops a checked-out client emits on that client; without a listener the process would end.
    const lost = (error: Error): void => options.log.debug({ error: error.message }, "database connection lost");
    client.on("error", lost);
    // What walks an index for a page is planned as if it read the whole range, and where that costs more than jit_above_cost it would be
    // compiled first, which takes longer than to run it. Sent with the first statement; poolers refuse what they do not know at the startup.
    client.query("set jit = off").catch(lost);
  });
  const db = knexModule({ client: "pg", connectionPool: pool, log: knexLog(options.log) } as Knex.Config) as Db;
  pools.set(db, { pool, onQuery: options.onQuery });
  return db;
}

/** So many connections that could not be had in a row mean a database that is away, and not a busy machine. */
const WARM_UP_TRIES = 3;

/**
 * Opens every connection ahead of the first requests, one after the other: a process that has just become ready gets its share of the
 * traffic at once, and on a busy machine a connection takes longer than a request waits for it. Those that cannot be had are no error
 * here: readiness and whoever needs one tell so.
 */
export async function warmUp(db: Db): Promise<void> {
  const { pool } = poolOf(db);
  const held: pg.PoolClient[] = [];
  for (let failures = 0; held.length < pool.options.max && failures < WARM_UP_TRIES;) {
    try {
      held.push(await pool.connect());
      failures = 0;
    } catch {
      failures += 1;
    }
  }
  for (const client of held) client.release();
}

/** knex prints to standard output else. What it says of connections is told by whoever wanted one, so it is for those who look closely. */
function knexLog(log: Log): Knex.Config["log"] {
  const tell = (message: unknown): void => log.debug({ said: String(message) }, "knex");
  return { debug: tell, warn: tell, error: tell, deprecate: tell };
}

/** Waits for running statements and transactions, and closes every connection. */
export async function closeDb(db: Db): Promise<void> {
  // The pool first: knex, once destroyed, gives no connection back, and the pool would wait for that of a running transaction for ever.
  await pools.get(db)?.pool.end();
  await db.destroy();
}

/** Connections open, idle and awaited, for metrics. */
export function poolFigures(db: Db): { readonly total: number; readonly idle: number; readonly waiting: number } {
  const { pool } = poolOf(db);
  return { total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount };
}

/** The pool below a `Db`. For `db/` only. */
export function poolOf(db: Db): OpenPool {
  const open = pools.get(db);
  if (open === undefined) throw new Error("not a Db made by openDb");
  return open;
}

/** @throws Problem `service.busy` when so many wait for a connection that one more would only wait in vain */
export function refuseWhenCrowded(db: Db): void {
  if (poolOf(db).pool.waitingCount >= MAX_WAITING) throw new Problem(serviceBusy, { detail: "The database is busy", retryAfterSeconds: 1 });
}
