/** How often one account or address may do one action, counted in this process. */

import type { Action, Actor, Client, Throttle } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { Problem } from "#src/kernel/problem";
import { rateLimited } from "./http.errors.ts";

/** Who is counted: the account where there is one (of an impersonation the admin's), else the address. */
type Who = Parameters<Throttle>[1];

/** A throttle whose answer says how much is left, as flat `RateLimit-*` headers; nothing when limits are off. */
export type CountingThrottle = (
  action: Action,
  who: { readonly actor?: Actor | undefined; readonly client: Client },
) => readonly string[] | undefined;

export interface ThrottleOptions {
  readonly clock: Clock;
  /** `RATE_LIMITS=off` for tests and measurements; refused in production by the configuration. */
  readonly enabled: boolean;
  /** Told of each refusal, for metrics and the security stream. */
  readonly onLimited?: (action: Action, who: Who) => void;
  /** How many pairs of action and caller are remembered; the one longest untouched is forgotten first. About 200 bytes each. */
  readonly maxKeys?: number;
}

/**
 * GCRA: a pair of action and caller is one number, the moment at which its allowance would be whole again. Allows `limit`
 * at once and then one each `windowSeconds / limit`; a refused try costs nothing, so waiting always helps.
 */
export function createThrottle(options: ThrottleOptions): CountingThrottle {
  const { clock, onLimited, maxKeys = 100_000 } = options;
  if (!options.enabled) return () => undefined;
  const wholeAtMs = new Map<string, number>();
  return (action, who) => {
    const key = `${action.name} ${who.actor?.impersonatorId ?? who.actor?.userId ?? who.client.addressKey}`;
    const nowMs = clock.monotonicMs();
    const windowMs = action.windowSeconds * 1000;
    const stepMs = windowMs / action.limit;
    const next = Math.max(wholeAtMs.get(key) ?? 0, nowMs) + stepMs;
    if (next - nowMs > windowMs + 0.001) {
      onLimited?.(action, who);
      throw tooOften(action, next - stepMs - nowMs, next - nowMs - windowMs);
    }
    wholeAtMs.delete(key); // set again at the end: the map's order is by last touch
    wholeAtMs.set(key, next);
    forgetOldest(wholeAtMs, nowMs, maxKeys);
    return limitHeaders(action, (nowMs + windowMs - next) / stepMs, next - nowMs);
  };
}

// Up to two entries go for each one that comes, so what has run out drains away without a timer.
function forgetOldest(wholeAtMs: Map<string, number>, nowMs: number, maxKeys: number): void {
  let looked = 0;
  for (const [key, atMs] of wholeAtMs) {
    if (looked === 2 || (atMs > nowMs && wholeAtMs.size <= maxKeys)) return;
    wholeAtMs.delete(key);
    looked += 1;
  }
}

function limitHeaders(action: Action, remaining: number, wholeInMs: number): string[] {
  return [
    "RateLimit-Limit",
    String(action.limit),
    "RateLimit-Remaining",
    String(Math.max(0, Math.floor(remaining + 0.001))),
    "RateLimit-Reset",
    String(Math.ceil(wholeInMs / 1000)),
  ];
}

function tooOften(action: Action, wholeInMs: number, againInMs: number): Problem {
  const headers = limitHeaders(action, 0, wholeInMs);
  return new Problem(rateLimited, {
    retryAfterSeconds: Math.max(1, Math.ceil(againInMs / 1000)),
    headers: Object.fromEntries(headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1] ?? ""]] : []))),
  });
}
