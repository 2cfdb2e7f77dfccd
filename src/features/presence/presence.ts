/** Presence of this process's connections, and what the others' come to: a lease, batches, and one cheap read twice a second. */

import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { delay, type Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import type { Log } from "#src/kernel/log";
import { endSight, type Watcher } from "./end-sight.ts";
import { LocalConnections, type PresenceChanges } from "./local-connections.ts";
import * as statements from "./presence.sql.ts";
import { statusView, type StatusView } from "./presence.views.ts";

/** All in ms; given by tests only. */
export interface PresenceTimings {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  /** How long somebody whose last connection was lost still counts as there. */
  readonly graceMs: number;
  readonly writeMs: number;
  readonly readMs: number;
  readonly lastSeenMs: number;
}

const TIMINGS: PresenceTimings = { heartbeatMs: 5_000, leaseMs: 15_000, graceMs: 10_000, writeMs: 100, readMs: 500, lastSeenMs: 10_000 };

/** Changes written in one transaction, and people read in one statement. */
const BATCH = 500;

/** Those in this process who watch somebody. */
export interface Watchers {
  readonly isWatched: (userId: string) => boolean;
  readonly watched: () => readonly string[];
  readonly tell: (status: StatusView) => void;
  readonly connectionsIn: (room: string) => readonly Watcher[];
}

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings?: Partial<PresenceTimings>;
}

/** One per process. What it is told before `start` waits; `stop` ends its part after the sockets are closed. */
export class Presence {
  readonly #needs: Needs;
  readonly #timings: PresenceTimings;
  readonly #podId: string;
  readonly #local: LocalConnections;
  readonly #seen = new Map<string, Date>();
  readonly #stop = new AbortController();
  #loops: Promise<void>[] = [];
  #watchers: Watchers | undefined;
  #isRegistered = false;
  #snapshot: string | undefined;
  #telling: Promise<void> = Promise.resolve();
  #resyncAtMs: number | undefined;

  constructor(needs: Needs) {
    this.#needs = needs;
    this.#timings = { ...TIMINGS, ...needs.timings };
    this.#podId = newUuid(needs.clock);
    this.#local = new LocalConnections(needs.clock, this.#timings.graceMs);
  }

  connected(id: string, userId: string): void {
    this.#local.add(id, userId);
    this.touch(userId);
  }

  disconnected(id: string, userId: string, how: "left" | "session_over"): void {
    this.#local.remove(id, how);
    this.touch(userId);
  }

  setStatus(id: string, userId: string, status: "online" | "away"): void {
    this.#local.setStatus(id, status);
    this.touch(userId);
  }

  /** The user was seen at this moment. */
  touch(userId: string): void {
    this.#seen.set(userId, this.#needs.clock.now());
  }

