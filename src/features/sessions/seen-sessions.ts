/** Which sessions were used: remembered by the gate at no cost, and written now and then, so that no request waits for it. */

import type { Db } from "#src/db/pool";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { writeSeen } from "./sessions.sql.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  /** Between two writes, in ms; up to a quarter more, so that processes do not write together. */
  readonly everyMs?: number;
  /** Sessions remembered between two writes at most; of further ones a use is not noted. */
  readonly capacity?: number;
}

const EVERY_MS = 30_000;
const CAPACITY = 100_000;
/** Sessions in one statement at most: few processes have more in use within half a minute. */
const LARGEST = 10_000;
/** A session's `last_seen_at` moves by this much at least. The statement holds to it too, for what other processes wrote. */
const SPACING_MS = 60_000;

/** Notes uses until it is stopped, which writes what is left. */
export class SeenSessions {
  readonly #needs: Needs;
  readonly #stop = new AbortController();
  /** When each was last used, by the monotonic clock. */
  #used = new Map<string, number>();
  /** The uses that this process wrote within the last minute. */
  readonly #written = new Map<string, number>();
  #running: Promise<void> | undefined;

  constructor(needs: Needs) {
    this.#needs = needs;
  }

  /** Begins to write in the background. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends that, and writes what is left. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("the process stops"));
    await this.#running;
    await this.write();
  }

  /** On the way of every request: one map entry. */
  note(sessionId: string): void {
    if (this.#used.size < (this.#needs.capacity ?? CAPACITY) || this.#used.has(sessionId)) {
      this.#used.set(sessionId, this.#needs.clock.monotonicMs());
    }
  }

  /** Uses that are not written yet, for metrics and tests. */
  get waiting(): number {
    return this.#used.size;
  }

  /** Writes what was noted. What cannot be written is noted again: the next write has it, with the moment at which it was. */
  async write(): Promise<void> {
    const due = this.#due();
    this.#used = new Map();
    for (let from = 0; from < due.length; from += LARGEST) {
      const piece = due.slice(from, from + LARGEST);
      try {
        await writeSeen(this.#needs.db, this.#agesOf(piece));
        for (const [id, usedMs] of piece) this.#written.set(id, usedMs);
      } catch (error) {
        this.#noteAgain(due.slice(from));
        this.#needs.log.warn(
          { error, sessions: due.length - from },
          "when sessions were last seen could not be written; it is tried again",
        );
        return;
      }
    }
  }

  async #run(): Promise<void> {
    const everyMs = this.#needs.everyMs ?? EVERY_MS;
    while (!this.#stop.signal.aborted) {
      const stopped = await delay(everyMs * (1 + Math.random() / 4), this.#stop.signal).then(
        () => false,
        () => true,
      );
      if (!stopped) await this.write();
    }
  }

  #due(): [string, number][] {
    const oldMs = this.#needs.clock.monotonicMs() - SPACING_MS;
    for (const [id, usedMs] of this.#written) if (usedMs <= oldMs) this.#written.delete(id);
    return [...this.#used].filter(([id, usedMs]) => usedMs - (this.#written.get(id) ?? Number.NEGATIVE_INFINITY) >= SPACING_MS);
  }

  /** By age: the database's clock is not ours. */
  #agesOf(uses: readonly [string, number][]): { id: string; ageSeconds: number }[] {
    const nowMs = this.#needs.clock.monotonicMs();
    return uses.map(([id, usedMs]) => ({ id, ageSeconds: Math.max(0, nowMs - usedMs) / 1_000 }));
  }

  #noteAgain(uses: readonly [string, number][]): void {
    const capacity = this.#needs.capacity ?? CAPACITY;
    for (const [id, usedMs] of uses) if (this.#used.size < capacity && !this.#used.has(id)) this.#used.set(id, usedMs);
  }
}
