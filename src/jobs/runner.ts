/** The runner: takes due jobs by lease and fence, a few at a time, and sweeps as they come round. */

import type { Db } from "#src/db/pool";
import { backoffMs } from "#src/kernel/backoff";
import type { Log } from "#src/kernel/log";
import { withRemoteTrace } from "#src/kernel/trace";
import { createWakeup } from "#src/kernel/wakeup";
import { JobEnded, type Job, type Sweep } from "./job.ts";
import { claimJobs, isAnyJobDue, markJobDone, markJobFailed, releaseJob, type ClaimedJob } from "./jobs.sql.ts";
import { runSweeps } from "./sweeps.ts";
import { describeError, withTimeout } from "./attempt.ts";

export interface JobRunnerOptions<Deps> {
  readonly db: Db;
  readonly jobs: readonly Job<Deps>[];
  readonly sweeps: readonly Sweep<Deps>[];
  readonly deps: Deps;
  readonly log: Log;
  /** Jobs at once; 4 when left out. */
  readonly concurrency?: number;
  /** How often an idle runner looks; 250 ms when left out. */
  readonly pollMs?: number;
  /** Pauses between the tries of one job: 1 s to 5 min when left out. */
  readonly retry?: { readonly firstMs: number; readonly mostMs: number };
}

/** Counted since the start. */
export interface JobRunnerFigures {
  readonly done: number;
  readonly failed: number;
  readonly dead: number;
  /** Found at its end to be no longer ours: it took longer than its lease. */
  readonly fenced: number;
  readonly sweepsRun: number;
  readonly sweepsFailed: number;
  readonly running: number;
}

/** Any number may run on one database. */
export interface JobRunner {
  /** What became due while no process ran is done first. */
  readonly start: () => void;
  /** Takes nothing more, waits for what runs until `signal` is aborted, then cuts it short and gives it back. */
  readonly stop: (signal: AbortSignal) => Promise<void>;
  readonly figures: () => JobRunnerFigures;
}

