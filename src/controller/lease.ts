/**
 * Leader election by a Lease: one of several controllers works. A lease is no fence: whoever was frozen may wake and believe it
 * leads for the length of one request, so every write of the work carries something that the other side compares.
 */

import { backoffMs } from "#src/kernel/backoff";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { createWakeup } from "#src/kernel/wakeup";
import { KubeError, type Kube } from "./kube.ts";

/** How long things take, in ms; those of client-go when left out. */
export interface LeaseTimes {
  /** After so long without a renewal by its holder somebody else takes it: 15 s. */
  readonly durationMs: number;
  /** After so long without a renewal of our own we stop: 10 s. */
  readonly renewDeadlineMs: number;
  /** Between two tries: 2 s. */
  readonly retryMs: number;
}

export interface LeaderElectionOptions {
  readonly kube: Kube;
  readonly clock: Clock;
  readonly log: Log;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Ours; of no other process. */
  readonly identity: string;
  readonly times?: LeaseTimes;
}

/** The state of one candidate. */
export interface LeaderElection {
  /**
   * Waits until it leads, runs `work` with a signal that is aborted when it leads no more, waits for its end, and starts over;
   * until `signal` is aborted, then gives the Lease back. Never rejects because of the API server.
   */
  readonly run: (work: (leading: AbortSignal) => Promise<void>, signal: AbortSignal) => Promise<void>;
  /** Whether it may still write: by the clock that goes on while the process is stopped. */
  readonly isLeader: () => boolean;
}

const TIMES: LeaseTimes = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

interface Lease {
  readonly apiVersion: "coordination.k8s.io/v1";
  readonly kind: "Lease";
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number | null;
    readonly acquireTime?: string | null;
    readonly renewTime?: string | null;
    readonly leaseTransitions?: number | null;
  };
}

/** Makes a candidate; it asks nothing before `run`. */
export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  return new Election(options);
}

