/** A PostgreSQL of a test's own, to be stopped, frozen and killed. */

import { execFileSync } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { migrate } from "#src/db/migrate";
import { startEmbeddedPostgres, type EmbeddedPostgres } from "#src/embedded/embedded-postgres";
import { silentLog } from "#src/kernel/log";
import { runFolder } from "./run-folder.ts";
import { until } from "./until.ts";

/** A migrated server that is started again when it dies. */
export interface OwnPostgres extends AsyncDisposable {
  /** The service's database, as its own role. */
  readonly url: string;
  /** The same database as superuser. */
  readonly adminUrl: string;
  /** Stops every process of the server where it is. */
  readonly freeze: () => void;
  readonly wake: () => void;
  /** kill -9 of the main process, or of a process that serves a client. Resolves when all connections are cut: until then it answers. */
  readonly kill: (which: "server" | "backend") => Promise<void>;
}

/**
 * Starts it. Its data may be lost with the machine, never with a process: WAL is written before a commit is answered, and,
 * so that a crash is as bad as it can be, hardly sooner.
 */
export async function startOwnPostgres(): Promise<OwnPostgres> {
  const dataDir = await mkdtemp(join(runFolder(), "own-postgres-"));
  const postgres = await startEmbeddedPostgres({
    dataDir,
    log: silentLog,
    settings: { fsync: "off", max_connections: "100", wal_writer_delay: "10s" },
    supervise: true,
  });
  await migrate({ databaseUrl: postgres.url, log: silentLog });
  const all = (signal: NodeJS.Signals): void =>
    [postgres.pid, ...childrenOf(postgres.pid).map((child) => child.pid)].forEach((pid) => signalIfThere(pid, signal));
  const adminUrl = Object.assign(new URL(postgres.adminUrl), { pathname: new URL(postgres.url).pathname }).href;
  return {
    url: postgres.url,
    adminUrl,
    freeze: () => all("SIGSTOP"),
    wake: () => all("SIGCONT"),
    kill: async (which) => {
      const watcher = await until(() => connected(adminUrl), { what: "PostgreSQL to take connections" });
      // Not events.once, which takes the error before it for the answer.
      const cut = new Promise<void>((resolve) => watcher.once("end", resolve));
      const victim = which === "server" ? postgres.pid : await until(async () => backendOf(postgres), { what: "a client of the service" });
      signalIfThere(victim, "SIGKILL");
      await cut;
    },
    [Symbol.asyncDispose]: async () => {
      all("SIGCONT");
      await postgres.stop();
    },
  };
}

/** A connection of which one hears by its end that it was cut. */
async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  return client;
}

interface Child {
  readonly pid: number;
  /** PostgreSQL writes what a process does into its title: a backend's names role, database and client. */
  readonly title: string;
}

function childrenOf(parent: number): readonly Child[] {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid=,command="], { encoding: "utf8" }).split("\n");
  return lines.flatMap((line) => {
    const [, pid, ppid, title = ""] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return Number(ppid) === parent ? [{ pid: Number(pid), title }] : [];
  });
}

function backendOf({ pid, url }: EmbeddedPostgres): number {
  const { username } = new URL(url);
  const backend = childrenOf(pid).find(({ title }) => title.includes(`: ${username} `));
  if (backend === undefined) throw new Error("no client of the service is connected");
  return backend.pid;
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
