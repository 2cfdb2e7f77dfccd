/** The first connection of a process that can do nothing without a database. */

import pg from "pg";
import { backoffMs } from "#src/kernel/backoff";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { isConnectionLoss } from "./errors.ts";

export interface ReachOptions {
  readonly url: string;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName: string;
  /** How long a server is waited for that is not there yet, in ms. */
  readonly withinMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** The server is there and says no: to the account, the password or the name of the database. Another try would hear the same. */
export class DatabaseRefused extends Error {
  override readonly name = "DatabaseRefused";
}

/**
 * Connects, and waits with back-off for a server that is not there or still starts.
 * @throws DatabaseRefused, or Error when the time is over; in one line: where, and why
 */
export async function reachDatabase({ url, applicationName, withinMs, clock, log }: ReachOptions): Promise<pg.Client> {
  const endMs = clock.monotonicMs() + withinMs;
  for (let attempt = 1; ; attempt += 1) {
    const client = new pg.Client({ connectionString: url, application_name: applicationName, connectionTimeoutMillis: 5_000 });
    // One that is lost before it is used says so where it is used.
    client.on("error", () => {});
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => {});
      const why = `the database ${placeOf(url)} cannot be reached: ${reasonOf(error)}`;
      if (!isConnectionLoss(error)) throw new DatabaseRefused(why, { cause: error });
      if (clock.monotonicMs() >= endMs) throw new Error(why, { cause: error });
      if (attempt === 1) log.warn({ why }, "waiting for the database");
      await delay(backoffMs(attempt, { firstMs: 200, mostMs: 3_000 }));
    }
  }
}

/** Host, port and name; neither user nor password. */
function placeOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${decodeURIComponent(pathname.slice(1))} at ${hostname}:${port === "" ? "5432" : port}`;
}

/** Where a name has several addresses, Node's error has a code and no words. */
function reasonOf(error: unknown): string {
  const { message = "", code = "" } = error as { readonly message?: string; readonly code?: string };
  return message === "" ? code : message;
}
