/** The work of a controller that leads: one watch, one queue, and the ends of what is gone. Begun anew with each lease. */

import type { RestrictionsApi } from "#src/client/restrictions";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { withRemoteTrace } from "#src/kernel/trace";
import type { EventRecorder } from "./events.ts";
import { GoneList } from "./gone-list.ts";
import { KubeError, type Kube } from "./kube.ts";
import type { ControllerObserver } from "./observer.ts";
import { endOrphans } from "./orphans.ts";
import { createKeyQueue, type Again, type KeyQueue } from "./queue.ts";
import { createReachability } from "./reachability.ts";
import { endGone, reconcile, RetryError, type ReconcileNeeds } from "./reconcile.ts";
import { createStaffRule } from "./staff.ts";
import type { UserBan } from "./userban.ts";
import { createUserBanWatch, type UserBanWatch } from "./watch.ts";

export interface LeadershipNeeds {
  readonly kube: Kube;
  readonly restrictions: RestrictionsApi;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly log: Log;
  readonly clusterName: string;
  readonly isLeader: () => boolean;
  readonly observer: ControllerObserver;
  readonly resyncMs: number;
}

/** One term of office. */
export interface Leadership {
  /** Until the signal is aborted; resolves when nothing of it runs any more. Never rejects. */
  readonly run: (leading: AbortSignal) => Promise<void>;
  /** Keys that are due. */
  readonly depth: () => number;
  /** Resources in the cache. */
  readonly size: () => number;
}

/** In the queue, for the search of what is declared without a resource. No key of a resource is without a slash. */
const ORPHANS = "orphans";
/** Failures in a row of one key before the log speaks of it, and each doubling after. */
const LOUD_ATTEMPT = 8;

/** Makes a term; nothing happens before `run`. */
export function createLeadership(needs: LeadershipNeeds): Leadership {
  return new Term(needs);
}

class Term implements Leadership {
  readonly #needs: LeadershipNeeds;
  readonly #gone = new GoneList();
  /**
   * As which version a resource was left in order, until the next resync: our own writes come back on the watch, often before
   * their answer, and are no reason to ask the service again (of 1,000 resources 591 were).
   */
  readonly #settled = new Map<string, string>();
  readonly #watch: UserBanWatch;
  readonly #queue: KeyQueue;
  readonly #reconcileNeeds: ReconcileNeeds;

  constructor(needs: LeadershipNeeds) {
    const { kube, log, clock, observer } = needs;
    this.#needs = needs;
    this.#queue = createKeyQueue({
      clock,
      work: (key, attempt, signal) => this.#work(key, attempt, signal),
      failed: (key, error, attempt) => this.#failed(key, error, attempt),
      ...(observer.waited === undefined ? {} : { taken: observer.waited }),
    });
    this.#watch = createUserBanWatch({
      kube,
      log,
      changed: this.#queue.add,
      gone: (last) => {
        const key = this.#gone.add(last);
        if (key !== undefined) this.#queue.add(key);
      },
      listed: () => this.#queue.add(ORPHANS),
      ...(observer.watchRestarted === undefined ? {} : { restarted: observer.watchRestarted }),
    });
    this.#reconcileNeeds = {
      ...needs,
      written: this.#watch.put,
      isStaffAllowed: createStaffRule({ kube, clock }),
      repaired: () => observer.driftRepaired?.(),
      reached: createReachability({ clock, log, back: this.#queue.hurry }),
      ended: this.#gone.isEnded,
    };
  }

  readonly depth = (): number => this.#queue.depth();

  readonly size = (): number => this.#watch.keys().length;

  readonly run = async (leading: AbortSignal): Promise<void> => {
    await Promise.all([this.#watch.run(leading), this.#resync(leading)]);
    await this.#queue.stop();
    await this.#needs.events.idle();
  };

  /** What no watch tells: somebody lifted it, the service was restored, a label changed. */
  async #resync(leading: AbortSignal): Promise<void> {
    while (!leading.aborted) {
      await delay(this.#needs.resyncMs, leading).catch(() => {});
      if (leading.aborted) return;
      this.#settled.clear();
      for (const key of this.#watch.keys()) this.#queue.add(key);
      if (this.#watch.isListed()) this.#queue.add(ORPHANS);
    }
  }

  async #work(key: string, attempt: number, signal: AbortSignal): Promise<Again> {
    const { clock, observer } = this.#needs;
    const startMs = clock.monotonicMs();
    let outcome: "done" | "failed" = "failed";
    try {
      const again = await withRemoteTrace(undefined, { name: "controller reconcile", kind: "internal" }, () =>
        this.#look(key, attempt, signal),
      );
      outcome = "done";
      return again;
    } finally {
      observer.reconciled?.({ outcome, durationMs: clock.monotonicMs() - startMs });
    }
  }

  async #look(key: string, attempt: number, signal: AbortSignal): Promise<Again> {
    const needs = this.#reconcileNeeds;
    if (key === ORPHANS)
      return await endOrphans({ ...needs, isKnown: (one) => this.#watch.get(one) !== undefined || this.#gone.has(one) }, signal);
    for (const last of this.#gone.of(key)) {
      await endGone(needs, last, signal);
      this.#gone.remove(last);
    }
    const ban = this.#watch.get(key);
    if (ban === undefined) return void this.#settled.delete(key);
    let { resourceVersion } = ban.metadata;
    if (this.#settled.get(key) === resourceVersion) return undefined;
    this.#settled.delete(key);
    const written = (next: UserBan): void => {
      needs.written(next);
      ({ resourceVersion } = next.metadata);
    };
    const again = await reconcile({ ...needs, written }, ban, attempt, signal);
    if (again === undefined) this.#settled.set(key, resourceVersion);
    return again;
  }

  #failed(key: string, error: unknown, attempt: number): void {
    const { log } = this.#needs;
    // The service being away is told once, by `reachability`; a conflict means that the object moved on and is looked at again.
    const isQuiet = error instanceof RetryError || (error instanceof KubeError && (error.status === 409 || error.status === 404));
    const isLoud = attempt >= LOUD_ATTEMPT && Number.isInteger(Math.log2(attempt));
    log[isLoud && !isQuiet ? "warn" : "debug"]({ error, userBan: key, attempt }, "a UserBan could not be reconciled; it is tried again");
  }
}
