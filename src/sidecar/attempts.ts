/** Budgets of attempts that hold across processes: counters in sidecar state, in this process's memory while that is away. */

import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Action, Attempts } from "#src/kernel/actor";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { Problem, type ProblemType } from "#src/kernel/problem";
import { judgeAttempt, judgeMany, type Counted, type Judged } from "./attempt-rule.ts";
import type { SidecarState } from "./port.ts";

interface Needs {
  readonly state: SidecarState;
  readonly clock: Clock;
  readonly log: Log;
  /** False when the operator switched rate limits off. */
  readonly enabled: boolean;
  /** What a used-up budget is refused with. */
  readonly refusal: ProblemType;
  /** Keys that are remembered while state is away; memory for them is taken at once. */
  readonly capacity?: number;
}

const STATE_TIMEOUT_MS = 250;
/** How often state is asked whether it is back, while it is away. */
const PROBE_EVERY_MS = 1_000;
/** One slow answer is no outage: so many failures in a row are, and cost that many attempts their wait. */
const OUTAGE_AFTER = 3;
const PROBE_KEY = "attempts:probe";
/** Against other processes, each of which comes with all its tries at once: against three that never stop 1 in 100 lose so often. */
const TRIES = 16;
const MOST_PAUSE_MS = 8;
const CAPACITY = 100_000;
const RACED: Judged = { kind: "refused", againInMs: 0 };

/**
 * Counts by compare-and-set. Those who come at once to one process are counted together (group commit: DeWitt et al., 1984), so
 * they do not race each other: many people behind one address are not refused for signing in at the same moment. What state could
 * not count this process counts for itself; after some failures in a row no attempt waits for state until it has answered again.
 */
export function createAttempts(needs: Needs): Attempts & { readonly sharing: () => boolean } {
  const own = new LRUCache<string, Counted>({ max: needs.capacity ?? CAPACITY });
  const link = watchState(needs);
  const nowMs = (): number => needs.clock.now().getTime();
  const shared = together((key, action, tries) => countShared(needs, key, action, tries));
  const alone = (key: string, action: Action): Judged => {
    const judged = judgeAttempt(own.get(key), action, nowMs());
    if (judged.kind === "let-through") own.set(key, judged.counted);
    return judged;
  };
  const judge = async (key: string, action: Action): Promise<Judged> => {
    if (link.isAway()) return alone(key, action);
    try {
      const judged = await shared(key, action);
      link.worked();
      return judged;
    } catch (error) {
      link.failed(error);
      return alone(key, action);
    }
  };
  return {
    sharing: link.works,
    take: async (action, subject) => {
      if (!needs.enabled) return;
      const judged = await judge(keyOf(action, subject), action);
      if (judged.kind === "refused") throw refused(needs.refusal, action, judged.againInMs);
    },
    forgive: async (action, subject) => {
      if (!needs.enabled) return;
      const key = keyOf(action, subject);
      own.delete(key);
      if (link.isAway()) return;
      await needs.state.delete(key, "anything", AbortSignal.timeout(STATE_TIMEOUT_MS)).catch(link.failed);
    },
  };
}

/** By compare-and-set, several tries that came together. */
async function countShared({ state, clock }: Needs, key: string, action: Action, tries: number): Promise<readonly Judged[]> {
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    const signal = AbortSignal.timeout(STATE_TIMEOUT_MS);
    const entry = await state.get(key, signal);
    const { judged, counted } = judgeMany(entry?.value, action, { nowMs: clock.now().getTime(), tries });
    if (counted === undefined) return judged;
    const expected = entry === undefined ? ("nothing" as const) : { etag: entry.etag };
    if ((await state.set(key, counted, { expected, ttlSeconds: action.windowSeconds }, signal)) === "set") return judged;
    await delay(Math.random() * MOST_PAUSE_MS);
  }
  return Array.from({ length: tries }, () => RACED);
}

type Count = (key: string, action: Action, tries: number) => Promise<readonly Judged[]>;

/** Counts one try; those at one budget that come while it is being counted are counted next, all together. */
function together(count: Count): (key: string, action: Action) => Promise<Judged> {
  const waiting = new Map<string, ((judged: Promise<Judged>) => void)[]>();
  const countAll = async (key: string, action: Action): Promise<void> => {
    for (let batch = waiting.get(key) ?? []; batch.length > 0; batch = waiting.get(key) ?? []) {
      waiting.set(key, []);
      const all = count(key, action, batch.length);
      for (const [nth, resolve] of batch.entries()) resolve(all.then((judged) => judged[nth] ?? RACED));
      await all.catch(() => {});
    }
    waiting.delete(key);
  };
  return (key, action) =>
    new Promise((resolve) => {
      const others = waiting.get(key);
      if (others !== undefined) return void others.push(resolve);
      waiting.set(key, [resolve]);
      void countAll(key, action);
    });
}

/** Whether state can be counted on. While it cannot, both questions have it asked behind the caller's back, at most each `PROBE_EVERY_MS`. */
interface StateLink {
  /** Whether it did what it was asked last. */
  readonly works: () => boolean;
  /** Whether asking it is a waste of time. */
  readonly isAway: () => boolean;
  readonly worked: () => void;
  readonly failed: (error: unknown) => void;
}

function watchState({ state, clock, log }: Needs): StateLink {
  let failures = 0;
  let askAgainAtMs = 0;
  const worked = (): void => {
    if (failures > 0) log.warn({ works: true }, "shared throttles changed state");
    failures = 0;
  };
  const failed = (error: unknown): void => {
    if (failures === 0) log.warn({ works: false, error }, "shared throttles changed state");
    failures += 1;
    askAgainAtMs = clock.monotonicMs() + PROBE_EVERY_MS;
  };
  const probe = (): void => {
    if (clock.monotonicMs() < askAgainAtMs) return;
    askAgainAtMs = clock.monotonicMs() + PROBE_EVERY_MS;
    state.get(PROBE_KEY, AbortSignal.timeout(STATE_TIMEOUT_MS)).then(worked, failed);
  };
  const isAtMost = (most: number): boolean => {
    if (failures > 0) probe();
    return failures <= most;
  };
  return { works: () => isAtMost(0), isAway: () => !isAtMost(OUTAGE_AFTER - 1), worked, failed };
}

/** Names and addresses are hashed: state is not a place for them. */
function keyOf(action: Action, subject: string): string {
  return `${action.name}:${createHash("sha256").update(subject).digest("base64url")}`;
}

/** The same words whether the budget is used up or its pace wants a pause: what is left now is nothing, and when there is more. */
function refused(refusal: ProblemType, action: Action, againInMs: number): Problem {
  const retryAfterSeconds = Math.max(1, Math.ceil(againInMs / 1000));
  const headers = {
    "RateLimit-Limit": String(action.limit),
    "RateLimit-Remaining": "0",
    "RateLimit-Reset": String(retryAfterSeconds),
  };
  return new Problem(refusal, { retryAfterSeconds, headers });
}
