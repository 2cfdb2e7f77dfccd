/** The worker: jobs and sweeps. What starts or ends at a time is announced here; nothing is enforced here. */

import { eventSweeps } from "#src/events/retention";
import { createJobRunner } from "#src/jobs/runner";
import { jobFigures } from "#src/jobs/jobs.sql";
import type { Check } from "#src/http/health-board";
import { mailCheck, registerMailFigures } from "./checks.ts";
import { jobSweep } from "#src/jobs/sweeps";
import { features } from "./features.ts";
import { workerDeps, type CoreDeps } from "./deps.ts";

/** A part of a process that runs. `stop` lets what runs finish until the signal is aborted. */
export interface Running {
  readonly stop: (signal: AbortSignal) => Promise<void>;
}

/** The worker's part of a process, running. */
export interface RunningWork extends Running {
  readonly checks: readonly Check[];
}

/** Starts the worker's part of a process. */
export async function startWork(core: CoreDeps): Promise<RunningWork> {
  const deps = await workerDeps(core);
  const runner = createJobRunner({
    db: core.db,
    log: core.log,
    deps,
    jobs: features.flatMap((feature) => feature.jobs ?? []),
    sweeps: [...features.flatMap((feature) => feature.sweeps ?? []), ...eventSweeps, jobSweep],
  });
  core.metrics.gauge("jobs_dead", "Jobs given up on; someone must look", async () => (await jobFigures(core.db)).dead);
  if (deps.smtp !== undefined) registerMailFigures(core, deps.smtp);
  runner.start();
  return {
    checks: deps.smtp === undefined ? [] : [mailCheck(core, deps.smtp)],
    stop: async (signal) => {
      await runner.stop(signal);
      deps.smtp?.close();
    },
  };
}
