import { describe, expect, it } from "@jest/globals";
import { systemClock } from "#src/kernel/clock";
import { until } from "../../test/kit/until.ts";
import { createKeyQueue, type KeyQueueOptions } from "./queue.ts";

/** A queue whose work is told from outside. */
function queueOf(options: Partial<KeyQueueOptions> = {}) {
  const looks: { key: string; attempt: number; atMs: number }[] = [];
  let running = 0;
  const most = { all: 0, ofOneKey: 0 };
  const now = new Map<string, number>();
  const queue = createKeyQueue({
    clock: systemClock,
    backoff: { firstMs: 20, mostMs: 80 },
    random: () => 1,
    ...options,
    work: async (key, attempt, signal) => {
      looks.push({ key, attempt, atMs: systemClock.monotonicMs() });
      running += 1;
      now.set(key, (now.get(key) ?? 0) + 1);
      most.all = Math.max(most.all, running);
      most.ofOneKey = Math.max(most.ofOneKey, now.get(key) ?? 0);
      try {
        return await (options.work?.(key, attempt, signal) ?? Promise.resolve(undefined));
      } finally {
        running -= 1;
        now.set(key, (now.get(key) ?? 1) - 1);
      }
    },
  });
  return { ...queue, looks, most, [Symbol.asyncDispose]: queue.stop };
}

/** Work that ends when it is told to. */
function gate() {
  const waiting: (() => void)[] = [];
  return {
    work: () => new Promise<undefined>((resolve) => waiting.push(() => resolve(undefined))),
    waiting,
    open: () => waiting.shift()?.(),
  };
}

describe("a queue of keys", () => {
  it("works on a key once for any number of calls, and once more for what came meanwhile", async () => {
    const { work, waiting, open } = gate();
    await using queue = queueOf({ work });
    for (let count = 0; count < 10; count += 1) queue.add("a");
    await until(() => waiting.length === 1);
    for (let count = 0; count < 10; count += 1) queue.add("a");
    expect(queue.depth()).toBe(1);
    open();
    await until(() => waiting.length === 1 && queue.looks.length === 2);
    open();
    await until(() => queue.depth() === 0);
    expect(queue.looks).toHaveLength(2);
    expect(queue.most.ofOneKey).toBe(1);
  });

  it("has no more workers than it may, and one a key", async () => {
    const { work, waiting, open } = gate();
    await using queue = queueOf({ work, workers: 3 });
    for (const key of ["a", "b", "c", "d", "e"]) queue.add(key);
    await until(() => waiting.length === 3);
    expect(queue.depth()).toBe(2);
    for (let count = 0; count < 5; count += 1) {
      await until(() => waiting.length > 0);
      open();
    }
    await until(() => queue.looks.length === 5);
    expect(queue.most).toEqual({ all: 3, ofOneKey: 1 });
  });

  it("waits longer after each failure, up to a limit, and forgets failures at a success", async () => {
    let isWell = false;
    const work = (): Promise<undefined> => (isWell ? Promise.resolve(undefined) : Promise.reject(new Error("no")));
    const failures: unknown[] = [];
    await using queue = queueOf({ work, failed: (_key, error) => void failures.push(error) });
    queue.add("a");
    await until(() => queue.looks.length === 5);
    const pauses = queue.looks.slice(1).map(({ atMs }, index) => atMs - (queue.looks[index]?.atMs ?? 0));
    for (const [index, least] of [20, 40, 80, 80].entries()) expect(pauses[index]).toBeGreaterThanOrEqual(least - 2);
    expect(queue.looks.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5]);
    isWell = true;
    await until(() => queue.looks.length === 6);
    queue.add("a");
    await until(() => queue.looks.length === 7);
    expect(queue.looks.at(-1)?.attempt).toBe(1);
    expect(failures).toHaveLength(5);
  });

  it("comes again after the time that the work asks for, and keeps the earlier of two", async () => {
    await using queue = queueOf({ work: (_key, _attempt) => Promise.resolve(queue.looks.length === 1 ? 60 : undefined) });
    queue.add("a");
    await until(() => queue.looks.length === 1);
    queue.addAfter("a", 100_000);
    await until(() => queue.looks.length === 2);
    expect((queue.looks[1]?.atMs ?? 0) - (queue.looks[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(58);
    expect(queue.depth()).toBe(0);
  });

  it("brings forward what waits after a failure, and nothing else", async () => {
    let isWell = false;
    const work = (key: string): Promise<number | undefined> => {
      if (key === "patient") return Promise.resolve(60_000);
      return isWell ? Promise.resolve(undefined) : Promise.reject(new Error("no"));
    };
    await using queue = queueOf({ work, backoff: { firstMs: 60_000, mostMs: 60_000 } });
    queue.add("patient");
    queue.add("failed");
    await until(() => queue.looks.length === 2 && queue.depth() === 0);
    isWell = true;
    queue.hurry();
    await until(() => queue.looks.length === 3);
    expect(queue.looks.at(-1)).toMatchObject({ key: "failed", attempt: 2 });
  });

  it("stops: aborts what runs, waits for its end, takes nothing more, leaves no timer", async () => {
    const ended: string[] = [];
    const work = (key: string, _attempt: number, signal: AbortSignal): Promise<undefined> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          ended.push(key);
          reject(signal.reason as Error);
        });
      });
    const queue = queueOf({ work, workers: 1 });
    queue.add("a");
    queue.add("b");
    queue.addAfter("c", 10);
    await until(() => queue.looks.length === 1);
    await queue.stop();
    queue.add("d");
    expect(ended).toEqual(["a"]);
    expect(queue.looks).toHaveLength(1);
    expect(queue.depth()).toBe(0);
  });
});
