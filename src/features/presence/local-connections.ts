/** What this process knows of its own connections, and which of it the database has yet to hear. */

import type { Clock } from "#src/kernel/clock";
import type { ConnectionRow } from "./presence.sql.ts";

/** What has to be written. */
export interface PresenceChanges {
  readonly put: readonly ConnectionRow[];
  readonly remove: readonly { readonly id: string; readonly userId: string }[];
}

interface Leaving extends ConnectionRow {
  readonly dueMs: number;
}

/** Plain memory: what is wanted (`#here`, and for a grace `#leaving`), and the ids whose rows may differ from that. */
export class LocalConnections {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #here = new Map<string, ConnectionRow>();
  /** In the order in which their grace ends. */
  readonly #leaving = new Map<string, Leaving>();
  readonly #unwritten = new Map<string, string>();

  constructor(clock: Clock, graceMs: number) {
    this.#clock = clock;
    this.#graceMs = graceMs;
  }

  add(id: string, userId: string): void {
    this.#here.set(id, { id, userId, status: "online" });
    this.#unwritten.set(id, userId);
  }

  setStatus(id: string, status: "online" | "away"): void {
    const known = this.#here.get(id);
    if (known === undefined || known.status === status) return;
    this.#here.set(id, { ...known, status });
    this.#unwritten.set(id, known.userId);
  }

  /** @param how a connection that only `left` counts for the grace still: its user may be changing networks */
  remove(id: string, how: "left" | "session_over"): void {
    const known = this.#here.get(id);
    if (known === undefined) return;
    this.#here.delete(id);
    if (how === "left") this.#leaving.set(id, { ...known, dueMs: this.#clock.monotonicMs() + this.#graceMs });
    else this.#unwritten.set(id, known.userId);
  }

  /** Takes up to `most` changes that are due. Give them back with `giveBack` when they could not be written. */
  takeChanges(most: number): PresenceChanges {
    this.#endGraces();
    const put: ConnectionRow[] = [];
    const remove: { id: string; userId: string }[] = [];
    for (const [id, userId] of this.#unwritten) {
      if (put.length + remove.length === most) break;
      this.#unwritten.delete(id);
      const wanted = this.#here.get(id) ?? this.#leaving.get(id);
      if (wanted === undefined) remove.push({ id, userId });
      else put.push({ id, userId, status: wanted.status });
    }
    return { put, remove };
  }

  giveBack(changes: PresenceChanges): void {
    for (const { id, userId } of [...changes.put, ...changes.remove]) this.#unwritten.set(id, userId);
  }

  /** The database forgot us: everything has to be written again. */
  rewriteAll(): void {
    for (const { id, userId } of [...this.#here.values(), ...this.#leaving.values()]) this.#unwritten.set(id, userId);
  }

  #endGraces(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const { id, userId, dueMs } of this.#leaving.values()) {
      if (dueMs > nowMs) return;
      this.#leaving.delete(id);
      this.#unwritten.set(id, userId);
    }
  }
}
