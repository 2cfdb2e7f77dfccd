/** The relay: takes events from the outbox to the sidecar, many users at once, of one user one at a time. */

import { backoffMs } from "#src/kernel/backoff";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { currentTraceparent, withRemoteTrace, type SpanSpec } from "#src/kernel/trace";
import { createWakeup } from "#src/kernel/wakeup";
import type { Db } from "#src/db/pool";
import type { Sidecar } from "#src/sidecar/port";
import { toCloudEvent } from "./cloud-event.ts";
import { createMarks, type Marks } from "./marks.ts";
import { claimDue, giveBack, isAnythingDue, type ClaimedEvent } from "./outbox.sql.ts";

export interface RelayOptions {
  readonly db: Db;
  readonly sidecar: Pick<Sidecar, "publish" | "confirms">;
  readonly clock: Clock;
  readonly log: Log;
  /** How often an idle relay asks whether anything is due; 25 ms when left out, half of which is the mean wait of a lone event. */
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
  /** Published, and not confirmed by the broker. */
  readonly unconfirmed: number;
  /** Claims found to be no longer ours: this process had stood still past its lease. */
  readonly fenced: number;
  readonly inFlight: number;
  /** How many may be in flight now. */
  readonly window: number;
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

/** How long a first claim holds when nothing else is said, in ms. */
export const LEASE_MS = 10_000;

/** Makes a relay; it does nothing before `start`. */
export function createRelay(options: RelayOptions): Relay {
  return new OutboxRelay(options);
}

/** After a failed publish, one event at a time is tried this often until one gets through. */
const PROBE_MS = 500;
/** A confirmation is known within a second, or not at all. */
const HALVE_EVERY_MS = 1_000;
/**
 * One that took longer lets the window be as it is. A window that grows by one for each confirmation doubles before it sees what
 * that did: then it takes twice as long, which is still a confirmation.
 */
const GROWS_WITHIN_MS = 300;
/** How many are in flight at the start, before the broker has shown how fast it is. */
const FIRST_WINDOW = 8;
const MOST_LOOKED_AT = 1_024;
/** A claim costs about as much for one event as for many: under load it waits until this share of what may be in flight is free. */
const LEAST_FREE_SHARE = 1 / 4;

/** What a look at the outbox came to. `more`: there was as much as could be taken · `full`: no room to take anything · `idle`: nothing is due. */
type Round = "more" | "full" | "idle";

class OutboxRelay implements Relay {
  readonly #options: Required<RelayOptions>;
  readonly #stopping = new AbortController();
  readonly #aborting = new AbortController();
  readonly #wakeup = createWakeup();
  readonly #inFlight = new Set<Promise<void>>();
  readonly #confirming = new Set<Promise<void>>();
  readonly #confirmed: Marks;
  readonly #counts = { published: 0, repeated: 0, failed: 0, unconfirmed: 0, fenced: 0 };
  #isSidecarDown = false;
  #waitsForRoom = false;
  /**
   * How many may be in flight now. The sidecar sends one at a time: behind a slow broker the last of many would wait longer than
   * a confirmation can tell of, and be sent again, which makes it slower. Halved when one was not confirmed, grown by those that
   * were soon (congestion control by loss and delay, as TCP Vegas has it: Brakmo and Peterson, 1995).
   */
  #window: number;
  #halvedMs = Number.NEGATIVE_INFINITY;
  /** How many due events a claim looks at: more while many of them wait for another of their user. */
  #look = 0;
  #running: Promise<void> | undefined;

