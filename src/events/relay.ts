/** The relay: takes events from the outbox to the sidecar, many users at once, of one user one at a time. */

import { backoffMs } from "#src/kernel/backoff";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { createWakeup } from "#src/kernel/wakeup";
import type { Db } from "#src/db/pool";
import type { Sidecar } from "#src/sidecar/port";
import { toCloudEvent } from "./cloud-event.ts";
import { claimDue, giveBack, isAnythingDue, type ClaimedEvent } from "./outbox.sql.ts";

export interface RelayOptions {
  readonly db: Db;
  readonly sidecar: Pick<Sidecar, "publish">;
  readonly clock: Clock;
  readonly log: Log;
  /** How often an idle relay asks whether anything is due; 40 ms when left out, half of which is the mean wait of a lone event. */
  readonly pollMs?: number;
  /** How long a claim holds, and how long a receipt is waited for the first time; 10 s when left out. Longer than `publishTimeoutMs`. */
  readonly leaseMs?: number;
  /** Deadline of one publish; 6 s when left out (a broker that reconnects needs 5 s, cluster/README.md). */
  readonly publishTimeoutMs?: number;
  /** Publishes at once; 64 when left out. */
  readonly maxInFlight?: number;
}

/** Counted since the start. */
export interface RelayFigures {
  readonly published: number;
  /** Published again with the same id, because no receipt came or because a try failed. */
  readonly repeated: number;
  readonly failed: number;
  /** Claims found to be no longer ours: this process had stood still past its lease. */
  readonly fenced: number;
  readonly inFlight: number;
}

/** Any number may run on one database. */
export interface Relay {
  readonly start: () => void;
  /** Claims no more, waits for publishes that run until `signal` is aborted, and gives back what did not get out. */
  readonly stop: (signal: AbortSignal) => Promise<void>;
  /** Looks at once. For receipts in the same process; a use case never calls it, since its event is found by the poll. */
  readonly nudge: () => void;
  readonly figures: () => RelayFigures;
}

/** Makes a relay; it does nothing before `start`. */
export function createRelay(options: RelayOptions): Relay {
  return new OutboxRelay(options);
}

/** After a failed publish, one event at a time is tried this often until one gets through. */
const PROBE_MS = 500;
const MOST_LOOKED_AT = 1_024;

class OutboxRelay implements Relay {
  readonly #options: Required<RelayOptions>;
  readonly #stopping = new AbortController();
  readonly #aborting = new AbortController();
  readonly #wakeup = createWakeup();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #counts = { published: 0, repeated: 0, failed: 0, fenced: 0 };
  #isSidecarDown = false;
  /** How many due events a claim looks at: more while many of them wait for another of their user. */
  #look = 0;
  #running: Promise<void> | undefined;

  constructor(options: RelayOptions) {
    this.#options = { pollMs: 40, leaseMs: 10_000, publishTimeoutMs: 6_000, maxInFlight: 64, ...options };
    if (this.#options.leaseMs <= this.#options.publishTimeoutMs) throw new RangeError("leaseMs must be longer than publishTimeoutMs");
  }

  readonly start = (): void => {
    this.#running ??= this.#run();
  };

  readonly stop = async (signal: AbortSignal): Promise<void> => {
    this.#stopping.abort();
    const abort = (): void => this.#aborting.abort(new Error("the relay stops"));
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
    await this.#running;
    await Promise.all(this.#inFlight);
    signal.removeEventListener("abort", abort);
  };

  readonly nudge = (): void => this.#wakeup.wake();

  readonly figures = (): RelayFigures => ({ ...this.#counts, inFlight: this.#inFlight.size });

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let databaseFailures = 0;
    let isBusy = false;
    while (!signal.aborted) {
      try {
        isBusy = await this.#round(isBusy);
        databaseFailures = 0;
      } catch (error) {
        isBusy = false;
        databaseFailures += 1;
        if (databaseFailures === 1) this.#options.log.warn({ error }, "the outbox cannot be read just now; it is tried again");
        await sleep(backoffMs(databaseFailures, { firstMs: 100, mostMs: 2_000 }), signal);
      }
      if (this.#isSidecarDown) await sleep(PROBE_MS, signal);
      else if (!isBusy) await this.#wakeup.pause(this.#options.pollMs, signal);
    }
  }

  /** One look at the outbox. @returns whether to look again at once, since there was as much as could be taken */
  async #round(wasBusy: boolean): Promise<boolean> {
    const { db, clock, leaseMs, maxInFlight } = this.#options;
    const free = maxInFlight - this.#inFlight.size;
    const limit = this.#isSidecarDown ? Math.min(1, free) : free;
    if (limit <= 0 || (!wasBusy && !(await isAnythingDue(db)))) return false;
    const claimedAtMs = clock.monotonicMs();
    const look = Math.max(limit, this.#look);
    const { claimed, parked } = await claimDue(db, { look, limit, leaseSeconds: leaseMs / 1_000 });
    this.#look = parked > look / 2 ? Math.min(look * 4, MOST_LOOKED_AT) : 0;
    for (const claim of claimed) this.#begin(claim, claimedAtMs + leaseMs);
    const repeated = claimed.filter((claim) => claim.attempts > 1).length;
    this.#counts.repeated += repeated;
    if (repeated > 0) this.#options.log.warn({ events: repeated }, "events without a receipt are published again");
    return claimed.length === limit || parked > 0;
  }

  #begin(claim: ClaimedEvent, leaseEndsMs: number): void {
    const publishing = this.#publish(claim, leaseEndsMs).finally(() => {
      this.#inFlight.delete(publishing);
      this.#wakeup.wake();
    });
    this.#inFlight.add(publishing);
  }

  async #publish(claim: ClaimedEvent, leaseEndsMs: number): Promise<void> {
    const { sidecar, clock, publishTimeoutMs } = this.#options;
    // Woken after standing still: another relay has this event by now, and may be further on.
    if (clock.monotonicMs() >= leaseEndsMs) {
      this.#counts.fenced += 1;
      return;
    }
    try {
      await sidecar.publish(
        claim.topic,
        toCloudEvent(claim),
        AbortSignal.any([AbortSignal.timeout(publishTimeoutMs), this.#aborting.signal]),
      );
      this.#counts.published += 1;
      this.#isSidecarDown = false;
      // Nothing is written: the claim holds until the receipt comes or the lease ends.
    } catch (error) {
      this.#counts.failed += 1;
      await this.#failed(claim, error);
    }
  }

  async #failed(claim: ClaimedEvent, error: unknown): Promise<void> {
    const { db, log } = this.#options;
    const isStop = this.#aborting.signal.aborted;
    if (!isStop && !this.#isSidecarDown) log.warn({ error, topic: claim.topic }, "the sidecar did not take an event; it is tried again");
    this.#isSidecarDown = !isStop;
    try {
      const isOurs = await giveBack(db, claim, {
        delaySeconds: isStop ? 0 : backoffMs(claim.attempts, { firstMs: 1_000, mostMs: 60_000 }) / 1_000,
        error: describe(error),
      });
      if (!isOurs) this.#counts.fenced += 1;
    } catch (lost) {
      log.warn({ error: lost }, "a failed publish could not be noted; the event comes again when its lease ends");
    }
  }
}

/** For the operator who reads the row. NUL cannot be kept. */
function describe(error: unknown): string {
  return String(error).replaceAll("\0", "").slice(0, 500);
}

/** A pause that only stopping cuts short. */
async function sleep(forMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(forMs, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
