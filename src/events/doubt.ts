/**
 * Whether a receipt says that the event is at every subscriber. Mostly it does. But a broker that is killed may have written an
 * event to our queue and not yet to a neighbour's: when it is back we get it, the neighbour never does, and the sidecar has long
 * said 204. Such a receipt comes late, and after a silence that the broker needs to come back. It is not believed: the event is
 * published once more, and what is behind it waits.
 */

import type { Db } from "#src/db/pool";
import type { Clock } from "#src/kernel/clock";
import { doubtReceipts } from "./doubt.sql.ts";

export interface DoubtOptions {
  readonly db: Db;
  readonly clock: Clock;
  /** How long the relays' first claim of an event holds. */
  readonly leaseSeconds: number;
}

/** Knows when receipts last went on after a silence. */
export interface Doubt {
  /** A receipt came. */
  readonly heard: () => void;
  /** Has those published once more that are not to be believed. @returns their ids */
  readonly doubted: (eventIds: readonly string[]) => Promise<readonly string[]>;
}

/** No broker is killed and back in less; a receipt that came sooner was never in doubt. In s. */
const SILENCE_SECONDS = 1.5;
/** What was claimed before the silence has come, or has been published again, after that. In s. */
const WATCHED_SECONDS = 120;

/** Deliveries to this process only: each process has its own silence. */
export function createDoubt({ db, clock, leaseSeconds }: DoubtOptions): Doubt {
  let lastMs = Number.NEGATIVE_INFINITY;
  let resumedMs = Number.NEGATIVE_INFINITY;
  return {
    heard: () => {
      const nowMs = clock.monotonicMs();
      if (nowMs - lastMs >= SILENCE_SECONDS * 1_000) resumedMs = nowMs;
      lastMs = nowMs;
    },
    doubted: async (eventIds) => {
      const resumedSecondsAgo = (clock.monotonicMs() - resumedMs) / 1_000;
      if (resumedSecondsAgo > WATCHED_SECONDS) return [];
      return await doubtReceipts(db, eventIds, { resumedSecondsAgo, lateSeconds: SILENCE_SECONDS, leaseSeconds });
    },
  };
}
