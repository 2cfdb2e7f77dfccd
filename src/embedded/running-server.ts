/** Which PostgreSQL, if any, serves a data folder at this moment, and how to end it. */

import { execFile } from "node:child_process";
import { readFile, readlink, realpath, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { delay, systemClock } from "#src/kernel/clock";
import { readIfThere } from "./place.ts";

const run = promisify(execFile);

/** A server parameter of ours on PostgreSQL's command line, by which its process is known again. */
export const MARKER = "user_service.folder";

/** What postmaster.pid and the process it names say. */
export type ServerState =
  | { readonly kind: "absent" }
  /** The file was left by a server that is gone; its pid may be someone else's by now. */
  | { readonly kind: "stale" }
  | { readonly kind: "running"; readonly pid: number; readonly port: number; readonly ready: boolean };

const POLL_MS = 10;
/** One above the largest pid Linux gives out (2^22), and far above everyone else's. */
const NOBODYS_PID = 4_194_305;

/** Reads postmaster.pid and looks at the process: only a postgres on this very folder counts as running. */
export async function inspectServer(data: string): Promise<ServerState> {
  const text = await readIfThere(join(data, "postmaster.pid"));
  if (text === undefined) return { kind: "absent" };
  // Lines: pid, folder, start time, port, socket folder, address, shared memory, state (miscadmin.h). Being written: fewer.
  const [pidLine = "", , , portLine = "", , , , stateLine = ""] = text.split("\n");
  const pid = Number(pidLine);
  if (!Number.isInteger(pid) || pid <= 0 || !(await servesFolder(pid, data))) return { kind: "stale" };
  return { kind: "running", pid, port: Number(portLine), ready: stateLine.trim() === "ready" };
}

/** The value of MARKER for a folder: device and inode follow a folder that is moved and tell a copy from its original. */
export async function markerValue(data: string): Promise<string> {
  const { dev, ino } = await stat(data);
  return `${dev}:${ino} ${await realpath(data)}`;
}

async function servesFolder(pid: number, data: string): Promise<boolean> {
  const [mark = ""] = (await markerValue(data)).split(" ");
  if (process.platform !== "linux") {
    const command = await run("ps", ["-ww", "-o", "command=", "-p", String(pid)]).then(
      (result) => result.stdout,
      () => "",
    );
    return command.includes(`${MARKER}=${mark} `);
  }
  // Readable by everyone, unlike cwd, which a root without CAP_SYS_PTRACE (in a container) may not ask of another account.
  // Of a process that has ended but was not waited for it is empty.
  const args = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
  if (basename(args[0] ?? "") !== "postgres") return false;
  const marked = args.find((argument) => argument.startsWith(`${MARKER}=`));
  if (marked !== undefined) return marked.startsWith(`${MARKER}=${mark} `);
  // Started by hand: PostgreSQL's working directory is its data folder.
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
  return cwd === (await realpath(data));
}

/**
 * Makes PostgreSQL see past the stale postmaster.pid it would otherwise obey: it refuses to start while any process of
 * its account has the pid in it, be it recycled or a zombie (as PID 1 of many containers leaves them). Only the pid is changed; the shared memory line stays, by
 * which PostgreSQL itself makes sure that no backend of the dead server still writes.
 */
export async function disarmStalePid(data: string): Promise<void> {
  if ((await inspectServer(data)).kind !== "stale") return;
  const path = join(data, "postmaster.pid");
  const text = await readIfThere(path);
  if (text === undefined) return;
  const rest = text.includes("\n") ? text.slice(text.indexOf("\n")) : "\n";
  await writeFile(path, `${NOBODYS_PID}${rest}`);
}

/** How PostgreSQL is asked to leave, politest first: cut clients and checkpoint, then leave recovery to the next start, then no question. */
const SIGNALS = [
  { signal: "SIGINT", patienceMs: 20_000 },
  { signal: "SIGQUIT", patienceMs: 3_000 },
  { signal: "SIGKILL", patienceMs: 5_000 },
] as const;

/** Ends the server of `data` if it still is the process `pid`, and returns when it is gone. */
export async function endServer(data: string, pid: number, firstSignal: "SIGINT" | "SIGQUIT" = "SIGINT"): Promise<void> {
  const from = SIGNALS.findIndex(({ signal }) => signal === firstSignal);
  for (const { signal, patienceMs } of SIGNALS.slice(from)) {
    if (!(await isServedBy(data, pid))) return;
    signalIfThere(pid, signal);
    if (await goneWithin(data, pid, patienceMs)) return;
  }
  throw new Error(`PostgreSQL (pid ${pid}) on ${data} does not end, not even by SIGKILL`);
}

async function goneWithin(data: string, pid: number, patienceMs: number): Promise<boolean> {
  const giveUpAtMs = systemClock.monotonicMs() + patienceMs;
  while ((await isServedBy(data, pid)) || (await isLeaving(data, pid))) {
    if (systemClock.monotonicMs() > giveUpAtMs) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** Whether a server that has removed its postmaster.pid, the last thing it does, is still there for the moment its exit takes. */
async function isLeaving(data: string, pid: number): Promise<boolean> {
  if (await servesFolder(pid, data)) return true;
  if (process.platform !== "linux") return false;
  // Its memory is given back first (no command line any more), then it is a zombie, then it is gone.
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return /^Name:\s+postgres$/m.test(status) && !/^State:\s+[ZX]/m.test(status);
}

async function isServedBy(data: string, pid: number): Promise<boolean> {
  const state = await inspectServer(data);
  return state.kind === "running" && state.pid === pid;
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
