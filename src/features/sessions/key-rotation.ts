/** New keys in place of old ones, on the stored form: pure but for the keys themselves. */

import {
  newAccessKey,
  newSecretKey,
  sealingKeysOf,
  timesOf,
  type StoredAccessKey,
  type StoredKeyRing,
  type StoredRefreshKey,
} from "./key-ring.ts";
import { endOf, KEEP_SECONDS, keysAt, LEAD_SECONDS, stateAt, type KeyState } from "./key-states.ts";

type StoredKey = StoredAccessKey | StoredRefreshKey;

/** What became of one kind. */
export type Rotated = "added" | "one is waiting already" | "not asked for";

/** The next ring, and what is new in it. */
export interface Rotation {
  readonly ring: StoredKeyRing;
  readonly access: Rotated;
  readonly refresh: Rotated;
}

/**
 * Adds a key that is published now and signs when every process and neighbour knows it, and takes out what has ended. Adds none where one
 * is waiting for its time already, so that it may be run again.
 */
export function rotateKeyRing(ring: StoredKeyRing, options: { readonly now: Date; readonly refresh: boolean }): Rotation {
  const nowMs = options.now.getTime();
  const access = rotated(ring.accessKeys, { make: newAccessKey, nowMs, keepSeconds: KEEP_SECONDS.access });
  const refresh = options.refresh
    ? rotated(ring.refreshKeys, { make: newSecretKey, nowMs, keepSeconds: KEEP_SECONDS.refresh })
    : { keys: withoutEnded(ring.refreshKeys, nowMs, KEEP_SECONDS.refresh), outcome: "not asked for" as const };
  const sealingKeys = sealingKeysOf(ring);
  return { ring: { accessKeys: access.keys, refreshKeys: refresh.keys, sealingKeys }, access: access.outcome, refresh: refresh.outcome };
}

/** For keys that others may have: the new ones sign at once, and nothing under the old ones is accepted any more. */
export function revokeKeys(ring: StoredKeyRing, options: { readonly now: Date; readonly refresh: boolean }): StoredKeyRing {
  const createdAt = options.now.toISOString();
  return {
    accessKeys: [{ ...newAccessKey(), createdAt, notBefore: createdAt }],
    refreshKeys: options.refresh
      ? [{ ...newSecretKey(), createdAt, notBefore: createdAt }]
      : withoutEnded(ring.refreshKeys, options.now.getTime(), KEEP_SECONDS.refresh),
    // What is sealed must still open; what is sealed from now on is under a key that nobody else has.
    sealingKeys: [{ ...newSecretKey(), createdAt }, ...sealingKeysOf(ring)],
  };
}

/** One key, without what is secret about it. */
export interface ListedKey {
  readonly kid: string;
  readonly kind: "access" | "refresh" | "sealing";
  readonly createdAt: Date | undefined;
  readonly state: KeyState;
  /** When it leaves that state by itself. */
  readonly until: Date | undefined;
}

/** Every key of a ring, newest first. */
export function listKeys(ring: StoredKeyRing, now: Date): ListedKey[] {
  const nowMs = now.getTime();
  const sealing = sealingKeysOf(ring).map(({ kid, createdAt }, index): ListedKey => {
    const since = createdAt === undefined ? undefined : new Date(createdAt);
    return { kid, kind: "sealing", createdAt: since, state: index === 0 ? "signing" : "retired", until: undefined };
  });
  return [...listed(ring.accessKeys, "access", nowMs), ...listed(ring.refreshKeys, "refresh", nowMs), ...sealing];
}

function listed(stored: readonly [StoredKey, ...StoredKey[]], kind: "access" | "refresh", nowMs: number): ListedKey[] {
  const [first, ...rest] = stored;
  const keys = [timesOf(first), ...rest.map(timesOf)] as const;
  const at = keysAt(keys, nowMs, KEEP_SECONDS[kind]);
  return keys.map((key) => {
    const state = stateAt(key, at, nowMs);
    const untilMs = {
      published: key.notBefore?.getTime(),
      signing: key.retiredAt?.getTime(),
      retired: endOf(key, KEEP_SECONDS[kind]),
      ended: undefined,
    };
    const ms = untilMs[state];
    return { kid: key.kid, kind, createdAt: key.createdAt, state, until: ms === undefined || ms === Infinity ? undefined : new Date(ms) };
  });
}

function rotated<Key extends StoredKey>(
  keys: readonly [Key, ...Key[]],
  options: { readonly make: () => Key; readonly nowMs: number; readonly keepSeconds: number },
): { readonly keys: [Key, ...Key[]]; readonly outcome: Rotated } {
  const { make, nowMs, keepSeconds } = options;
  const kept = withoutEnded(keys, nowMs, keepSeconds);
  if (kept.some(({ notBefore, retiredAt }) => retiredAt === undefined && notBefore !== undefined && Date.parse(notBefore) > nowMs))
    return { keys: kept, outcome: "one is waiting already" };
  const notBefore = new Date(nowMs + LEAD_SECONDS * 1000).toISOString();
  const { signer } = keysAt(timesOfAll(kept), nowMs, keepSeconds);
  const added = { ...make(), createdAt: new Date(nowMs).toISOString(), notBefore };
  // What was replaced before there were times to tell it counts as replaced now.
  const retired = kept.map((key) => ({
    ...key,
    retiredAt: key.retiredAt ?? (key.kid === signer.kid ? notBefore : new Date(nowMs).toISOString()),
  }));
  return { keys: [added, ...retired], outcome: "added" };
}

/** @throws never: of a ring that was read, one key is not retired and does not end */
function withoutEnded<Key extends StoredKey>(keys: readonly [Key, ...Key[]], nowMs: number, keepSeconds: number): [Key, ...Key[]] {
  const [first, ...rest] = keys.filter((key) => endOf(timesOf(key), keepSeconds) > nowMs);
  return [first ?? keys[0], ...rest];
}

function timesOfAll<Key extends StoredKey>([first, ...rest]: readonly [Key, ...Key[]]): [
  ReturnType<typeof timesOf>,
  ...ReturnType<typeof timesOf>[],
] {
  return [timesOf(first), ...rest.map(timesOf)];
}
