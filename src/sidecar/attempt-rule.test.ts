import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { Action } from "#src/kernel/actor";
import { judgeAttempt, waitAfterMs, type Counted } from "./attempt-rule.ts";

const pace = { freeTries: 4, firstSeconds: 1, mostSeconds: 60 };
const action: Action = { name: "test", limit: 20, windowSeconds: 900, pace };
const start = Date.parse("2026-11-27T12:00:00Z");

/** Tries at these moments, each so many ms after the one before. @returns what became of each, with its moment */
function tries(gapsMs: readonly number[], of = action): { readonly atMs: number; readonly passed: boolean; readonly againInMs: number }[] {
  let stored: Counted | undefined;
  let atMs = start;
  return gapsMs.map((gapMs) => {
    atMs += gapMs;
    const judged = judgeAttempt(stored, of, atMs);
    if (judged.kind === "let-through") stored = judged.counted;
    return { atMs, passed: judged.kind === "let-through", againInMs: judged.kind === "refused" ? judged.againInMs : 0 };
  });
}

/** Somebody who comes back the moment they may: when each try is let through, in seconds after the first. */
function atEarliest(many: number): number[] {
  const moments: number[] = [];
  let stored: Counted | undefined;
  let atMs = start;
  while (moments.length < many) {
    const judged = judgeAttempt(stored, action, atMs);
    if (judged.kind === "refused") {
      atMs += judged.againInMs;
      continue;
    }
    stored = judged.counted;
    moments.push((atMs - start) / 1000);
  }
  return moments;
}

describe("the pace of tries", () => {
  it("is felt by nobody who is right at the fourth try", () => {
    expect(tries([0, 0, 0, 0]).every(({ passed }) => passed)).toBe(true);
  });

  it("doubles each wait from one second to a minute, and ends with the budget", () => {
    expect(atEarliest(13)).toEqual([0, 0, 0, 0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    expect(atEarliest(21).slice(-2)).toEqual([663, 900]);
    expect(waitAfterMs(1_000_000, pace)).toBe(60_000);
  });

  it("lets through, whatever is tried when, no more than the budget and never before its wait", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 90_000 }), { minLength: 1, maxLength: 200 }), (gaps) => {
        const passed = tries(gaps).filter((one) => one.passed);
        passed.forEach(({ atMs }, at) => {
          const inWindow = passed.filter((other) => other.atMs > atMs - 1000 * action.windowSeconds && other.atMs <= atMs);
          // A window ends with its first try: two may touch.
          expect(inWindow.length).toBeLessThanOrEqual(2 * action.limit);
          const fifthBefore = passed[at - pace.freeTries];
          if (fifthBefore !== undefined && atMs - fifthBefore.atMs < 1000) {
            // Five within a second: a window has ended among them.
            expect(passed.slice(at - pace.freeTries, at + 1).some((one) => one.atMs - start >= 1000 * action.windowSeconds)).toBe(true);
          }
        });
      }),
    );
  });

  it("tells truly when the next try is let through: not before, and then", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 90_000 }), { minLength: 1, maxLength: 60 }), (gaps) => {
        let stored: Counted | undefined;
        let atMs = start;
        for (const gapMs of gaps) {
          atMs += gapMs;
          const judged = judgeAttempt(stored, action, atMs);
          if (judged.kind === "let-through") {
            stored = judged.counted;
            continue;
          }
          expect(judged.againInMs).toBeGreaterThan(0);
          expect(judgeAttempt(stored, action, atMs + judged.againInMs - 1).kind).toBe("refused");
          expect(judgeAttempt(stored, action, atMs + judged.againInMs).kind).toBe("let-through");
        }
      }),
    );
  });

  it("is forgotten when the window ends, and by clocks that differ nobody waits longer than it says", () => {
    const stored = { count: 19, endsMs: start + 900_000, lastMs: start + 30_000 };
    expect(judgeAttempt(stored, action, start)).toEqual({ kind: "refused", againInMs: 60_000 });
    expect(judgeAttempt(stored, action, start + 900_000)).toMatchObject({ kind: "let-through", counted: { count: 1 } });
  });

  it("reads what the version before it wrote, and nothing else", () => {
    expect(judgeAttempt({ count: 7, endsMs: start + 1 }, action, start)).toMatchObject({ kind: "let-through", counted: { count: 8 } });
    for (const odd of [undefined, null, 7, "x", {}, { count: "7", endsMs: start + 1 }, { count: 1, endsMs: start + 1, lastMs: "x" }]) {
      expect(judgeAttempt(odd, action, start)).toMatchObject({ counted: { count: 1 } });
    }
  });

  it("is not there for budgets without one", () => {
    const { pace: _, ...plain } = action;
    expect(
      tries(
        Array.from({ length: 21 }, () => 0),
        plain,
      ).map(({ passed }) => passed),
    ).toEqual([...Array.from({ length: 20 }, () => true), false]);
  });
});
