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
const TRIES = 3;
const REMEMBERED = 100_000;

/** Counts by compare-and-set, three tries, then refuses: whoever races that hard is not an honest client. */
export function createAttempts(needs: Needs): Attempts & { readonly sharing: () => boolean } {
  const own = new LRUCache<string, Counted>({ max: REMEMBERED });
  let sharing = true;
  const noteSharing = (works: boolean, error?: unknown): void => {
    if (works !== sharing) needs.log.warn({ works, error }, "shared throttles changed state");
    sharing = works;
  };
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
    try {
      const counted = await shared(key, action);
      noteSharing(true);
      return counted;
    } catch (error) {
      noteSharing(false, error);
      return alone(key, action);
    }
  };
  return {
    sharing: () => sharing,
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
      await needs.state.delete(key, "anything", AbortSignal.timeout(STATE_TIMEOUT_MS)).catch((error: unknown) => noteSharing(false, error));
    },
  };
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
