/** What processes use of the machine, from Linux's /proc. */

import { readFileSync, readdirSync } from "node:fs";

/** A tick of /proc/<pid>/stat: USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

interface Stat {
  readonly parent: number;
  readonly ownMs: number;
  /** Of children that have ended. */
  readonly endedChildrenMs: number;
}

/** Milliseconds of CPU, user and system, that a process with all its threads has used. */
export function cpuMs(pid: number): number {
  return statOf(pid)?.ownMs ?? 0;
}

/** The same of a process and its children, those that ended meanwhile included: for PostgreSQL's main process. */
export function treeCpuMs(root: number): number {
  const own = statOf(root);
  let sum = (own?.ownMs ?? 0) + (own?.endedChildrenMs ?? 0);
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat?.parent === root) sum += stat.ownMs;
  }
  return sum;
}

/** Memory of a process that is in RAM, in bytes. */
export function rssBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

function statOf(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It ended between the listing and this moment.
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
  // The name in brackets may hold anything; after it the third field begins.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number): number => Number(fields[number - 3]);
  return { parent: field(4), ownMs: (field(14) + field(15)) * TICK_MS, endedChildrenMs: (field(16) + field(17)) * TICK_MS };
}
