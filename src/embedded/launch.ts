/** Starts a PostgreSQL server on a data folder that none serves, and waits until it accepts connections. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { delay, systemClock } from "#src/kernel/clock";
import type { Account } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import { PROGRAM_ENVIRONMENT, dataArgument, identity } from "./cluster.ts";
import { freePort, isFree } from "./free-port.ts";
import type { Place } from "./place.ts";
import { readIfThere } from "./place.ts";
import { MARKER, disarmStalePid, endServer, inspectServer, markerValue } from "./running-server.ts";

/** What a launch needs to know. */
export interface LaunchOptions {
  readonly place: Place;
  readonly binaries: Binaries;
  readonly account: Account | undefined;
  /** Wanted by the caller: it fails if taken. Undefined: the port of last time, or any. */
  readonly port: number | undefined;
  readonly settings: Readonly<Record<string, string>>;
}

const POLL_MS = 10;
/** Recovery after a crash can replay up to max_wal_size (1 GB). */
const READY_WITHIN_MS = 120_000;
/** Backends outlive a killed postmaster by what they are in the middle of, and PostgreSQL waits for none of them. */
const ORPHANS_GONE_WITHIN_MS = 15_000;
const LOG_LIMIT_BYTES = 5_000_000;

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  // No socket: its path would have to be short and reachable by both accounts.
  unix_socket_directories: "",
  timezone: "UTC",
  // Details, statements and parameters hold what people typed.
  log_error_verbosity: "terse",
  log_min_error_statement: "panic",
};

/** Starts the server and returns its pid and port once it is ready. Call under the lock, with no server on the folder. */
export async function launchServer(options: LaunchOptions): Promise<{ pid: number; port: number }> {
  const giveUpAtMs = systemClock.monotonicMs() + ORPHANS_GONE_WITHIN_MS;
  for (;;) {
    await disarmStalePid(options.place.data);
    const port = await choosePort(options);
    const outcome = await tryLaunch(options, port);
    if (outcome.kind === "ready") {
      await writeFile(options.place.port, `${port}\n`);
      return { pid: outcome.pid, port };
    }
    const portLost = outcome.log.includes("could not bind") && options.port === undefined;
    const orphansLeft = outcome.log.includes("pre-existing shared memory block");
    if (!(portLost || orphansLeft) || systemClock.monotonicMs() > giveUpAtMs) throw new Error(explain(options, outcome.log));
    await delay(100);
  }
}

/** The same port each time, so that what a developer connected stays connected. */
async function choosePort(options: LaunchOptions): Promise<number> {
  if (options.port !== undefined) return options.port;
  const remembered = Number(await readIfThere(options.place.port));
  return remembered > 0 && (await isFree(remembered)) ? remembered : freePort();
}

type Outcome = { readonly kind: "ready"; readonly pid: number } | { readonly kind: "ended"; readonly log: string };

async function tryLaunch(options: LaunchOptions, port: number): Promise<Outcome> {
  const { place, binaries, account } = options;
  const logFrom = await rotateLog(place.log);
  await using log = await open(place.log, "a", 0o600);
  const settings = { ...SETTINGS, port: String(port), [MARKER]: await markerValue(place.data), ...options.settings };
  const child = spawn(
    binaries.postgres,
    ["-D", dataArgument(place.data, account), ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    {
      cwd: place.data,
      ...identity(account),
      env: PROGRAM_ENVIRONMENT,
      // A file, not a pipe to us: the server may outlive this process.
      stdio: ["ignore", log.fd, log.fd],
      // Its own group: Ctrl-C is for us, and we end the server when our own work is done.
      detached: true,
    },
  );
  const life = watch(child);
  await life.spawned;
  child.unref();
  const pid = child.pid as number;
  if (await becomesReady(place.data, pid, life)) return { kind: "ready", pid };
  const text = await readFile(place.log);
  return { kind: "ended", log: text.subarray(logFrom).toString("utf8") };
}

interface Life {
  readonly spawned: Promise<void>;
  readonly hasEnded: () => boolean;
}

function watch(child: ChildProcess): Life {
  let ended = false;
  child.once("exit", () => (ended = true));
  const spawned = new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  return { spawned, hasEnded: () => ended };
}

async function becomesReady(data: string, pid: number, life: Life): Promise<boolean> {
  const giveUpAtMs = systemClock.monotonicMs() + READY_WITHIN_MS;
  while (!life.hasEnded()) {
    const state = await inspectServer(data);
    if (state.kind === "running" && state.pid === pid && state.ready) return true;
    if (systemClock.monotonicMs() > giveUpAtMs) {
      await endServer(data, pid);
      throw new Error(`PostgreSQL on ${data} was not ready after ${READY_WITHIN_MS} ms and was ended`);
    }
    await delay(POLL_MS);
  }
  return false;
}

/** Keeps one earlier log; returns where the next line will stand. */
async function rotateLog(path: string): Promise<number> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size < LOG_LIMIT_BYTES) return size;
  await rename(path, `${path}.1`);
  return 0;
}

function explain(options: LaunchOptions, log: string): string {
  const { place, port } = options;
  if (log.includes("could not bind") && port !== undefined) return `Port ${port} of 127.0.0.1 is taken: PostgreSQL cannot listen there`;
  const fatal = log.split("\n").filter((line) => /\b(FATAL|PANIC|HINT):/.test(line));
  return `PostgreSQL did not start on ${place.data}: ${(fatal.length > 0 ? fatal : [log]).join(" ").trim()} (its log: ${place.log})`;
}
