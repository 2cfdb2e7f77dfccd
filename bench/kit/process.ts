/** Processes of the bench: on the same Node, their output in a file, gone when the bench is gone. */

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync, closeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { delay } from "#src/kernel/clock";
import { Caller } from "./rpc.ts";

/** What to start. */
export interface ProgramSpec {
  /** From the root of the repository. */
  readonly entry: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where both output streams go. */
  readonly logFile: string;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const STOP_WITHIN_MS = 20_000;
const READY_WITHIN_MS = 20_000;

/**
 * A started program. Each has an IPC channel and leaves when that closes, so it does not outlive the bench, however
 * that ends.
 */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #caller: Caller;

  private constructor(child: ChildProcess, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
    this.#caller = new Caller(child);
  }

  /** Starts it and returns once it runs. */
  static async start(spec: ProgramSpec): Promise<Program> {
    const log = openSync(spec.logFile, "a");
    const { PATH = "/usr/bin:/bin", HOME = "/", TMPDIR } = process.env;
    const child = spawn(process.execPath, [spec.entry, ...(spec.args ?? [])], {
      cwd: ROOT,
      env: { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...spec.env },
      stdio: ["ignore", log, log, "ipc"],
      // Its own group: Ctrl-C is for the bench, which then ends its programs in order.
      detached: true,
    });
    closeSync(log);
    await once(child, "spawn");
    return new Program(child, spec.logFile);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get call(): Caller["call"] {
    return this.#caller.call.bind(this.#caller);
  }

  /** Waits until a GET of `url` answers 2xx. @throws Error with what the program wrote when it ends before */
  async ready(url: string): Promise<void> {
    const giveUp = AbortSignal.timeout(READY_WITHIN_MS);
    while (!(await answers(url))) {
      if (this.#hasEnded() || giveUp.aborted) throw new Error(`${this.#child.spawnargs.join(" ")} is not ready:\n${await this.output()}`);
      await delay(50);
    }
  }

  /** The end of what the program wrote. */
  async output(): Promise<string> {
    return (await readFile(this.#logFile, "utf8")).slice(-4_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded()) return;
    const exited = once(this.#child, "exit");
    if (this.#child.connected) this.#child.disconnect();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_WITHIN_MS);
    await exited;
    clearTimeout(timer);
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return response.ok;
  } catch (error) {
    if (error instanceof Error) return false;
    throw error;
  }
}
