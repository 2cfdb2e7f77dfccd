/** Waiting in tests: for a condition, never for a time. */

import { delay } from "#src/kernel/clock";

/** How long to wait, and for what in words. */
export interface UntilOptions {
  readonly withinMs?: number;
  readonly everyMs?: number;
  /** Completes "waited … ms for …". */
  readonly what?: string;
}

/**
 * Asks `probe` until it answers with something truthy, and returns that. A probe that throws has not answered yet.
 * @throws after `withinMs` (default 30 s), naming what was waited for and the last answer or error
 */
export async function until<T>(
  probe: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<Exclude<T, undefined | null | false | "" | 0>> {
  const { withinMs = 30_000, everyMs = 10, what = "a condition" } = options;
  const startMs = performance.now();
  let last: unknown;
  for (;;) {
    try {
      const answer = await probe();
      if (answer) return answer as Exclude<T, undefined | null | false | "" | 0>;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() - startMs > withinMs)
      throw new Error(`waited ${withinMs} ms for ${what}; last: ${String(last)}`, { cause: last });
    await delay(everyMs);
  }
}