class Election implements LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #times: LeaseTimes;
  readonly #path: string;
  /** The Lease as last read, and when its last change was seen here: clocks of other machines are not compared. */
  #seen: { readonly lease: Lease; readonly atMs: number } | undefined;
  /** When the last renewal that succeeded was sent. */
  #renewedMs = Number.NEGATIVE_INFINITY;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#times = options.times ?? TIMES;
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  readonly isLeader = (): boolean => this.#options.clock.monotonicMs() - this.#renewedMs < this.#times.renewDeadlineMs;

  readonly run = async (work: (leading: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> => {
    while (await this.#acquired(signal)) {
      this.#options.log.info({ identity: this.#options.identity }, "this controller leads");
      await this.#lead(work, signal);
      this.#options.log.info({ identity: this.#options.identity }, "this controller leads no more");
    }
    await this.#release();
  };

  /** @returns false when the signal was first */
  async #acquired(signal: AbortSignal): Promise<boolean> {
    const { log } = this.#options;
    const { retryMs } = this.#times;
    const wakeup = createWakeup();
    let complaint = "";
    while (!signal.aborted) {
      try {
        if (await this.#tryOnce(signal)) return true;
        complaint = "";
      } catch (error) {
        const kind = error instanceof KubeError ? String(error.status) : "unreachable";
        if (!signal.aborted && kind !== complaint) log.warn({ error }, "the Lease cannot be had just now; it is tried again");
        complaint = kind;
      }
      await wakeup.pause(backoffMs(1, { firstMs: retryMs, mostMs: retryMs }), signal);
    }
    return false;
  }

  async #lead(work: (leading: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const leading = new AbortController();
    const stop = (): void => leading.abort(new Error("this controller leads no more"));
    signal.addEventListener("abort", stop, { once: true });
    // A deadline of its own: a renewal that hangs must not keep the work going.
    const deadline = setInterval(() => {
      if (!this.isLeader()) stop();
    }, this.#times.retryMs / 4);
    try {
      await Promise.all([work(leading.signal).finally(stop), this.#renew(leading.signal, stop)]);
    } finally {
      clearInterval(deadline);
      signal.removeEventListener("abort", stop);
      stop();
    }
  }

  async #renew(leading: AbortSignal, stop: () => void): Promise<void> {
    const wakeup = createWakeup();
    for (;;) {
      await wakeup.pause(this.#times.retryMs, leading);
      if (leading.aborted) return;
      try {
        if (this.isLeader() && (await this.#tryOnce(leading))) continue;
        stop();
      } catch (error) {
        if (!leading.aborted) this.#options.log.warn({ error }, "the Lease could not be renewed; it is tried again");
      }
    }
  }

  /** Takes or renews the Lease if it may. @returns whether it is ours. @throws as `Kube.send` */
  async #tryOnce(signal: AbortSignal): Promise<boolean> {
    const limit = AbortSignal.timeout(this.#times.renewDeadlineMs / 2);
    const timely = AbortSignal.any([signal, limit]);
    // While it is ours, what we wrote last is what is there, or the write is refused.
    if (!this.#isOurs() || !this.isLeader()) this.#see(await this.#read(timely));
    if (!this.#isFree()) return false;
    const sentMs = this.#options.clock.monotonicMs();
    try {
      // Not cut short by a stop: a Lease that was taken must be known, to be given back.
      this.#see(await this.#write(limit));
      this.#renewedMs = sentMs;
      return true;
    } catch (error) {
      if (!(error instanceof KubeError) || error.status !== 409) throw error;
      // Somebody else was faster.
      this.#see(await this.#read(timely));
      if (!this.#isOurs()) this.#renewedMs = Number.NEGATIVE_INFINITY;
      return this.isLeader();
    }
  }

  async #write(signal: AbortSignal): Promise<Lease> {
    const { kube, name, identity } = this.#options;
    const before = this.#seen?.lease;
    const lease = this.#claimed(before, identity);
    if (before === undefined) return await kube.send<Lease>("POST", this.#path, signal, lease);
    try {
      return await kube.send<Lease>("PUT", `${this.#path}/${name}`, signal, lease);
    } catch (error) {
      // Deleted by hand: the next try makes it again.
      if (error instanceof KubeError && error.status === 404) this.#seen = undefined;
      throw error;
    }
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return await this.#options.kube.send<Lease>("GET", `${this.#path}/${this.#options.name}`, signal);
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined;
      throw error;
    }
  }

  #see(lease: Lease | undefined): void {
    if (lease === undefined) this.#seen = undefined;
    else if (lease.metadata.resourceVersion !== this.#seen?.lease.metadata.resourceVersion)
      this.#seen = { lease, atMs: this.#options.clock.monotonicMs() };
  }

  #isOurs(): boolean {
    return this.#seen?.lease.spec?.holderIdentity === this.#options.identity;
  }

  #isFree(): boolean {
    const { lease, atMs } = this.#seen ?? {};
    const holder = lease?.spec?.holderIdentity ?? "";
    if (holder === "" || this.#isOurs() || atMs === undefined) return true;
    // What its holder counts on, as client-go has it.
    const heldSeconds = lease?.spec?.leaseDurationSeconds ?? this.#times.durationMs / 1000;
    return this.#options.clock.monotonicMs() - atMs > heldSeconds * 1000;
  }

  #claimed(before: Lease | undefined, identity: string): Lease {
    const { clock, namespace, name } = this.#options;
    const now = microTime(clock.now());
    const { spec = {} } = before ?? {};
    const isNew = spec.holderIdentity !== identity;
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: before?.metadata ?? { name, namespace },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(this.#times.durationMs / 1000),
        acquireTime: isNew ? now : (spec.acquireTime ?? now),
        renewTime: now,
        leaseTransitions: (spec.leaseTransitions ?? 0) + (isNew && before !== undefined ? 1 : 0),
      },
    };
  }

  /** So that the next one need not wait. Refused, as it should be, if it is another's by now. */
  async #release(): Promise<void> {
    const { kube, name, log, clock } = this.#options;
    if (this.#seen === undefined || !this.#isOurs()) return;
    const { lease } = this.#seen;
    const spec = { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: microTime(clock.now()) };
    this.#renewedMs = Number.NEGATIVE_INFINITY;
    try {
      await kube.send("PUT", `${this.#path}/${name}`, AbortSignal.timeout(this.#times.retryMs), { ...lease, spec });
    } catch (error) {
      log.warn({ error }, "the Lease could not be given back; it runs out");
    }
  }
}

/** `MicroTime` of the API. */
function microTime(moment: Date): string {
  return moment.toISOString().replace("Z", "000Z");
}
