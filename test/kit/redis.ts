/** A Redis of a test's own: nothing on disk, nobody else on it. */

import { freePort } from "#src/embedded/free-port";
import type { RunningProgram } from "./process.ts";
import { startProgram } from "./process.ts";

/** A running Redis. To take it away in a test, use `program` (`signal("SIGKILL")`, `stop()`). */
export interface Redis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly program: RunningProgram;
}

/** Starts `redis-server` at `path` (see `describeWith("redis-server", …)`); a port can be given to come back on the same. */
export async function startRedis(path: string, port?: number): Promise<Redis> {
  const chosen = port ?? (await freePort());
  const args = ["--port", String(chosen), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/"];
  const program = await startProgram({ command: path, args });
  try {
    await program.line(/Ready to accept connections/);
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
  return { url: `redis://127.0.0.1:${chosen}`, port: chosen, program, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}
