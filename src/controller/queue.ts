/** A queue of keys: each is worked on by one worker at a time, as often as something happened to it, and again after a failure. */

import { backoffMs } from "#src/kernel/backoff";
import type { Clock } from "#src/kernel/clock";

/** When to look at the key again, in ms from now; undefined: when something happens to it. */
export type Again = number | undefined;

export interface KeyQueueOptions {
  readonly clock: Clock;
  /** Workers; 8 when left out. */
  readonly workers?: number;
  /**
   * The work. A rejection is a failure: the key comes again after an exponential pause.
   * @param attempt from 1; how often in a row it was tried
   */
  readonly work: (key: string, attempt: number, signal: AbortSignal) => Promise<Again>;
  readonly failed?: (key: string, error: unknown, attempt: number) => void;
  /** How long a key waited from when it was due until a worker took it, in ms. */
  readonly taken?: (waitedMs: number) => void;
  /** 5 ms to 5 min when left out. */
  readonly backoff?: { readonly firstMs: number; readonly mostMs: number };
  readonly random?: () => number;
}

export interface KeyQueue {
  /** Now. While the key is worked on: once more afterwards. */
  readonly add: (key: string) => void;
  /** Later, unless it is due earlier. */
  readonly addAfter: (key: string, afterMs: number) => void;
  /** Brings forward every key that waits after a failure. */
  readonly hurry: () => void;
  /** Due and not yet taken. */
  readonly depth: () => number;
  /** Takes nothing more, aborts what runs, and resolves when all of it has ended. */
  readonly stop: () => Promise<void>;
}

/** What a timer can hold, in ms. Longer waits go in steps. */
const LONGEST_TIMER_MS = 3_600_000;
const DEFAULT_WORKERS = 8;
const BACKOFF = { firstMs: 5, mostMs: 300_000 };

/** Makes a queue that works from the first key on. */
export function createKeyQueue(options: KeyQueueOptions): KeyQueue {
  return new Queue(options);
}

interface Waiting {
  readonly timer: NodeJS.Timeout;
  readonly dueMs: number;
  readonly isRetry: boolean;
}

class Queue implements KeyQueue {
  readonly #options: KeyQueueOptions;
  readonly #stopping = new AbortController();
  /** Due, in order, with the moment since when. */
  readonly #due = new Map<string, number>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #failures = new Map<string, number>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #dirty = new Set<string>();

  constructor(options: KeyQueueOptions) {
    this.#options = options;
  }

  readonly add = (key: string): void => {
    if (this.#stopping.signal.aborted) return;
    this.#forgetTimer(key);
    if (this.#running.has(key)) this.#dirty.add(key);
    else if (!this.#due.has(key)) this.#due.set(key, this.#options.clock.monotonicMs());
    this.#dispatch();
  };

  readonly addAfter = (key: string, afterMs: number): void => this.#wait(key, afterMs, false);

  readonly hurry = (): void => {
    for (const [key, { isRetry }] of this.#waiting) if (isRetry) this.add(key);
  };

  readonly depth = (): number => this.#due.size + this.#dirty.size;

  readonly stop = async (): Promise<void> => {
    this.#stopping.abort(new Error("the queue stops"));
    for (const key of this.#waiting.keys()) this.#forgetTimer(key);
    this.#due.clear();
    this.#dirty.clear();
    await Promise.all(this.#running.values());
  };

  #wait(key: string, afterMs: number, isRetry: boolean): void {
    if (this.#stopping.signal.aborted || this.#due.has(key) || this.#dirty.has(key)) return;
    const dueMs = this.#options.clock.monotonicMs() + afterMs;
    const known = this.#waiting.get(key);
    if (known !== undefined && known.dueMs <= dueMs) return;
    this.#forgetTimer(key);
    const timer = setTimeout(() => this.#ripen(key), Math.min(Math.max(0, afterMs), LONGEST_TIMER_MS));
    timer.unref();
    this.#waiting.set(key, { timer, dueMs, isRetry });
  }

  #ripen(key: string): void {
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    const leftMs = (waiting?.dueMs ?? 0) - this.#options.clock.monotonicMs();
    if (leftMs > 1) this.#wait(key, leftMs, waiting?.isRetry === true);
    else this.add(key);
  }

  #forgetTimer(key: string): void {
    clearTimeout(this.#waiting.get(key)?.timer);
    this.#waiting.delete(key);
  }

  #dispatch(): void {
    for (const [key, sinceMs] of this.#due) {
      if (this.#running.size >= (this.#options.workers ?? DEFAULT_WORKERS)) return;
      this.#due.delete(key);
      this.#options.taken?.(this.#options.clock.monotonicMs() - sinceMs);
      this.#running.set(key, this.#run(key));
    }
  }

  async #run(key: string): Promise<void> {
    const { work, failed, backoff = BACKOFF, random } = this.#options;
    const attempt = (this.#failures.get(key) ?? 0) + 1;
    let again: Again;
    let isFailure = false;
    try {
      // Never in the same turn: the caller of `add` goes on first.
      await Promise.resolve();
      again = await work(key, attempt, this.#stopping.signal);
      this.#failures.delete(key);
    } catch (error) {
      isFailure = true;
      this.#failures.set(key, attempt);
      again = backoffMs(attempt, backoff, random);
      if (!this.#stopping.signal.aborted) failed?.(key, error, attempt);
    }
    this.#running.delete(key);
    if (this.#dirty.delete(key)) this.add(key);
    else if (again !== undefined) this.#wait(key, again, isFailure);
    this.#dispatch();
  }
}