/** Makes a runner; it does nothing before `start`. @throws Error when two jobs or two sweeps have one name */
export function createJobRunner<Deps>(options: JobRunnerOptions<Deps>): JobRunner {
  return new Runner(options);
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** What a lease holds beyond the time-out, for noting the result. */
const LEASE_MARGIN_MS = 5_000;

class Runner<Deps> implements JobRunner {
  readonly #options: Required<JobRunnerOptions<Deps>>;
  readonly #jobs: ReadonlyMap<string, Job<Deps>>;
  readonly #leases: ReadonlyMap<string, number>;
  readonly #stopping = new AbortController();
  readonly #cutting = new AbortController();
  readonly #wakeup = createWakeup();
  readonly #running = new Set<Promise<void>>();
  readonly #counts = { done: 0, failed: 0, dead: 0, fenced: 0, sweepsRun: 0, sweepsFailed: 0 };
  #loops: Promise<unknown> | undefined;

  constructor(options: JobRunnerOptions<Deps>) {
    this.#options = { concurrency: 4, pollMs: 250, retry: { firstMs: 1_000, mostMs: 300_000 }, ...options };
    refuseTwins(options.jobs.map((job) => job.kind));
    refuseTwins(options.sweeps.map((sweep) => sweep.name));
    this.#jobs = new Map(options.jobs.map((job) => [job.kind, job]));
    this.#leases = new Map(options.jobs.map((job) => [job.kind, (timeoutOf(job) + LEASE_MARGIN_MS) / 1_000]));
  }

  readonly start = (): void => {
    const { db, sweeps, deps, log, pollMs } = this.#options;
    this.#loops ??= Promise.all([
      this.#run(),
      runSweeps({
        db,
        deps,
        log,
        pollMs,
        sweeps,
        stopping: this.#stopping.signal,
        cutting: this.#cutting.signal,
        onRun: (outcome) => (this.#counts[outcome === "done" ? "sweepsRun" : "sweepsFailed"] += 1),
      }),
    ]);
  };

  readonly stop = async (signal: AbortSignal): Promise<void> => {
    this.#stopping.abort();
    const cut = (): void => this.#cutting.abort(new Error("the process stops"));
    if (signal.aborted) cut();
    else signal.addEventListener("abort", cut, { once: true });
    await this.#loops;
    await Promise.all(this.#running);
    signal.removeEventListener("abort", cut);
  };

  readonly figures = (): JobRunnerFigures => ({ ...this.#counts, running: this.#running.size });

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted && this.#jobs.size > 0) {
      let pauseMs = this.#options.pollMs;
      try {
        await this.#round();
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures === 1) this.#options.log.warn({ error }, "jobs cannot be claimed just now; it is tried again");
        pauseMs = backoffMs(failures, { firstMs: 250, mostMs: 5_000 });
      }
      await this.#wakeup.pause(pauseMs, signal);
    }
  }

  async #round(): Promise<void> {
    const { db, concurrency } = this.#options;
    const free = concurrency - this.#running.size;
    if (free <= 0 || !(await isAnyJobDue(db, [...this.#jobs.keys()]))) return;
    const claimed = await claimJobs(db, this.#leases, free);
    for (const claim of claimed) this.#begin(claim);
  }

  #begin(claim: ClaimedJob): void {
    const working = this.#work(claim)
      .catch((error: unknown) => {
        this.#options.log.warn(
          { error, kind: claim.kind, jobId: claim.id },
          "the result of a job could not be noted; it runs again when its lease ends",
        );
      })
      .finally(() => {
        this.#running.delete(working);
        // There may be more behind it.
        this.#wakeup.wake();
      });
    this.#running.add(working);
  }

  async #work(claim: ClaimedJob): Promise<void> {
    const { db, deps, log } = this.#options;
    const job = this.#jobs.get(claim.kind);
    if (job === undefined) return;
    try {
      // A trace of its own: whoever asked for the job has had their answer.
      const span = {
        name: `job ${claim.kind}`,
        kind: "internal",
        attributes: { "job.id": claim.id, "job.attempt": claim.attempt },
      } as const;
      await withRemoteTrace(undefined, span, () =>
        withTimeout(timeoutOf(job), this.#cutting.signal, async (signal) => {
          await job.handle(deps, job.payload.parse(claim.payload) as never, signal, { id: claim.id, attempt: claim.attempt });
        }),
      );
    } catch (error) {
      if (this.#cutting.signal.aborted) return await releaseJob(db, claim);
      if (error instanceof JobEnded) {
        log.warn({ error, kind: claim.kind, jobId: claim.id, attempt: claim.attempt }, "a job ended without success");
        return await this.#done(claim, describeError(error));
      }
      log.warn({ error, kind: claim.kind, jobId: claim.id, attempt: claim.attempt }, "a job failed");
      return await this.#failed(job, claim, error);
    }
    await this.#done(claim);
  }

  async #done(claim: ClaimedJob, reason?: string): Promise<void> {
    if (await markJobDone(this.#options.db, claim, reason)) this.#counts.done += 1;
    else this.#counts.fenced += 1;
  }

  async #failed(job: Job<Deps>, claim: ClaimedJob, error: unknown): Promise<void> {
    const { db, log, retry } = this.#options;
    const isDead = claim.attempt >= job.maxAttempts;
    const isOurs = await markJobFailed(db, claim, {
      error: describeError(error),
      retryInSeconds: isDead ? undefined : backoffMs(claim.attempt, retry) / 1_000,
    });
    if (!isOurs) this.#counts.fenced += 1;
    else this.#counts[isDead ? "dead" : "failed"] += 1;
    if (isOurs && isDead)
      log.error({ kind: claim.kind, jobId: claim.id, attempts: claim.attempt }, "a job was given up: its error is in its row");
  }
}

function timeoutOf(job: { readonly timeoutMs?: number }): number {
  return job.timeoutMs ?? DEFAULT_TIMEOUT_MS;
}

function refuseTwins(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`${twice} is declared twice`);
}
