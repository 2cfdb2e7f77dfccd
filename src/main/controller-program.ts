/** The controller's process, from its configuration on. */

import type { Config } from "#src/config/config";
import { environment } from "#src/config/environment";
import { startController, type Controller } from "#src/controller/controller";
import { findKubeAccess } from "#src/controller/kube-access";
import type { ControllerObserver } from "#src/controller/observer";
import type { Check } from "#src/http/health-board";
import { systemClock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { createDaprSidecar, type DaprSidecar } from "#src/sidecar/dapr/dapr-sidecar";
import { Metrics } from "#src/telemetry/metrics";
import { openHealthDoor } from "./health-door.ts";
import type { Leaving } from "./leaving.ts";
import { runProcess } from "./run.ts";
import { openSidecarDoor, type DoorDeps } from "./sidecar-door.ts";
import type { Running } from "./work.ts";

const SIDECAR_ANSWERS_WITHIN_MS = 900;

/** Runs until it is told to leave. */
export function runController(told: Leaving): Promise<void> {
  return runProcess({ name: "controller", setting: "controller", start: startControllerProcess }, told);
}

async function startControllerProcess(config: Config, log: Log): Promise<Running> {
  const metrics = new Metrics(systemClock);
  const dapr = createDaprSidecar({ ...config.dapr, clock: systemClock });
  const deps: DoorDeps = { config, dapr, clock: systemClock, log, metrics };
  const { clusterName, namespace, podName } = config.kubernetes;
  const controller = startController({
    access: await findKubeAccess(environment),
    invoke: dapr.invoke,
    clock: systemClock,
    log,
    clusterName,
    namespace,
    identity: podName,
    observer: observe(metrics),
  });
  registerFigures(metrics, controller);
  const health = await openHealthDoor(deps, { checks: [sidecarCheck(dapr)] });
  const door = await openSidecarDoor(deps, []);
  log.info({ clusterName, namespace, podName }, "controller is ready");
  return {
    stop: async (signal) => {
      await controller.stop(signal);
      await door?.stop(signal);
      await health?.stop(signal);
      await dapr.close();
      metrics[Symbol.dispose]();
    },
  };
}

function sidecarCheck(dapr: DaprSidecar): Check {
  return { name: "sidecar", check: () => dapr.health(AbortSignal.timeout(SIDECAR_ANSWERS_WITHIN_MS)) };
}

function observe(metrics: Metrics): ControllerObserver {
  const failed = metrics.counter("userban_reconcile_errors_total", "Looks at a UserBan that failed and are tried again");
  const repaired = metrics.counter("userban_drift_repaired_total", "Restrictions that somebody had lifted, imposed again");
  const restarted = metrics.counter("userban_watch_restarts_total", "Watches that ended and were begun again");
  const requests = metrics.counter("kubernetes_requests_total", "Requests to the Kubernetes API");
  const looked = metrics.durations("userban_reconcile_duration_seconds", "One look at one UserBan");
  const waited = metrics.durations("userban_queue_wait_seconds", "From when a UserBan was due to be looked at until it was");
  return {
    reconciled: ({ outcome, durationMs }) => {
      if (outcome === "failed") failed();
      looked(durationMs);
    },
    waited,
    driftRepaired: () => repaired(),
    watchRestarted: () => restarted(),
    sending: () => requests(),
  };
}

function registerFigures(metrics: Metrics, controller: Controller): void {
  const { figures } = controller;
  metrics.gauge("userban_queue_depth", "UserBans that wait to be looked at", () => figures().queueDepth);
  metrics.gauge("userban_controller_leads", "1 while this controller leads", () => (figures().isLeader ? 1 : 0));
  metrics.gauge("userban_known", "UserBans in the leader's cache", () => figures().userBans);
}
