/** Work that many do at once, and how many deadlocks PostgreSQL had to break for it. */

import pg from "pg";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase } from "./database.ts";

/** What use cases need of a test. */
export interface CrowdDeps {
  readonly db: Db;
  readonly clock: typeof systemClock;
  readonly log: typeof silentLog;
}

/** Runs `work` with a pool that lets callers queue, and says how many deadlocks PostgreSQL had to break. */
export async function counted(work: (deps: CrowdDeps) => Promise<void>): Promise<number> {
  await using database = await cloneDatabase();
  const db = openDb({
    url: database.url,
    maxConnections: 10,
    applicationName: "test",
    log: silentLog,
    acquireTimeoutMs: 30_000,
    statementTimeoutMs: 30_000,
  });
  try {
    await work({ db, clock: systemClock, log: silentLog });
  } finally {
    // Connections hand in their counts when they close.
    await closeDb(db);
  }
  const admin = new pg.Client({ connectionString: database.adminUrl });
  await admin.connect();
  try {
    const { rows: found } = await admin.query<{ deadlocks: string }>(
      "select deadlocks from pg_stat_database where datname = current_database()",
    );
    return Number(found[0]?.deadlocks);
  } finally {
    await admin.end();
  }
}