  start(watchers: Watchers): void {
    this.#watchers = watchers;
    const { heartbeatMs, writeMs, readMs, lastSeenMs } = this.#timings;
    this.#loops = [
      this.#every(heartbeatMs, () => this.#heartbeat()),
      this.#every(writeMs, () => this.#write()),
      this.#every(readMs, () => this.#tellChanges()),
      this.#every(lastSeenMs, () => this.#writeSeen(this.#takeSeen([...this.#seen.keys()]))),
    ];
  }

  /** Writes what is unwritten and lets the lease run out after one grace: clients that reconnect elsewhere never look offline. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error("presence is stopped"));
    await Promise.all(this.#loops);
    if (this.#loops.length === 0) return;
    try {
      await this.#write();
      await this.#writeSeen(this.#takeSeen([...this.#seen.keys()]));
      await inTx(this.#needs.db, (tx) => statements.renewLease(tx, this.#podId, this.#timings.graceMs));
    } catch (error) {
      this.#needs.log.warn({ error }, "presence could not be written at the end; it ends with the lease");
    }
  }

  async #every(ms: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    // Of this loop alone: another that has nothing to do does not fail.
    let isFailing = false;
    while (!signal.aborted) {
      try {
        await work();
        isFailing = false;
      } catch (error) {
        if (!isFailing) this.#needs.log.warn({ error }, "presence cannot reach the database; it goes on when it can");
        isFailing = true;
      }
      await delay(ms, signal).catch(() => {});
    }
  }

  async #heartbeat(): Promise<void> {
    const { db, clock } = this.#needs;
    const wasKnown = await inTx(db, (tx) => statements.renewLease(tx, this.#podId, this.#timings.leaseMs));
    if (!wasKnown) {
      // Those whom no process speaks for by then are offline.
      if (this.#isRegistered) {
        this.#resyncAtMs = clock.monotonicMs() + this.#timings.leaseMs;
        this.#snapshot = undefined;
      }
      this.#isRegistered = true;
      this.#local.rewriteAll();
    }
    await inTx(db, (tx) => buryDeadPods(tx));
    if (this.#resyncAtMs !== undefined && clock.monotonicMs() >= this.#resyncAtMs) await this.#resync();
  }

  async #write(): Promise<void> {
    for (;;) {
      const changes = this.#local.takeChanges(BATCH);
      if (changes.put.length + changes.remove.length === 0) return;
      const seen = this.#takeSeen(changes.remove.map(({ userId }) => userId));
      let outcome: "written" | "forgotten" = "forgotten";
      try {
        outcome = await inTx(this.#needs.db, (tx) => writeChanges(tx, this.#podId, changes, seen));
      } finally {
        if (outcome !== "written") {
          this.#local.giveBack(changes);
          this.#giveBackSeen(seen);
        }
      }
      if (outcome === "forgotten") return await this.#heartbeat();
      await this.#tellChanges();
    }
  }

  /** One after another, so that nothing is told twice. */
  #tellChanges(): Promise<void> {
    const told = this.#telling.then(async () => {
      const { db } = this.#needs;
      const since = this.#snapshot;
      if (since === undefined) {
        // Where the reading begins (anew), what changed just before would not be told: everybody watched is told of.
        this.#snapshot = await statements.currentSnapshot(db);
        const watched = this.#watchers?.watched() ?? [];
        await this.#endSight(watched.map((oneId) => ({ oneId, otherId: null })));
        await this.#tell(watched);
        return;
      }
      const { userIds, ties, snapshot } = await statements.selectChanged(db, since);
      await this.#endSight(ties);
      await this.#tell(userIds.filter((userId) => this.#watchers?.isWatched(userId)));
      // Unless the database was found to be another one meanwhile.
      if (this.#snapshot === since) this.#snapshot = snapshot;
    });
    this.#telling = told.catch(() => {});
    return told;
  }

  /** Before anything is told: who may not hear of it is out of the room by then. */
  async #endSight(ties: readonly statements.Tie[]): Promise<void> {
    const connectionsIn = this.#watchers?.connectionsIn;
    if (connectionsIn !== undefined && ties.length > 0) await endSight({ db: this.#needs.db, connectionsIn }, ties);
  }

  async #tell(userIds: readonly string[]): Promise<void> {
    for (let start = 0; start < userIds.length; start += BATCH) {
      const found = await statements.selectPresence(this.#needs.db, userIds.slice(start, start + BATCH));
      // Without a state yet nothing is known of them: they may be about to be written again.
      for (const row of found) if (row.seq > 0) this.#watchers?.tell(statusView(row));
    }
  }

  async #resync(): Promise<void> {
    const watched = this.#watchers?.watched() ?? [];
    await inTx(this.#needs.db, (tx) => statements.insertMissingStates(tx, watched));
    await this.#tell(watched);
    this.#resyncAtMs = undefined;
  }

  #takeSeen(userIds: readonly string[]): Seen[] {
    return [...new Set(userIds)].flatMap((userId) => {
      const at = this.#seen.get(userId);
      this.#seen.delete(userId);
      return at === undefined ? [] : [{ userId, at }];
    });
  }

  #giveBackSeen(seen: readonly Seen[]): void {
    for (const { userId, at } of seen) if (!this.#seen.has(userId)) this.#seen.set(userId, at);
  }

  async #writeSeen(seen: readonly Seen[]): Promise<void> {
    if (seen.length === 0) return;
    try {
      await inTx(this.#needs.db, (tx) => statements.writeLastSeen(tx, seen));
    } catch (error) {
      this.#giveBackSeen(seen);
      throw error;
    }
  }
}

interface Seen {
  readonly userId: string;
  readonly at: Date;
}

async function writeChanges(tx: Tx, podId: string, changes: PresenceChanges, seen: readonly Seen[]): Promise<"written" | "forgotten"> {
  if (!(await statements.holdPod(tx, podId))) return "forgotten";
  const userIds = [...new Set([...changes.put, ...changes.remove].map(({ userId }) => userId))];
  await statements.lockStates(tx, userIds);
  await statements.putConnections(tx, podId, changes.put);
  await statements.deleteConnections(
    tx,
    changes.remove.map(({ id }) => id),
  );
  // Before the state: who reads the change finds the right moment.
  if (seen.length > 0) await statements.writeLastSeen(tx, seen);
  await statements.settleStates(tx, userIds);
  return "written";
}

async function buryDeadPods(tx: Tx): Promise<void> {
  const dead = await statements.takeDeadPods(tx);
  if (dead.length === 0) return;
  const userIds = await statements.usersOfPods(tx, dead);
  await statements.lockStates(tx, userIds);
  await statements.deleteConnectionsOfPods(tx, dead);
  await statements.settleStates(tx, userIds);
}
