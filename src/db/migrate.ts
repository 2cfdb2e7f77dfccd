/** Applies the files of `migrations/` in order of their names, each once, under a lock of its own. */

import { readdir } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import knexModule, { type Knex } from "knex";
import type pg from "pg";
import { delay, systemClock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { reachDatabase } from "./reach.ts";

const FOLDER = fileURLToPath(new URL("../../migrations/", import.meta.url));

/** A database that starts together with us is there by then. */
const REACHED_WITHIN_MS = 45_000;

/**
 * Brings the database to the newest schema and says which files ran. Waits 45 s for a database that is not there yet.
 * @param options.databaseUrl a direct connection, not one through a pooler
 * @throws Error naming the file that failed; what ran before it stays
 */
export async function migrate(options: {
  readonly databaseUrl: string;
  readonly log: Log;
  readonly withinMs?: number;
}): Promise<{ readonly applied: readonly string[] }> {
  const { databaseUrl: url, log, withinMs = REACHED_WITHIN_MS } = options;
  const lock = await reachDatabase({ url, applicationName: "user-service migrate lock", withinMs, clock: systemClock, log });
  const database = knexModule({
    client: "pg",
    connection: { connectionString: url, application_name: "user-service migrate" },
    pool: { min: 0, max: 2 },
    migrations: { migrationSource: source, tableName: "schema_migrations" },
  });
  try {
    await takeLock(lock);
    await database.migrate.forceFreeMigrationsLock();
    const [, applied] = (await database.migrate.latest()) as [number, string[]];
    for (const name of applied) log.debug({ migration: name }, "migration applied");
    return { applied };
  } finally {
    await database.destroy();
    await lock.end();
  }
}

const ASK_AGAIN_MS = 100;

/**
 * Ends with its connection, so a killed process leaves nothing locked; knex's own lock is a row that would stay. Asked for again and
 * again, since a statement that waits holds a snapshot, and an index that is built concurrently waits for every older one.
 */
async function takeLock(lock: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await lock.query<{ ours: boolean }>(
      "select pg_try_advisory_lock(hashtextextended('user-service migrate', 0)) as ours",
    );
    if (rows[0]?.ours === true) return;
    await delay(ASK_AGAIN_MS);
  }
}

/** Names without their extension: knex keeps the name, and development runs `.ts` where an image may run `.js`. */
const source: Knex.MigrationSource<string> = {
  getMigrations: async () => {
    const files = await readdir(FOLDER);
    return [...new Set(files.filter((file) => /\.(ts|js)$/.test(file)).map((file) => file.replace(/\.(ts|js)$/, "")))].sort();
  },
  getMigrationName: (name) => name,
  getMigration: async (name) => {
    const files = await readdir(FOLDER);
    const file = files.find((candidate) => candidate === `${name}.js`) ?? `${name}.ts`;
    const { up, config } = (await import(pathToFileURL(`${FOLDER}${file}`).href)) as Knex.Migration & { readonly config?: object };
    return { up, config: config ?? { transaction: true }, down: forwardOnly };
  },
};

function forwardOnly(): Promise<void> {
  return Promise.reject(new Error("migrations go forward only: undo by a further one"));
}
