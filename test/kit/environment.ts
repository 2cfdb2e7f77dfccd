/** Jest's Node environment, which fails a test file that leaves something open: a socket, a server, a process, a timer. */

import { TestEnvironment } from "jest-environment-node";
import { delay } from "#src/kernel/clock";
import { watchTimers, type TimerGlobals } from "./own-timers.ts";
import { isAlive, runPid } from "./run-folder.ts";
import { until } from "./until.ts";

/** Long enough for a socket's close to go round the event loop, too short for a keep-alive time-out to hide a leak. */
const SETTLE_WITHIN_MS = 1_000;
const APPEARS_WITHIN_MS = 20;
/** File reads may be on their way in Jest, which has timers of its own too: those of the test file are watched one by one. */
const NOT_OURS: ReadonlySet<string> = new Set(["FSReqCallback", "FSReqPromise", "CloseReq", "Immediate", "Timeout"]);

// Where the run was killed, Jest and its workers would go on to the end of their files, and nobody would hear of it.
setInterval(() => isAlive(runPid()) || process.exit(1), 500).unref();

/** One per test file. */
// oxlint-disable-next-line import/no-default-export -- Jest takes only a default export
export default class NoOpenHandlesEnvironment extends TestEnvironment {
  #before: ReadonlyMap<string, number> = new Map();
  #hasFailed = false;
  #timers: () => readonly string[] = () => [];

  override async setup(): Promise<void> {
    await super.setup();
    // Opened at their first use, for good: where they are pipes, whoever logs first would seem to have left them open.
    process.stdout.write("");
    process.stderr.write("");
    // So is standard input by whoever lists what `process` has.
    void process.stdin;
    this.#timers = watchTimers(this.global as unknown as TimerGlobals);
    this.#before = openHandles();
  }

  /** Told by Jest of all that happens. */
  handleTestEvent(event: { readonly name: string; readonly test?: { readonly errors: readonly unknown[] } }): void {
    const isTestFailed = event.name === "test_done" && (event.test?.errors.length ?? 0) > 0;
    if (isTestFailed || event.name === "hook_failure") this.#hasFailed = true;
  }

  override async teardown(): Promise<void> {
    await super.teardown();
    // A test that failed has left what it was waiting for; our complaint would stand in place of its own.
    if (this.#hasFailed) return;
    // What the test began in its last moment has to appear first: a server listens a few turns of the event loop later.
    await delay(APPEARS_WITHIN_MS);
    let left: readonly string[] = [];
    const isClean = (): boolean => {
      left = [...difference(this.#before, openHandles()), ...this.#timers().map((timer) => `a timer of ${timer}`)];
      return left.length === 0;
    };
    await until(isClean, { withinMs: SETTLE_WITHIN_MS }).catch(() => {
      throw new Error(`The test file left open: ${left.join(", ")}. Close what it opens (await using).`);
    });
  }
}

function openHandles(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (!NOT_OURS.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

function difference(before: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): string[] {
  const grown = [...now].filter(([kind, count]) => count > (before.get(kind) ?? 0));
  return grown.map(([kind, count]) => `${count - (before.get(kind) ?? 0)} × ${kind}`);
}
