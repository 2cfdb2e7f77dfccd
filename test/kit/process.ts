/** Real processes in tests: started, watched, killed and always gone afterwards, also when the test run is killed itself. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { delay } from "#src/kernel/clock";
import { findTool } from "./find-tool.ts";
import { until } from "./until.ts";

/** What to run. */
export interface ProgramOptions {
  readonly command: string;
  readonly args?: readonly string[];
  /** Beside PATH, HOME and TMPDIR; nothing else is inherited. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** For a program that starts others: they form a process group, and the end is the whole group's. */
  readonly ownGroup?: boolean;
  /** Root may run it as someone else. */
  readonly account?: { readonly uid: number; readonly gid: number };
  /** An IPC channel, for programs that leave when it closes. */
  readonly ipc?: boolean;
}

/** What to run on the Node of the tests. */
export type ServiceOptions = Omit<ProgramOptions, "command"> & { readonly entry: string };

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const GRACE_MS = 10_000;
const STOPS_WITHIN_MS = 1_000;

/** Starts a program and returns once it runs. */
export async function startProgram(options: ProgramOptions): Promise<RunningProgram> {
  const [command, args] = diesWithUs(options.command, options.args ?? []);
  const { PATH = "/usr/bin:/bin", HOME = "/", TMPDIR } = process.env;
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { PATH, HOME, ...(TMPDIR ? { TMPDIR } : {}), ...options.env },
    stdio: ["ignore", "pipe", "pipe", ...(options.ipc === true ? (["ipc"] as const) : [])],
    detached: options.ownGroup === true,
    ...options.account,
  });
  const program = new RunningProgram(child, options.ownGroup === true);
  await once(child, "spawn");
  return program;
}

/** Where Node keeps what it has compiled: of a start, half is compiling, and a run of all tests has hundreds. */
const COMPILED = fileURLToPath(new URL("../../.cache/node", import.meta.url));

/** Starts an entry file on the Node that runs the tests. */
export function startService({ entry, args = [], env = {}, ...rest }: ServiceOptions): Promise<RunningProgram> {
  return startProgram({ ...rest, env: { NODE_COMPILE_CACHE: COMPILED, ...env }, command: process.execPath, args: [entry, ...args] });
}

/** Linux kills the program when this process dies, however it dies. Elsewhere only an orderly end takes it along. */
function diesWithUs(command: string, args: readonly string[]): [string, string[]] {
  const setpriv = process.platform === "linux" ? findTool("setpriv") : undefined;
  return setpriv === undefined ? [command, [...args]] : [setpriv, ["--pdeathsig", "SIGKILL", "--", command, ...args]];
}

/** A thread on another core goes on for a moment after the signal, long enough to answer. Not awaited, so that nothing comes in between. */
function waitUntilStopped(pid: number): void {
  const threads = `/proc/${pid}/task`;
  const giveUpMs = performance.now() + STOPS_WITHIN_MS;
  const isStopped = (thread: string): boolean => /^\d+ \(.*\) [TtZX] /s.test(readFileSync(`${threads}/${thread}/stat`, "latin1"));
  try {
    while (performance.now() < giveUpMs && !readdirSync(threads).every(isStopped));
  } catch (error) {
    // A thread that ended meanwhile, or no Linux.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** A started program. Disposal ends it: politely, then by force. */
export class RunningProgram implements AsyncDisposable {
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #ownGroup: boolean;
  #output = "";
  #exit: Exit | undefined;

  constructor(child: ChildProcess, ownGroup: boolean) {
    this.#child = child;
    this.#ownGroup = ownGroup;
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text: string) => (this.#output += text));
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Both streams so far, in the order they came. */
  get output(): string {
    return this.#output;
  }

  /** Waits for output that matches; rejects at once when the program ends without. */
  async line(pattern: RegExp, withinMs = 60_000): Promise<RegExpMatchArray> {
    return this.#whileAlive(() => this.#output.match(pattern), { withinMs, what: `output ${String(pattern)}` });
  }

  /** Waits until a GET of `url` answers 2xx; rejects at once when the program ends before. */
  async ready(url: string, withinMs = 60_000): Promise<void> {
    const probe = async (): Promise<boolean> => {
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000), headers: { connection: "close" } });
      await response.arrayBuffer();
      return response.ok;
    };
    await this.#whileAlive(probe, { withinMs, what: `${url} to answer` });
  }

  /** Sends a signal to the program, or to its group if it has its own. SIGKILL, SIGSTOP and SIGCONT are what tests want. */
  signal(signal: NodeJS.Signals): void {
    if (this.#exit !== undefined && !this.#ownGroup) return;
    try {
      process.kill(this.#ownGroup ? -this.pid : this.pid, signal);
      if (signal === "SIGSTOP") waitUntilStopped(this.pid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  /** Signals the program alone, also where it has its own group. */
  signalLeader(signal: NodeJS.Signals): void {
    if (this.#exit === undefined) process.kill(this.pid, signal);
  }

  /** Closes the IPC channel, as the death of the program's parent would. */
  disconnect(): void {
    this.#child.disconnect();
  }

  /** Ends the program as an operator would and returns how it ended. */
  async stop(signal: NodeJS.Signals = "SIGTERM", withinMs = GRACE_MS): Promise<Exit> {
    this.signal(signal);
    const waiting = new AbortController();
    const exit = await Promise.race([this.exited, delay(withinMs, waiting.signal)]);
    waiting.abort();
    if (exit === undefined) throw new Error(`${signal} did not end ${this.#child.spawnfile} within ${withinMs} ms:\n${this.#output}`);
    return exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#exit === undefined) {
      this.signal("SIGCONT");
      await this.stop().catch(() => {});
    }
    this.signal("SIGKILL");
    await this.exited;
  }

  async #whileAlive<T>(probe: () => T | null | Promise<T | null>, options: { withinMs: number; what: string }): Promise<T> {
    // Looked at before the probe: what the program said last, before it ended, still counts.
    const attempt = async (): Promise<{ answer: T | null; ended: boolean }> => {
      const ended = this.#exit !== undefined;
      return { ended, answer: await probe() };
    };
    const look = () => attempt().then((seen) => (seen.answer || seen.ended ? seen : undefined));
    try {
      const { answer } = await until(look, options);
      if (answer) return answer;
      throw new Error(`ended before ${options.what}`);
    } catch (cause) {
      throw new Error(`${String(cause)}; exit: ${JSON.stringify(this.#exit)}; output:\n${this.#output}`, { cause });
    }
  }
}
