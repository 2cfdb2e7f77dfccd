/** The keys of this process as they are now. Whoever signs or verifies asks here each time, and so follows a changed ring. */

import type { JsonWebKey, KeyObject } from "node:crypto";
import type { Clock } from "#src/kernel/clock";
import type { AccessKey, KeyRing, RefreshKey } from "./key-ring.ts";
import { KEEP_SECONDS, keysAt } from "./key-states.ts";

/** One ring at one time, laid out for the hot path. */
export interface CurrentKeys {
  readonly accessSigner: AccessKey;
  /** By kid: those whose tokens are accepted. */
  readonly accessKeys: ReadonlyMap<string, KeyObject>;
  readonly refreshSigner: RefreshKey;
  readonly refreshKeys: ReadonlyMap<string, KeyObject>;
  /** The first seals, all open. */
  readonly sealingKeys: KeyRing["sealingKeys"];
  /** The public halves of all access keys that are accepted, as a JWK Set (RFC 7517). */
  readonly jwks: { readonly keys: readonly JsonWebKey[] };
}

export interface KeyRingSource {
  /** Cheap: made anew only when the ring was changed or a key has come to its time. */
  readonly current: () => CurrentKeys;
}

/** A source whose ring can be replaced, in one step. */
export interface KeyRingHolder extends KeyRingSource {
  readonly replace: (ring: KeyRing) => void;
}

/** Holds a ring. */
export function holdKeyRing(first: KeyRing, clock: Pick<Clock, "now">): KeyRingHolder {
  let ring = first;
  let laidOut = layOut(ring, clock.now().getTime());
  return {
    current: () => {
      const nowMs = clock.now().getTime();
      // Wall clocks may go back.
      if (nowMs >= laidOut.untilMs || nowMs < laidOut.sinceMs) laidOut = layOut(ring, nowMs);
      return laidOut.keys;
    },
    replace: (next) => {
      ring = next;
      laidOut = layOut(ring, clock.now().getTime());
    },
  };
}

interface LaidOut {
  readonly keys: CurrentKeys;
  readonly sinceMs: number;
  readonly untilMs: number;
}

function layOut(ring: KeyRing, nowMs: number): LaidOut {
  const access = keysAt(ring.accessKeys, nowMs, KEEP_SECONDS.access);
  const refresh = keysAt(ring.refreshKeys, nowMs, KEEP_SECONDS.refresh);
  return {
    sinceMs: Math.max(access.sinceMs, refresh.sinceMs),
    untilMs: Math.min(access.untilMs, refresh.untilMs),
    keys: {
      accessSigner: access.signer,
      accessKeys: new Map(access.accepted.map(({ kid, publicKey }) => [kid, publicKey])),
      refreshSigner: refresh.signer,
      refreshKeys: new Map(refresh.accepted.map(({ kid, secret }) => [kid, secret])),
      sealingKeys: ring.sealingKeys,
      jwks: {
        keys: access.accepted.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig" })),
      },
    },
  };
}
