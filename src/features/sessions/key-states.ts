/**
 * What each key of a ring may do at a moment: pure, and the same in every process that has the ring. A key is published, then signs,
 * then is retired while tokens under it live, then has ended: nobody has to take it out of the store for that.
 */

import type { KeyTimes } from "./key-ring.ts";
import { ACCESS_TOKEN_SECONDS, SESSION_SECONDS } from "./lifetimes.ts";

/**
 * How long a new key is published before it signs: processes have read the ring again (`KEYS_REREAD_SECONDS`, at most 120), and what
 * neighbours keep of the JWK Set has run out (`JWKS_CACHE_SECONDS`).
 */
export const LEAD_SECONDS = 10 * 60;

/** How long, in all, an answer of the JWK Set may be used: fresh, and stale while it is asked for anew. */
export const JWKS_CACHE_SECONDS = { fresh: 300, stale: 60 } as const;

/** Clocks differ, and a process that cannot read the ring for a while signs on with the key of before. */
const TOLERANCE_SECONDS = 5 * 60;

/** How long a key is accepted after another one signs: as long as the last token under it may live. */
export const KEEP_SECONDS = {
  access: ACCESS_TOKEN_SECONDS + TOLERANCE_SECONDS,
  /** Links in mails are made under these keys too, and live for less. */
  refresh: SESSION_SECONDS + TOLERANCE_SECONDS,
} as const;

/** Each but `ended` is accepted; exactly one is `signing`. */
export type KeyState = "published" | "signing" | "retired" | "ended";

/** The keys of one kind at a moment. */
export interface KeysAt<Key> {
  readonly signer: Key;
  readonly accepted: readonly Key[];
  /** Since when that is so and until when, in ms since 1970: between the two nothing changes by itself. */
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** Who signs and who is accepted. @param keys newest first */
export function keysAt<Key extends KeyTimes>(keys: readonly [Key, ...Key[]], nowMs: number, keepSeconds: number): KeysAt<Key> {
  const accepted = keys.filter((key) => endOf(key, keepSeconds) > nowMs);
  const changes = keys.flatMap((key) => [beginOf(key), retirementOf(key), endOf(key, keepSeconds)]);
  return {
    signer: signerAmong(accepted, nowMs) ?? keys[0],
    accepted,
    sinceMs: Math.max(...changes.filter((atMs) => atMs <= nowMs)),
    untilMs: Math.min(...changes.filter((atMs) => atMs > nowMs)),
  };
}

/** The state of one of these keys. */
export function stateAt<Key extends KeyTimes>(key: Key, { signer, accepted }: KeysAt<Key>, nowMs: number): KeyState {
  if (key === signer) return "signing";
  if (!accepted.includes(key)) return "ended";
  return beginOf(key) > nowMs ? "published" : "retired";
}

/** When a key ends, in ms since 1970; Infinity while nothing has taken its place. */
export function endOf({ retiredAt }: KeyTimes, keepSeconds: number): number {
  return retiredAt === undefined ? Infinity : retiredAt.getTime() + keepSeconds * 1000;
}

/**
 * The one that began last, among those not retired if there is one; of several the first. Where none has begun (a clock far behind),
 * the one that begins first: there is always one that signs.
 */
function signerAmong<Key extends KeyTimes>(accepted: readonly Key[], nowMs: number): Key | undefined {
  const begun = accepted.filter((key) => beginOf(key) <= nowMs).sort((one, other) => orderOf(beginOf(other), beginOf(one)));
  const [next] = accepted.toSorted((one, other) => orderOf(beginOf(one), beginOf(other)));
  return begun.find((key) => retirementOf(key) > nowMs) ?? begun[0] ?? next;
}

/** Of infinities the difference is no number. */
function orderOf(one: number, other: number): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function beginOf({ notBefore }: KeyTimes): number {
  return notBefore?.getTime() ?? -Infinity;
}

function retirementOf({ retiredAt }: KeyTimes): number {
  return retiredAt?.getTime() ?? Infinity;
}
