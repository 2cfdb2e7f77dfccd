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
      dispose: (entry, sessionId) => this.#unlist(sessionId, subjectsOf(entry.state)),
    });
  }

  /** What is remembered and still true by the clock. Ask the feed first whether memory may be used. */
  recall(sessionId: string): Remembered | undefined {
    const entry = this.#entries.get(sessionId);
    return entry !== undefined && entry.untilMs > this.#needs.clock.monotonicMs() ? entry : undefined;
  }

  /** Reads the session anew, again while the feed tells of its subjects meanwhile: its owner, and of an impersonation the admin. */
  async fill(sessionId: string, ...subjects: readonly [owner: string, impersonator?: string]): Promise<SessionState | undefined> {
    const all = subjects.filter((one) => one !== undefined);
    for (;;) {
      const fill = this.#fillOf(sessionId, all);
      const remembered = await fill.promise;
      if (!fill.outdated) return remembered.state;
    }
  }

  /** Forgets every session of a subject and those it impersonates by, stored or on their way. */
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

  #fillOf(sessionId: string, subjects: readonly string[]): Fill {
    const running = subjects.map((subject) => this.#fills.get(subject)?.get(sessionId));
    const [first] = running;
    // One that a subject has been told of already would only be thrown away.
    if (first !== undefined && running.every((one) => one === first)) return first;
    const fill: Fill = { promise: this.#load(sessionId, subjects, () => fill), outdated: false };
    for (const subject of subjects) {
      const fills = this.#fills.get(subject);
      if (fills === undefined) this.#fills.set(subject, new Map([[sessionId, fill]]));
      else fills.set(sessionId, fill);
    }
    return fill;
  }

  async #load(sessionId: string, subjects: readonly string[], self: () => Fill): Promise<Remembered> {
    const sentMs = this.#needs.clock.monotonicMs();
    try {
      const state = await this.#needs.load(sessionId);
      const remembered = { state, untilMs: sentMs + Math.min(state?.holdsMs ?? LONGEST_MS, LONGEST_MS * (0.75 + Math.random() / 4)) };
      const isTheirs = subjectsOf(state).join() === subjects.join();
      if (!self().outdated && isTheirs) this.#store(sessionId, remembered, subjects);
      return remembered;
    } finally {
      for (const subject of subjects) this.#endFill(sessionId, subject, self());
    }
  }

  #endFill(sessionId: string, subject: string, fill: Fill): void {
    const fills = this.#fills.get(subject);
    if (fills?.get(sessionId) !== fill) return;
    fills.delete(sessionId);
    if (fills.size === 0) this.#fills.delete(subject);
  }

  #store(sessionId: string, remembered: Remembered, subjects: readonly string[]): void {
    this.#entries.set(sessionId, remembered);
    for (const subject of subjects) {
      const listed = this.#bySubject.get(subject);
      if (listed === undefined) this.#bySubject.set(subject, new Set([sessionId]));
      else listed.add(sessionId);
    }
  }

  #unlist(sessionId: string, subjects: readonly string[]): void {
    for (const subject of subjects) {
      const listed = this.#bySubject.get(subject);
      listed?.delete(sessionId);
      if (listed?.size === 0) this.#bySubject.delete(subject);
    }
  }
}

/** Of whom news makes what is known of a session doubtful. */
function subjectsOf(state: SessionState | undefined): string[] {
  if (state === undefined) return [];
  return state.impersonatorId === null ? [state.userId] : [state.userId, state.impersonatorId];
}
