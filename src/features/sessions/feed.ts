/**
 * The revocation feed: each process reads the `revocations` table every 100 ms on a connection of its own. What it last
 * read, and when that read was sent, is the lease under which the gate may answer from memory.
 */

import { openOwnConnection, type OwnConnection } from "#src/db/own-connection";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { Problem, serviceBusy } from "#src/kernel/problem";
import { CHANNEL, feedPosition, newRevocations, type FeedPosition, type Revocation } from "./feed.sql.ts";

export interface FeedListener {
  /** Rows that were not there at the read before, in no particular order of subjects. */
  readonly revoked: (revocation: Revocation) => void;
  /** Something may have been missed (a connection anew, another database, a long gap): forget everything and look at everyone anew. */
  readonly reset: () => void;
}

interface Needs {
  readonly databaseUrl: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly listener: FeedListener;
}

const POLL_MS = 100;
/** Memory may be used only while the last finished read was sent less than this ago. */
const LEASE_MS = 500;
const READ_TIMEOUT_MS = 750;
/** Whoever waits gives up after a second in which this process ran: of a time in which it stood still, it counts one tick. */
const WAIT_TICK_MS = 100;
const WAIT_TICKS = 10;
/** Rows are kept for 24 h; a gap far below that already starts afresh. */
const RESET_GAP_MS = 60 * 60 * 1000;

/** Whoever ended a session waits this long at most for our own feed to have read it. */
const OWN_READ_MS = 300;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (problem: Problem) => void;
  ticksLeft: number;
}

/** Reads until stopped; a lost or half-open connection is given up within a second and replaced. */
export class RevocationFeed {
  readonly #needs: Needs;
  readonly #stop = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #ticker: NodeJS.Timeout | undefined;
  readonly #settling = new Set<{ readonly askedMs: number; readonly done: () => void }>();
  #position: FeedPosition | undefined;
  #sentMs = Number.NEGATIVE_INFINITY;
  #sentWallMs = Number.NEGATIVE_INFINITY;
  #hurry: (() => void) | undefined;
  #hinted = false;
  #running: Promise<void> | undefined;

  constructor(needs: Needs) {
    this.#needs = needs;
  }

  /** Begins to read in the background. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the reading and closes the connection. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("the feed is stopped"));
    this.#hurry?.();
    await this.#running;
  }

  /** Milliseconds since the last finished read was sent; infinite before the first. */
  ageMs(): number {
    // Wall time too: the monotonic clock of some systems stands still while the whole machine sleeps. A jump of the wall clock only costs a wait.
    return Math.max(this.#needs.clock.monotonicMs() - this.#sentMs, this.#needs.clock.now().getTime() - this.#sentWallMs);
  }

  /** Whether memory may be used at this moment. */
  isFresh(): boolean {
    return this.ageMs() < LEASE_MS;
  }

  /**
   * Resolves at the next finished read that makes memory usable; sends none of its own.
   * @throws Problem `service.busy` after a second in which this process ran
   */
  untilFresh(): Promise<void> {
    if (this.isFresh()) return Promise.resolve();
    this.#hurry?.();
    return new Promise((resolve, reject) => {
      this.#waiters.add({ resolve, reject, ticksLeft: WAIT_TICKS });
      this.#ticker ??= setInterval(() => this.#tick(), WAIT_TICK_MS);
    });
  }

  #tick(): void {
    for (const waiter of this.#waiters) {
      waiter.ticksLeft -= 1;
      if (waiter.ticksLeft > 0) continue;
      this.#waiters.delete(waiter);
      waiter.reject(new Problem(serviceBusy, { detail: "Sessions cannot be checked just now", retryAfterSeconds: 1 }));
    }
    this.#rest();
  }

  #rest(): void {
    if (this.#waiters.size > 0) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  /**
   * For whoever just ended a session or restricted somebody: resolves when a read that was sent after this call has finished,
   * so that this process serves nothing of it once it has answered; after 300 ms in any case, when memory is hardly usable anyway.
   */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      const entry = { askedMs: this.#needs.clock.monotonicMs(), done: (): void => finish() };
      const timer = setTimeout(() => finish(), OWN_READ_MS);
      const finish = (): void => {
        clearTimeout(timer);
        this.#settling.delete(entry);
        resolve();
      };
      this.#settling.add(entry);
      this.#hurry?.();
    });
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      try {
        await this.#connected(() => {
          failures = 0;
        });
      } catch (error) {
        failures += 1;
        if (failures === 3) this.#needs.log.warn({ error: String(error) }, "the revocation feed cannot be read; requests wait");
        await delay(Math.min(50 * 2 ** failures, 500), this.#stop.signal).catch(() => {});
      }
    }
  }

  /** One connection's life. */
  async #connected(onRead: () => void): Promise<void> {
    await using connection = await openOwnConnection({
      url: this.#needs.databaseUrl,
      applicationName: "user-service feed",
      timeoutMs: READ_TIMEOUT_MS,
      channel: CHANNEL,
      onNotify: () => {
        this.#hinted = true;
        this.#hurry?.();
      },
      onLost: () => this.#hurry?.(),
    });
    await this.#settle(connection);
    for (let isFirst = true; !this.#stop.signal.aborted && connection.isAlive(); isFirst = false) {
      await this.#read(connection, isFirst);
      onRead();
      await this.#pause();
    }
  }

  /** After (re)connecting: go on where we were, or begin anew where what was told since may be gone. */
  async #settle(connection: OwnConnection): Promise<void> {
    const position = await feedPosition(connection);
    const before = this.#position;
    if (before !== undefined && before.epoch === position.epoch && this.ageMs() < RESET_GAP_MS) return;
    this.#position = position;
    if (before !== undefined) this.#needs.log.warn({}, "the revocation feed begins anew; every session is looked at again");
  }

  /**
   * The first read of a connection tells what it finds and then has everyone looked at anew: a PostgreSQL that crashed gives
   * numbers of transactions again that an earlier snapshot saw as done (those of transactions that wrote nothing durable),
   * so a revocation of before this read may pass for one told long ago. Those after it are measured by this read.
   */
  async #read(connection: OwnConnection, isFirst: boolean): Promise<void> {
    const position = this.#position;
    if (position === undefined) return;
    this.#hinted = false;
    const sentMs = this.#needs.clock.monotonicMs();
    const sentWallMs = this.#needs.clock.now().getTime();
    const { revocations, snapshot } = await newRevocations(connection, position.snapshot);
    for (const revocation of revocations) this.#needs.listener.revoked(revocation);
    if (isFirst) this.#needs.listener.reset();
    this.#position = { ...position, snapshot };
    this.#sentMs = sentMs;
    this.#sentWallMs = sentWallMs;
    this.#wake();
  }

  #wake(): void {
    for (const entry of this.#settling) if (this.#sentMs >= entry.askedMs) entry.done();
    if (!this.isFresh()) return;
    for (const waiter of this.#waiters) waiter.resolve();
    this.#waiters.clear();
    this.#rest();
  }

  /** Until the next poll, a hint, or somebody who waits. */
  async #pause(): Promise<void> {
    if (this.#hinted || this.#waiters.size > 0 || this.#settling.size > 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, POLL_MS);
      this.#hurry = (): void => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#hurry = undefined;
  }
}
