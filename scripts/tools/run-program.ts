/** A program run to its end, with all that it starts, unless it is told to stop before. */

import { spawn } from "node:child_process";
import { open } from "node:fs/promises";

/** How to run it. */
export interface RunOptions {
  /** Ends it and what it started. */
  readonly signal: AbortSignal;
  readonly cwd?: string;
  /** All of it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A new file for its standard output, which is else returned. */
  readonly stdoutTo?: string;
  /** Lines that are no part of what is wrong. */
  readonly noise?: RegExp;
}

const KEPT = 20_000;
const SAID_AT_FAILURE = 600;

/** @returns what it printed. @throws with the end of what it said where it fails, and with the signal's reason */
export async function runProgram(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  options.signal.throwIfAborted();
  await using file = options.stdoutTo === undefined ? undefined : await open(options.stdoutTo, "wx", 0o600);
  // A group of its own: compilers and package managers start others.
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env,
    stdio: ["ignore", file?.fd ?? "pipe", "pipe"],
    detached: true,
  });
  const end = (): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
  };
  options.signal.addEventListener("abort", end);
  let printed = "";
  let said = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (printed += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said = `${said}${text}`.slice(-KEPT)));
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once("error", (error: NodeJS.ErrnoException) => {
    reject(error.code === "ENOENT" ? new Error(`${command} is not on PATH`, { cause: error }) : error);
  });
  child.once("close", resolve);
  try {
    const code = await promise;
    options.signal.throwIfAborted();
    if (code === 0) return printed;
    throw new Error(`${command} ${args[0]}: ${oneLine(said || printed, options.noise) || `exit code ${code}`}`);
  } finally {
    options.signal.removeEventListener("abort", end);
  }
}

function oneLine(text: string, noise: RegExp | undefined): string {
  const lines = text.split("\n").map((line) => line.trim());
  const telling = lines.filter((line) => line !== "" && noise?.test(line) !== true);
  return telling.join("; ").slice(-SAID_AT_FAILURE);
}
