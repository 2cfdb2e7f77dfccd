/**
 * The process that keeps a test run's PostgreSQL. It outlives the test that started it, ends with the run, and is no
 * part of Jest, so that a run that is interrupted or killed leaves no server behind.
 */

import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { migrate } from "#src/db/migrate";
import type { EmbeddedPostgres } from "#src/embedded/embedded-postgres";
import { startEmbeddedPostgres } from "#src/embedded/embedded-postgres";
import { delay } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { isAlive, removeRunFolder } from "./run-folder.ts";
import { noticeFile } from "./test-server.ts";
import type { TestServer } from "./test-server.ts";

const TEMPLATE = "template_of_tests";
const LOOK_EVERY_MS = 300;

/** Made for speed: the data is gone with the run. Room for two workers with many pools each. */
const SETTINGS = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  max_wal_size: "256MB",
  checkpoint_timeout: "1h",
  max_connections: "300",
  autovacuum: "off",
};

const [folder = "", runPid = ""] = process.argv.slice(2);
const leaving = new AbortController();
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => leaving.abort());
await keep();

async function keep(): Promise<void> {
  try {
    await using server = await startEmbeddedPostgres({
      dataDir: join(folder, "data"),
      log: silentLog,
      settings: SETTINGS,
      supervise: false,
    });
    await makeTemplate(server);
    await tell({ keeperPid: process.pid, adminUrl: server.adminUrl, serviceUrl: server.url, template: TEMPLATE });
    while (!leaving.signal.aborted && isAlive(Number(runPid))) await delay(LOOK_EVERY_MS, leaving.signal).catch(() => {});
  } catch (error) {
    await tell({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    throw error;
  } finally {
    if (!isAlive(Number(runPid))) await removeRunFolder(folder);
  }
}

async function makeTemplate(server: EmbeddedPostgres): Promise<void> {
  await migrate({ databaseUrl: server.url, log: silentLog });
  const admin = new pg.Client({ connectionString: server.adminUrl });
  await admin.connect();
  try {
    await admin.query(`ALTER DATABASE ${new URL(server.url).pathname.slice(1)} RENAME TO ${TEMPLATE}`);
    await admin.query(`ALTER DATABASE ${TEMPLATE} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`);
  } finally {
    await admin.end();
  }
}

/** Under another name first: a reader sees the whole notice or none. */
async function tell(notice: TestServer | { readonly failed: string }): Promise<void> {
  const path = noticeFile(folder);
  await writeFile(`${path}.new`, JSON.stringify(notice));
  await rename(`${path}.new`, path);
}
