/** The one PostgreSQL of a test run: started by the first who asks, kept by a process of its own, gone with the run. */

import { spawn } from "node:child_process";
import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isAlive, runFolder, runPid } from "./run-folder.ts";
import { until } from "./until.ts";

/** What the keeper tells those who want databases. */
export interface TestServer {
  readonly keeperPid: number;
  /** Superuser, on database `postgres`. */
  readonly adminUrl: string;
  /** The service's role and password, for any database. */
  readonly serviceUrl: string;
  /** A migrated database to copy. */
  readonly template: string;
}

const KEEPER = fileURLToPath(new URL("./test-server-keeper.ts", import.meta.url));
const START_WITHIN_MS = 60_000;

/** Where the keeper says that it is ready, or why it is not. */
export function noticeFile(folder: string): string {
  return join(folder, "postgres.json");
}

/** The run's server; starts it if nobody has. */
export async function testServer(): Promise<TestServer> {
  const folder = runFolder();
  const running = await readNotice(folder);
  if (running === undefined) await startKeeperOnce(folder);
  const notice = running ?? (await until(() => readNotice(folder), { withinMs: START_WITHIN_MS, what: "the test run's PostgreSQL" }));
  if ("failed" in notice) throw new Error(`the test run's PostgreSQL could not be started: ${notice.failed}`);
  return notice;
}

/** Ends the server if the run had one, and returns when it is gone with all it left: a run of several parts starts the next one anew. */
export async function stopTestServer(folder: string): Promise<void> {
  const pid = await readFile(join(folder, "keeper", "pid"), "utf8").then(Number, () => undefined);
  if (pid === undefined || !isAlive(pid)) return;
  process.kill(pid, "SIGTERM");
  await until(() => !isAlive(pid), { withinMs: 30_000, what: "the test run's PostgreSQL to end" });
  for (const left of [noticeFile(folder), join(folder, "data"), join(folder, "keeper")])
    await rm(left, { recursive: true, force: true, maxRetries: 5 });
}

/** The folder of a run is new, so whoever makes a folder in it is the first: no lock is needed. */
async function startKeeperOnce(folder: string): Promise<void> {
  const claim = join(folder, "keeper");
  try {
    await mkdir(claim);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw error;
  }
  await using output = await open(join(claim, "output"), "w");
  // A group of its own: Ctrl-C on the run must not kill it before it has ended PostgreSQL.
  const keeper = spawn(process.execPath, [KEEPER, folder, String(runPid())], {
    detached: true,
    stdio: ["ignore", output.fd, output.fd],
    env: {},
  });
  keeper.unref();
  await writeFile(join(claim, "pid"), String(keeper.pid));
}

async function readNotice(folder: string): Promise<TestServer | { readonly failed: string } | undefined> {
  const text = await readFile(noticeFile(folder), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as TestServer | { readonly failed: string });
}
