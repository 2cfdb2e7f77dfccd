/** Sweeps: each has a row, and whoever moves its `due_at` first does this round. */

import type { Db } from "#src/db/pool";
import { backoffMs } from "#src/kernel/backoff";
import type { Log } from "#src/kernel/log";
import { createWakeup } from "#src/kernel/wakeup";
import { describeError, withTimeout } from "./attempt.ts";
import type { Sweep } from "./job.ts";
import { claimSweep, deleteOldJobs, finishSweep, registerSweeps } from "./jobs.sql.ts";

export interface SweepOptions<Deps> {
  readonly db: Db;
  readonly sweeps: readonly Sweep<Deps>[];
  readonly deps: Deps;
  readonly log: Log;
  readonly pollMs: number;
  /** No further round begins. */
  readonly stopping: AbortSignal;
  /** A round that runs is cut short and left to the next process. */
  readonly cutting: AbortSignal;
  readonly onRun: (outcome: "done" | "failed") => void;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const LEASE_MARGIN_MS = 5_000;

/** Runs every sweep in a loop of its own until stopping; what is overdue at the start runs at once. */
export async function runSweeps<Deps>(options: SweepOptions<Deps>): Promise<void> {
  if (options.sweeps.length === 0 || !(await registered(options))) return;
  await Promise.all(options.sweeps.map((sweep) => keepSweeping(options, sweep)));
}

async function registered<Deps>({ db, sweeps, log, stopping }: SweepOptions<Deps>): Promise<boolean> {
  const wakeup = createWakeup();
  for (let failures = 0; !stopping.aborted;) {
    try {
      await registerSweeps(
        db,
        sweeps.map((sweep) => sweep.name),
      );
      return true;
    } catch (error) {
      failures += 1;
      if (failures === 1) log.warn({ error }, "sweeps cannot begin just now; it is tried again");
      await wakeup.pause(backoffMs(failures, { firstMs: 250, mostMs: 5_000 }), stopping);
    }
  }
  return false;
}

async function keepSweeping<Deps>(options: SweepOptions<Deps>, sweep: Sweep<Deps>): Promise<void> {
  const wakeup = createWakeup();
  // Asking twice a round is enough, and never more often than jobs are asked for.
  const pauseMs = Math.max(options.pollMs, Math.min(sweep.everyMs / 2, 30_000));
  while (!options.stopping.aborted) {
    try {
      await round(options, sweep);
    } catch (error) {
      options.log.warn({ error, sweep: sweep.name }, "a sweep could not be claimed or noted; it is tried again");
    }
    await wakeup.pause(pauseMs, options.stopping);
  }
}

async function round<Deps>({ db, deps, log, cutting, onRun }: SweepOptions<Deps>, sweep: Sweep<Deps>): Promise<void> {
  const timeoutMs = sweep.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const fence = await claimSweep(db, sweep.name, (timeoutMs + LEASE_MARGIN_MS) / 1_000);
  if (fence === undefined) return;
  try {
    await withTimeout(timeoutMs, cutting, (signal) => sweep.run(deps, signal));
  } catch (error) {
    if (!cutting.aborted) {
      onRun("failed");
      log.error({ error, sweep: sweep.name }, "a sweep failed");
    }
    return await finishSweep(db, sweep.name, fence, {
      nextInSeconds: cutting.aborted ? 0 : sweep.everyMs / 1_000,
      error: describeError(error),
    });
  }
  onRun("done");
  await finishSweep(db, sweep.name, fence, { nextInSeconds: sweep.everyMs / 1_000, error: null });
}

/** Keeps the jobs table small. The runner's owner adds it to the sweeps. */
export const jobSweep: Sweep<{ readonly db: Db }> = {
  name: "jobs.delete-old",
  summary: "Deletes jobs 7 days after they were done, dead ones after 90 days.",
  everyMs: 60_000,
  run: async ({ db }, signal) => {
    while (!signal.aborted && (await deleteOldJobs(db)) === 1_000);
  },
};