  constructor(options: RelayOptions) {
    this.#options = { pollMs: 25, leaseMs: LEASE_MS, publishTimeoutMs: 6_000, maxInFlight: 64, ...options };
    if (this.#options.leaseMs <= this.#options.publishTimeoutMs) throw new RangeError("leaseMs must be longer than publishTimeoutMs");
    const { maxInFlight, sidecar } = this.#options;
    this.#window = sidecar.confirms ? Math.min(FIRST_WINDOW, maxInFlight) : maxInFlight;
    this.#confirmed = createMarks({ ...options, arrival: "confirmed", onFreed: this.nudge });
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
    await Promise.all(this.#confirming);
    await this.#confirmed.close();
    signal.removeEventListener("abort", abort);
  };

  readonly nudge = (): void => this.#wakeup.wake();

  readonly figures = (): RelayFigures => ({ ...this.#counts, inFlight: this.#inFlight.size, window: this.#window });

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let databaseFailures = 0;
    let round: Round = "idle";
    while (!signal.aborted) {
      try {
        round = await this.#round(round);
        databaseFailures = 0;
      } catch (error) {
        round = "idle";
        databaseFailures += 1;
        if (databaseFailures === 1) this.#options.log.warn({ error }, "the outbox cannot be read just now; it is tried again");
        await sleep(backoffMs(databaseFailures, { firstMs: 100, mostMs: 2_000 }), signal);
      }
      if (this.#isSidecarDown) await sleep(PROBE_MS, signal);
      else if (round !== "more") await this.#wakeup.pause(this.#options.pollMs, signal);
    }
  }

  /** One look at the outbox. */
  async #round(before: Round): Promise<Round> {
    const { db, clock, sidecar, leaseMs } = this.#options;
    const window = this.#window;
    const free = window - this.#inFlight.size;
    this.#waitsForRoom = free < Math.max(1, window * LEAST_FREE_SHARE);
    if (this.#waitsForRoom) return before === "idle" ? "idle" : "full";
    const limit = this.#isSidecarDown ? 1 : free;
    if (before === "idle" && !(await isAnythingDue(db))) return "idle";
    const claimedAtMs = clock.monotonicMs();
    const look = Math.max(limit, this.#look);
    const { claimed, parked } = await claimDue(db, { look, limit, leaseSeconds: leaseMs / 1_000, confirms: sidecar.confirms });
    this.#look = parked > look / 2 ? Math.min(look * 4, MOST_LOOKED_AT) : 0;
    for (const claim of claimed) this.#begin(claim, claimedAtMs + leaseMs);
    const repeated = claimed.filter((claim) => claim.attempts > 1).length;
    this.#counts.repeated += repeated;
    if (repeated > 0) this.#options.log.warn({ events: repeated }, "events without a receipt are published again");
    return claimed.length === limit || parked > 0 ? "more" : "idle";
  }

  #begin(claim: ClaimedEvent, leaseEndsMs: number): void {
    const publishing = this.#publish(claim, leaseEndsMs).finally(() => {
      this.#inFlight.delete(publishing);
      if (this.#waitsForRoom) this.#wakeup.wake();
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
    const beganMs = clock.monotonicMs();
    try {
      const signal = AbortSignal.any([AbortSignal.timeout(publishTimeoutMs), this.#aborting.signal]);
      const { confirmed } = await withRemoteTrace(claim.traceparent, publishSpan(claim), () => {
        // The parent of whoever receives it is this try, not the request that is long over.
        const traceparent = currentTraceparent() ?? null;
        return sidecar.publish(claim.topic, toCloudEvent({ ...claim, traceparent }), signal);
      });
      this.#counts.published += 1;
      this.#isSidecarDown = false;
      // The claim holds until receipt and confirmation came, or the lease ends.
      if (sidecar.confirms) this.#await(claim, beganMs, confirmed);
    } catch (error) {
      this.#counts.failed += 1;
      await this.#failed(claim, error);
    }
  }

  #await(claim: ClaimedEvent, beganMs: number, confirmed: Promise<boolean>): void {
    const waiting = confirmed
      .then((isConfirmed) => {
        if (isConfirmed) {
          this.#grow(this.#options.clock.monotonicMs() - beganMs);
          return this.#confirmed.note(claim.id);
        }
        this.#halve();
        this.#counts.unconfirmed += 1;
        return this.#giveBack(claim, { delaySeconds: 0, error: "the broker did not confirm it" });
      })
      .finally(() => this.#confirming.delete(waiting));
    this.#confirming.add(waiting);
  }

  #grow(tookMs: number): void {
    if (tookMs < GROWS_WITHIN_MS) this.#window = Math.min(this.#options.maxInFlight, this.#window + 1);
  }

  /** Those that were in flight together tell of one moment: they halve the window once. */
  #halve(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs < this.#halvedMs + HALVE_EVERY_MS) return;
    this.#window = Math.max(1, Math.floor(this.#window / 2));
    this.#halvedMs = nowMs;
  }

  async #failed(claim: ClaimedEvent, error: unknown): Promise<void> {
    const { log } = this.#options;
    const isStop = this.#aborting.signal.aborted;
    if (!isStop && !this.#isSidecarDown) log.warn({ error, topic: claim.topic }, "the sidecar did not take an event; it is tried again");
    this.#isSidecarDown = !isStop;
    await this.#giveBack(claim, {
      delaySeconds: isStop ? 0 : backoffMs(claim.attempts, { firstMs: 1_000, mostMs: 60_000 }) / 1_000,
      error: describe(error),
    });
  }

  async #giveBack(claim: ClaimedEvent, change: { readonly delaySeconds: number; readonly error: string }): Promise<void> {
    try {
      if (!(await giveBack(this.#options.db, claim, change))) this.#counts.fenced += 1;
    } catch (error) {
      this.#options.log.warn({ error }, "a failed publish could not be noted; the event comes again when its lease ends");
    }
  }
}

/** OpenTelemetry semantic conventions for messaging, 1.38. */
function publishSpan({ topic, type, id, attempts }: ClaimedEvent): SpanSpec {
  return {
    name: `publish ${topic}`,
    kind: "producer",
    attributes: {
      "messaging.system": "dapr",
      "messaging.operation.name": "publish",
      "messaging.operation.type": "send",
      "messaging.destination.name": topic,
      "messaging.message.id": id,
      "cloudevents.event_type": type,
      "messaging.dapr.attempt": attempts,
    },
  };
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
