/** The worker's process, from its configuration on. */

import type { Config } from "#src/config/config";
import type { Log } from "#src/kernel/log";
import { openCore, urlsOf } from "./deps.ts";
import { startOutflow } from "./event-flow.ts";
import { coreChecks } from "./checks.ts";
import { openHealthDoor } from "./health-door.ts";
import type { Leaving } from "./leaving.ts";
import { runProcess } from "./run.ts";
import { openSidecarDoor } from "./sidecar-door.ts";
import { startWork, type Running } from "./work.ts";

/** Runs until it is told to leave. */
export function runWorker(told: Leaving): Promise<void> {
  return runProcess({ name: "worker", setting: "worker", start: startWorkerProcess }, told);
}

async function startWorkerProcess(config: Config, log: Log): Promise<Running> {
  const core = await openCore(config, log, urlsOf(config));
  // The in-process sidecar delivers in its own process only: there the API relays.
  const outflow = config.sidecar === "dapr" ? startOutflow(core) : undefined;
  const work = await startWork(core);
  const health = await openHealthDoor(core, { checks: [...coreChecks(core), ...work.checks] });
  const door = await openSidecarDoor(core, []);
  log.info({}, "worker is ready");
  return {
    stop: async (signal: AbortSignal) => {
      await Promise.all([work.stop(signal), outflow?.stop(signal)]);
      await door?.stop(signal);
      await health?.stop(signal);
      await core[Symbol.asyncDispose]();
    },
  };
}
