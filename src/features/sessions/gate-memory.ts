/** What the gate remembers of sessions, usable only under the feed's lease. */

import { LRUCache } from "lru-cache";
import type { Clock } from "#src/kernel/clock";
import type { SessionState } from "./gate.sql.ts";

interface Needs {
  readonly clock: Clock;
  readonly load: (sessionId: string) => Promise<SessionState | undefined>;
  readonly capacity?: number;
}

/** One session's state and until when (monotonic ms) time alone leaves it true. */
export interface Remembered {
  readonly state: SessionState | undefined;
  readonly untilMs: number;
}

interface Fill {
  readonly promise: Promise<Remembered>;
  /** Set when the feed told of the subject while the statement ran: what it found may be from before. */
  outdated: boolean;
}

const CAPACITY = 100_000;
/** Read again after this even when nothing happened, so that a mistake here would not last; up to a quarter less, so that those filled together are not read together. */
const LONGEST_MS = 60_000;

/**
 * Fills are shared: of many requests for one session one statement runs. `forget` empties what is stored and marks what
 * is on its way.
 */
export class GateMemory {
  readonly #needs: Needs;
  readonly #entries: LRUCache<string, Remembered>;
  readonly #bySubject = new Map<string, Set<string>>();
  readonly #fills = new Map<string, Map<string, Fill>>();

  constructor(needs: Needs) {
    this.#needs = needs;
    this.#entries = new LRUCache({
      max: needs.capacity ?? CAPACITY,
      dispose: (entry, sessionId) => this.#unlist(sessionId, entry.state?.userId),
    });
  }

  /** What is remembered and still true by the clock. Ask the feed first whether memory may be used. */
  recall(sessionId: string): Remembered | undefined {
    const entry = this.#entries.get(sessionId);
    return entry !== undefined && entry.untilMs > this.#needs.clock.monotonicMs() ? entry : undefined;
  }

  /** Reads the session anew, again while the feed tells of its subject meanwhile. */
  async fill(sessionId: string, subject: string): Promise<SessionState | undefined> {
    for (;;) {
      const fill = this.#fillOf(sessionId, subject);
      const remembered = await fill.promise;
      if (!fill.outdated) return remembered.state;
    }
  }

  /** Forgets every session of a subject, stored or on its way. */
  forget(subject: string): void {
    for (const sessionId of this.#bySubject.get(subject) ?? []) this.#entries.delete(sessionId);
    const fills = this.#fills.get(subject);
    if (fills === undefined) return;
    for (const fill of fills.values()) fill.outdated = true;
    this.#fills.delete(subject);
  }

  /** Forgets everyone. */
  forgetAll(): void {
    for (const subject of this.#fills.keys()) this.forget(subject);
    this.#entries.clear();
  }

  /** Sessions remembered, for metrics. */
  get size(): number {
    return this.#entries.size;
  }

  #fillOf(sessionId: string, subject: string): Fill {
    let fills = this.#fills.get(subject);
    const running = fills?.get(sessionId);
    if (running !== undefined) return running;
    if (fills === undefined) {
      fills = new Map();
      this.#fills.set(subject, fills);
    }
    const fill: Fill = { promise: this.#load(sessionId, subject, () => fill), outdated: false };
    fills.set(sessionId, fill);
    return fill;
  }

  async #load(sessionId: string, subject: string, self: () => Fill): Promise<Remembered> {
    const sentMs = this.#needs.clock.monotonicMs();
    try {
      const state = await this.#needs.load(sessionId);
      const remembered = { state, untilMs: sentMs + Math.min(state?.holdsMs ?? LONGEST_MS, LONGEST_MS * (0.75 + Math.random() / 4)) };
      if (!self().outdated && state?.userId === subject) this.#store(sessionId, remembered, subject);
      return remembered;
    } finally {
      const fills = this.#fills.get(subject);
      if (fills?.get(sessionId) === self()) {
        fills.delete(sessionId);
        if (fills.size === 0) this.#fills.delete(subject);
      }
    }
  }

  #store(sessionId: string, remembered: Remembered, subject: string): void {
    this.#entries.set(sessionId, remembered);
    const listed = this.#bySubject.get(subject);
    if (listed === undefined) this.#bySubject.set(subject, new Set([sessionId]));
    else listed.add(sessionId);
  }

  #unlist(sessionId: string, subject: string | undefined): void {
    if (subject === undefined) return;
    const listed = this.#bySubject.get(subject);
    listed?.delete(sessionId);
    if (listed?.size === 0) this.#bySubject.delete(subject);
  }
}
