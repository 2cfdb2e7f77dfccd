/** Budgets of attempts that hold across processes: counters in sidecar state, in this process's memory while that is away. */

import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Action, Attempts } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { Problem, type ProblemType } from "#src/kernel/problem";
import type { SidecarState } from "./port.ts";

interface Needs {
  readonly state: SidecarState;
  readonly clock: Clock;
  readonly log: Log;
  /** False when the operator switched rate limits off. */
  readonly enabled: boolean;
  /** What a used-up budget is refused with. */
  readonly refusal: ProblemType;
}

interface Counted {
  readonly count: number;
  /** Wall time in ms when the window ends. */
  readonly endsMs: number;
}

const STATE_TIMEOUT_MS = 250;
/** How often state is asked whether it is back, while it is away. */
const PROBE_EVERY_MS = 1_000;
/** One slow answer is no outage: so many failures in a row are, and cost that many attempts their wait. */
const OUTAGE_AFTER = 3;
const PROBE_KEY = "attempts:probe";
const TRIES = 3;
const REMEMBERED = 100_000;

/**
 * Counts by compare-and-set, three tries, then refuses: whoever races that hard is not an honest client. What state could not
 * count this process counts for itself; after some failures in a row no attempt waits for state until it has answered again.
 */
export function createAttempts(needs: Needs): Attempts & { readonly sharing: () => boolean } {
  const own = new LRUCache<string, Counted>({ max: REMEMBERED });
  const link = watchState(needs);
  const shared = async (key: string, action: Action): Promise<Counted | "raced"> => {
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      const signal = AbortSignal.timeout(STATE_TIMEOUT_MS);
      const entry = await needs.state.get(key, signal);
      const counted = next(entry?.value, action, needs.clock);
      const expected = entry === undefined ? ("nothing" as const) : { etag: entry.etag };
      if ((await needs.state.set(key, counted, { expected, ttlSeconds: action.windowSeconds }, signal)) === "set") return counted;
    }
    return "raced";
  };
  const alone = (key: string, action: Action): Counted => {
    const counted = next(own.get(key), action, needs.clock);
    own.set(key, counted);
    return counted;
  };
  const count = async (key: string, action: Action): Promise<Counted | "raced"> => {
    if (link.isAway()) return alone(key, action);
    try {
      const counted = await shared(key, action);
      link.worked();
      return counted;
    } catch (error) {
      link.failed(error);
      return alone(key, action);
    }
  };
  return {
    sharing: link.works,
    take: async (action, subject) => {
      if (!needs.enabled) return;
      const counted = await count(keyOf(action, subject), action);
      if (counted === "raced") throw new Problem(needs.refusal, { retryAfterSeconds: 1 });
      const endsInMs = counted.endsMs - needs.clock.now().getTime();
      if (counted.count > action.limit) throw new Problem(needs.refusal, { retryAfterSeconds: Math.max(1, Math.ceil(endsInMs / 1000)) });
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

function next(value: unknown, action: Action, clock: Clock): Counted {
  const nowMs = clock.now().getTime();
  if (isCounted(value) && value.endsMs > nowMs) return { count: value.count + 1, endsMs: value.endsMs };
  return { count: 1, endsMs: nowMs + action.windowSeconds * 1000 };
}

function isCounted(value: unknown): value is Counted {
  return (
    typeof value === "object" &&
    value !== null &&
    "count" in value &&
    typeof value.count === "number" &&
    "endsMs" in value &&
    typeof value.endsMs === "number"
  );
}
