/** The controller of `UserBan`: while it leads, it watches, queues and reconciles; see README.md. */

import { createRestrictionsApi, type Invoke } from "#src/client/restrictions";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { createEventRecorder } from "./events.ts";
import type { KubeAccess } from "./kube-access.ts";
import { createKube, type Kube } from "./kube.ts";
import { createLeaderElection, type LeaseTimes } from "./lease.ts";
import { createLeadership, type Leadership, type LeadershipNeeds } from "./leadership.ts";
import type { ControllerObserver } from "./observer.ts";

export interface ControllerOptions {
  readonly access: KubeAccess;
  /** How to call the service: `Sidecar.invoke`. */
  readonly invoke: Invoke;
  /** The service's app id; `user-service` when left out. */
  readonly appId?: string;
  /** Deadline of one call to it, in ms; 10 s when left out. */
  readonly serviceTimeoutMs?: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Begins the names under which the service knows this cluster's resources. */
  readonly clusterName: string;
  /** Where the Lease lives. */
  readonly namespace: string;
  /** Ours in the Lease; of no other process. */
  readonly identity: string;
  readonly observer?: ControllerObserver;
  readonly leaseTimes?: LeaseTimes;
  /** All are looked at again after so long, in ms; 10 min when left out. */
  readonly resyncMs?: number;
}

/** Read at any time. */
export interface ControllerFigures {
  readonly isLeader: boolean;
  readonly queueDepth: number;
  /** UserBans in the cache; 0 while not leading. */
  readonly userBans: number;
  /** Lifts held back; always 0 until the limit on lifts is built. */
  readonly held: number;
}

/** A controller that runs. */
export interface Controller {
  readonly figures: () => ControllerFigures;
  /** Ends its work, gives the Lease back, closes the connection; returns when done or when `signal` is aborted. */
  readonly stop: (signal: AbortSignal) => Promise<void>;
}

const LEASE_NAME = "user-service-controller";
const SOURCE = "kubernetes";
/** More bans than this wait: a mass, of which the Events come last. */
const MANY = 50;
const RESYNC_MS = 600_000;

/** Starts it. It waits by itself for whatever is not there yet. */
export function startController(options: ControllerOptions): Controller {
  const { log, clock, namespace, identity, observer = {} } = options;
  const kube = createKube(options.access, observer);
  const election = createLeaderElection({
    kube,
    clock,
    log,
    namespace,
    identity,
    name: LEASE_NAME,
    ...(options.leaseTimes === undefined ? {} : { times: options.leaseTimes }),
  });
  const stopping = new AbortController();
  let now: Leadership | undefined;
  const work = async (leading: AbortSignal): Promise<void> => {
    now = createLeadership(needsOf(options, { kube, isLeader: election.isLeader, depth: () => now?.depth() ?? 0, leading }));
    await now.run(leading);
    now = undefined;
  };
  const running = election.run(work, stopping.signal);
  return {
    figures: () => ({ isLeader: election.isLeader(), queueDepth: now?.depth() ?? 0, userBans: now?.size() ?? 0, held: 0 }),
    stop: async (signal) => {
      stopping.abort(new Error("the controller stops"));
      await Promise.race([running, aborted(signal)]);
      await kube[Symbol.asyncDispose]();
    },
  };
}

interface Term {
  readonly kube: Kube;
  readonly isLeader: () => boolean;
  /** UserBans that wait to be looked at. */
  readonly depth: () => number;
  readonly leading: AbortSignal;
}

function needsOf(options: ControllerOptions, { kube, isLeader, depth, leading }: Term): LeadershipNeeds {
  const {
    invoke,
    appId = "user-service",
    clock,
    log,
    clusterName,
    identity,
    observer = {},
    resyncMs = RESYNC_MS,
    serviceTimeoutMs: timeoutMs = 10_000,
  } = options;
  return {
    kube,
    restrictions: createRestrictionsApi({ invoke, appId, source: SOURCE, timeoutMs }),
    events: createEventRecorder({ kube, clock, log, identity, signal: leading, isBusy: () => depth() > MANY }),
    clock,
    log,
    clusterName,
    isLeader,
    observer,
    resyncMs,
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
