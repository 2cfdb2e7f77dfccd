/** Whether one more try is let through, and what is remembered of it: pure, so that every process and every clock says the same. */

import type { Action, Pace } from "#src/kernel/actor";

/** What is stored of a budget. */
export interface Counted {
  readonly count: number;
  /** Wall time in ms when the window ends, and all is forgotten. */
  readonly endsMs: number;
  /** Wall time in ms of the last try that was let through; what an older version wrote lacks it. */
  readonly lastMs?: number;
}

export type Judged =
  | { readonly kind: "let-through"; readonly counted: Counted }
  /** Nothing is counted: a refused try costs nothing, and whoever hammers makes nobody's wait longer. */
  | { readonly kind: "refused"; readonly againInMs: number };

/** @param stored what was remembered of the budget, whatever it is @param nowMs wall time */
export function judgeAttempt(stored: unknown, action: Action, nowMs: number): Judged {
  if (!isCounted(stored) || stored.endsMs <= nowMs) {
    return { kind: "let-through", counted: { count: 1, endsMs: nowMs + action.windowSeconds * 1000, lastMs: nowMs } };
  }
  const { count, endsMs, lastMs } = stored;
  if (count >= action.limit) return { kind: "refused", againInMs: endsMs - nowMs };
  const waitMs = action.pace === undefined ? 0 : waitAfterMs(count, action.pace);
  // By a clock that is ahead of ours the last try may be yet to come: nobody waits longer than the pace says.
  const againInMs = Math.min(waitMs, (lastMs ?? nowMs - waitMs) + waitMs - nowMs, endsMs - nowMs);
  if (againInMs > 0) return { kind: "refused", againInMs };
  return { kind: "let-through", counted: { count: count + 1, endsMs, lastMs: nowMs } };
}

/** Several tries at one moment, in their order. `counted`: what to remember, where one was let through. */
export function judgeMany(
  stored: unknown,
  action: Action,
  { nowMs, tries }: { readonly nowMs: number; readonly tries: number },
): { readonly judged: readonly Judged[]; readonly counted: Counted | undefined } {
  let counted: Counted | undefined;
  const judged = Array.from({ length: tries }, () => {
    const one = judgeAttempt(counted ?? stored, action, nowMs);
    if (one.kind === "let-through") counted = one.counted;
    return one;
  });
  return { judged, counted };
}

/** How long after try number `count` the next one waits, in ms: doubling from the last free one on. */
export function waitAfterMs(count: number, { freeTries, firstSeconds, mostSeconds }: Pace): number {
  return count < freeTries ? 0 : Math.min(mostSeconds, firstSeconds * 2 ** Math.min(count - freeTries, 30)) * 1000;
}

function isCounted(value: unknown): value is Counted {
  return (
    typeof value === "object" &&
    value !== null &&
    "count" in value &&
    typeof value.count === "number" &&
    "endsMs" in value &&
    typeof value.endsMs === "number" &&
    (!("lastMs" in value) || typeof value.lastMs === "number")
  );
}
