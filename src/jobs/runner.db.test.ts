import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase } from "../../test/kit/database.ts";
import { until } from "../../test/kit/until.ts";
import { enqueue, type EnqueueOptions, type JobKind } from "./enqueue.ts";
import { job, JobEnded, type Job, type Sweep } from "./job.ts";
import { claimJobs, isAnyJobDue, jobFigures } from "./jobs.sql.ts";
import { createJobRunner, type JobRunner, type JobRunnerOptions } from "./runner.ts";
import { jobSweep } from "./sweeps.ts";

interface Deps {
  readonly db: Db;
}

interface Open extends AsyncDisposable {
  readonly db: Db;
  readonly ask: (n: number, options?: EnqueueOptions) => Promise<"enqueued" | "already-known">;
  /** Starts a runner, which is stopped at the end. */
  readonly run: (options: Partial<JobRunnerOptions<Deps>>) => JobRunner;
}

const countKind: JobKind<{ n: number }> = { kind: "test.count", payload: z.object({ n: z.int() }) };

type Handle = (n: number, signal: AbortSignal, about: { readonly id: string; readonly attempt: number }) => Promise<void>;

function counting(handle: Handle, parts: Partial<Job<Deps>> = {}): Job<Deps> {
  return job({
    ...countKind,
    payload: z.object({ n: z.int() }),
    summary: "Counts",
    maxAttempts: 3,
    handle: (_deps: Deps, payload, signal, about) => handle(payload.n, signal, about),
    ...(parts as object),
  });
}

async function open(): Promise<Open> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await cloneDatabase());
  const db = openDb({ url: database.url, maxConnections: 8, applicationName: "test", log: silentLog });
  stack.defer(() => closeDb(db));
  const owned = stack.move();
  return {
    db,
    ask: (n, options) => inTx(db, (tx) => enqueue(tx, countKind, { n }, options)),
    run: (options) => {
      const runner = createJobRunner<Deps>({
        db,
        deps: { db },
        log: silentLog,
        jobs: [],
        sweeps: [],
        pollMs: 10,
        retry: { firstMs: 10, mostMs: 50 },
        ...options,
      });
      owned.defer(() => runner.stop(AbortSignal.timeout(2_000)));
      runner.start();
      return runner;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const jobRow = (db: Db): Promise<object | undefined> => row(db, sql`select state, attempts, last_error from jobs`);

describe("enqueue", () => {
  it("does nothing when the transaction is undone", async () => {
    await using opened = await open();
    const undone = inTx(opened.db, async (tx) => {
      await enqueue(tx, countKind, { n: 1 });
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    expect(await row(opened.db, sql`select 1 as found from jobs`)).toBeUndefined();
  });

  it("knows work by its key, also when it is asked for many times at once", async () => {
    await using opened = await open();
    const answers = await Promise.all(Array.from({ length: 5 }, (_, n) => opened.ask(n, { key: "welcome-ann" })));
    expect(answers.filter((answer) => answer === "enqueued")).toHaveLength(1);
    expect(await opened.ask(9, { key: "welcome-bob" })).toBe("enqueued");
    expect(await row(opened.db, sql`select count(*) as jobs from jobs`)).toEqual({ jobs: 2 });
  });

  it("does not do again what was done under a key", async () => {
    await using opened = await open();
    const seen: number[] = [];
    opened.run({ jobs: [counting(async (n) => void seen.push(n))] });
    await opened.ask(1, { key: "once" });
    await until(() => seen.length === 1);
    await until(async () => row(opened.db, sql`select 1 from jobs where state = 'done'`));
    expect(await opened.ask(2, { key: "once" })).toBe("already-known");
  });

  it("refuses a payload that is not as the kind says", async () => {
    await using opened = await open();
    await expect(inTx(opened.db, (tx) => enqueue(tx, countKind, { n: 1.5 }))).rejects.toThrow();
  });
});

describe("the job runner", () => {
  it("does a job with its payload and marks it done", async () => {
    await using opened = await open();
    const seen: unknown[] = [];
    const runner = opened.run({ jobs: [counting(async (n, _signal, about) => void seen.push([n, about.attempt]))] });
    await opened.ask(7);
    await until(() => runner.figures().done === 1);
    expect(seen).toEqual([[7, 1]]);
    expect(await jobRow(opened.db)).toEqual({ state: "done", attempts: 1, last_error: null });
  });

  it("does what fell due while no process ran, and nothing before its time", async () => {
    await using opened = await open();
    const seen: number[] = [];
    await opened.ask(1, { runAt: new Date(Date.now() - 3_600_000) });
    await opened.ask(2, { runAt: new Date(Date.now() + 3_600_000) });
    await opened.ask(3, { runAt: new Date(Date.now() + 300) });
    opened.run({ jobs: [counting(async (n) => void seen.push(n))] });
    await until(() => seen.length === 2);
    expect(seen).toEqual([1, 3]);
  });

  it("tries a failed job again, later each time, and keeps the error meanwhile", async () => {
    await using opened = await open();
    const attempts: number[] = [];
    const errors: unknown[] = [];
    const runner = opened.run({
      jobs: [
        counting(async (_n, _signal, { attempt }) => {
          attempts.push(attempt);
          errors.push((await row<{ last_error: string | null }>(opened.db, sql`select last_error from jobs`))?.last_error);
          if (attempt < 3) throw new Error(`no ${attempt}\0`);
        }),
      ],
    });
    await opened.ask(1);
    await until(() => runner.figures().done === 1);
    expect(attempts).toEqual([1, 2, 3]);
    expect(errors).toEqual([null, "Error: no 1", "Error: no 2"]);
    expect(await jobRow(opened.db)).toEqual({ state: "done", attempts: 3, last_error: null });
  });

  it("gives a job up after its last attempt, and keeps it where it is seen", async () => {
    await using opened = await open();
    const runner = opened.run({ jobs: [counting(() => Promise.reject(new Error("never")))] });
    await opened.ask(1);
    await until(() => runner.figures().dead === 1);
    expect(await jobRow(opened.db)).toEqual({ state: "dead", attempts: 3, last_error: "Error: never" });
    expect(await jobFigures(opened.db)).toEqual({ overdue: 0, oldestOverdueSeconds: 0, dead: 1 });
    expect(await isAnyJobDue(opened.db, ["test.count"])).toBe(false);
  });

  it("does not try again what ended without success, and keeps why", async () => {
    await using opened = await open();
    const attempts: number[] = [];
    const runner = opened.run({
      jobs: [
        counting((_n, _signal, { attempt }) => {
          attempts.push(attempt);
          return Promise.reject(new JobEnded("nobody is there"));
        }),
      ],
    });
    await opened.ask(1);
    await until(() => runner.figures().done === 1);
    expect(attempts).toEqual([1]);
    expect(await jobRow(opened.db)).toEqual({ state: "done", attempts: 1, last_error: "JobEnded: nobody is there" });
    expect(await jobFigures(opened.db)).toMatchObject({ dead: 0 });
  });

  it("gives up a job whose stored payload does not parse any more", async () => {
    await using opened = await open();
    await opened.ask(1);
    await affected(opened.db, sql`update jobs set payload = '{"n": "seven"}'`);
    const runner = opened.run({ jobs: [counting(async () => {})] });
    await until(() => runner.figures().dead === 1);
  });

  it("cuts a job off at its time-out, by signal, and counts it as failed even when the signal is not heeded", async () => {
    await using opened = await open();
    const aborted: unknown[] = [];
    const runner = opened.run({
      jobs: [
        counting((_n, signal) => new Promise(() => signal.addEventListener("abort", () => aborted.push(signal.reason))), {
          timeoutMs: 30,
          maxAttempts: 1,
        }),
      ],
    });
    await opened.ask(1);
    await until(() => runner.figures().dead === 1);
    expect(aborted).toHaveLength(1);
    expect(await jobRow(opened.db)).toMatchObject({ last_error: "Error: not done after 30 ms" });
  });

  it("does each job once with several runners, and no more at once than it may", async () => {
    await using opened = await open();
    const seen: number[] = [];
    let now = 0;
    let most = 0;
    const handle: Handle = async (n) => {
      most = Math.max(most, (now += 1));
      await row(opened.db, sql`select pg_sleep(0.002)`);
      now -= 1;
      seen.push(n);
    };
    await inTx(opened.db, async (tx) => {
      for (let n = 0; n < 100; n += 1) await enqueue(tx, countKind, { n });
    });
    opened.run({ jobs: [counting(handle)], concurrency: 2 });
    opened.run({ jobs: [counting(handle)], concurrency: 2 });
    await until(() => seen.length === 100);
    expect(new Set(seen).size).toBe(100);
    expect(most).toBeLessThanOrEqual(4);
  });

  it("does not wait for another runner, and does not take what it has", async () => {
    await using opened = await open();
    for (let n = 0; n < 3; n += 1) await opened.ask(n);
    const leases = new Map([["test.count", 60]]);
    await inTx(opened.db, async (tx) => {
      const mine = await claimJobs(tx, leases, 2);
      const theirs = await claimJobs(opened.db, leases, 9);
      expect([mine.length, theirs.length]).toEqual([2, 1]);
    });
  });

  it("does again, elsewhere, what a process that died had taken, when its lease ends", async () => {
    await using opened = await open();
    await opened.ask(1);
    await inTx(opened.db, (tx) => claimJobs(tx, new Map([["test.count", 0.2]]), 1));
    const attempts: number[] = [];
    opened.run({ jobs: [counting(async (_n, _signal, about) => void attempts.push(about.attempt))] });
    await until(() => attempts.length === 1);
    expect(attempts).toEqual([2]);
  });

  it("cannot mark what another has taken since: its fence is old", async () => {
    await using opened = await open();
    const gate = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const runner = opened.run({ jobs: [counting(() => (began.resolve(), gate.promise))] });
    await opened.ask(1);
    await began.promise;
    await affected(opened.db, sql`update jobs set fence = fence + 1`);
    gate.resolve();
    await until(() => runner.figures().fenced === 1);
    expect(await jobRow(opened.db)).toMatchObject({ state: "waiting" });
  });

  it("leaves kinds alone that this version does not know", async () => {
    await using opened = await open();
    const seen: number[] = [];
    await inTx(opened.db, (tx) => enqueue(tx, { ...countKind, kind: "test.newer" }, { n: 1 }));
    await opened.ask(2);
    opened.run({ jobs: [counting(async (n) => void seen.push(n))] });
    await until(() => seen.length === 1);
    expect(await row(opened.db, sql`select state, attempts from jobs where kind = 'test.newer'`)).toEqual({
      state: "waiting",
      attempts: 0,
    });
  });

  it("finishes at shutdown what it can", async () => {
    await using opened = await open();
    const gate = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const runner = opened.run({ jobs: [counting(() => (began.resolve(), gate.promise))] });
    await opened.ask(1);
    await began.promise;
    const stopping = runner.stop(new AbortController().signal);
    gate.resolve();
    await stopping;
    expect(await jobRow(opened.db)).toMatchObject({ state: "done" });
  });

  it("gives back at shutdown what it cannot finish: due at once, the attempt not counted", async () => {
    await using opened = await open();
    const began = Promise.withResolvers<void>();
    const runner = opened.run({ jobs: [counting(() => (began.resolve(), new Promise(() => {})))] });
    await opened.ask(1);
    await began.promise;
    await runner.stop(AbortSignal.abort());
    expect(await row(opened.db, sql`select state, attempts, due_at <= now() as due from jobs`)).toEqual({
      state: "waiting",
      attempts: 0,
      due: true,
    });
  });

  it("refuses two jobs of one kind", async () => {
    await using opened = await open();
    expect(() => opened.run({ jobs: [counting(async () => {}), counting(async () => {})] })).toThrow(/test\.count/);
  });

  it("costs no more to claim with a great many done, dead, of unknown kind and waiting", async () => {
    await using opened = await open();
    await affected(
      opened.db,
      sql`insert into jobs (id, kind, payload, state, due_at, finished_at)
          select gen_random_uuid(), case when n % 4 = 3 then 'test.newer' else 'test.count' end, '{"n": 1}',
            case n % 4 when 0 then 'done' when 1 then 'dead' else 'waiting' end, now(), now()
          from generate_series(1, 20000) n`,
    );
    const cost = await inTx(opened.db, async (tx) => {
      expect(await isAnyJobDue(tx as unknown as Db, ["test.count"])).toBe(true);
      expect(await claimJobs(tx, new Map([["test.count", 60]]), 4)).toHaveLength(4);
      return await row(
        tx,
        sql`select seq_scan as scans, idx_tup_fetch < 100 as "isSmall" from pg_stat_xact_user_tables where relname = 'jobs'`,
      );
    });
    expect(cost).toEqual({ scans: 0, isSmall: true });
    expect(await jobFigures(opened.db)).toMatchObject({ overdue: 9_996, dead: 5_000 });
  });
});

describe("sweeps", () => {
  const sweep = (parts: Partial<Sweep<Deps>>): Sweep<Deps> => ({
    name: "test.sweep",
    summary: "Sweeps",
    everyMs: 30,
    run: async () => {},
    ...parts,
  });

  it("come round, in one process at a time", async () => {
    await using opened = await open();
    let now = 0;
    let most = 0;
    let rounds = 0;
    const run = async (): Promise<void> => {
      most = Math.max(most, (now += 1));
      await row(opened.db, sql`select pg_sleep(0.05)`);
      now -= 1;
      rounds += 1;
    };
    const runners = [1, 2, 3].map(() => opened.run({ sweeps: [sweep({ run })] }));
    await until(() => rounds >= 5);
    expect(most).toBe(1);
    await until(() => runners.reduce((sum, runner) => sum + runner.figures().sweepsRun, 0) >= 5);
  });

  it("wait for their time, whoever ran them last, and are not made up for", async () => {
    await using opened = await open();
    let rounds = 0;
    const run = async (): Promise<void> => void (rounds += 1);
    const first = opened.run({ sweeps: [sweep({ run, everyMs: 3_600_000 })] });
    await until(() => first.figures().sweepsRun === 1);
    await first.stop(AbortSignal.abort());
    await affected(opened.db, sql`update sweeps set due_at = now() - interval '3 hours'`);
    const second = opened.run({ sweeps: [sweep({ run, everyMs: 3_600_000 })] });
    await until(() => second.figures().sweepsRun === 1);
    expect(rounds).toBe(2);
    expect(await row(opened.db, sql`select due_at > now() + interval '59 minutes' as later from sweeps`)).toEqual({ later: true });
  });

  it("come round again after a failure, which is counted and kept", async () => {
    await using opened = await open();
    let rounds = 0;
    const runner = opened.run({
      sweeps: [sweep({ run: () => ((rounds += 1) === 1 ? Promise.reject(new Error("broken")) : Promise.resolve()), everyMs: 20 })],
    });
    await until(async () => row(opened.db, sql`select 1 from sweeps where last_error = 'Error: broken'`));
    await until(() => runner.figures().sweepsRun >= 1);
    expect(runner.figures().sweepsFailed).toBe(1);
  });

  it("are cut short at shutdown and left to the next process at once", async () => {
    await using opened = await open();
    const began = Promise.withResolvers<void>();
    const runner = opened.run({ sweeps: [sweep({ run: () => (began.resolve(), new Promise(() => {})), everyMs: 3_600_000 })] });
    await began.promise;
    await runner.stop(AbortSignal.abort());
    expect(await row(opened.db, sql`select due_at <= now() as due from sweeps`)).toEqual({ due: true });
  });

  it("delete jobs a week after they were done and dead ones after 90 days", async () => {
    await using opened = await open();
    const insert = (kind: string, state: string, days: number): Promise<number> =>
      affected(
        opened.db,
        sql`insert into jobs (id, kind, payload, state, due_at, finished_at)
            values (gen_random_uuid(), ${kind}, '{}', ${state}, now(), now() - make_interval(days => ${days}))`,
      );
    await insert("a", "done", 8);
    await insert("b", "done", 6);
    await insert("c", "dead", 89);
    await insert("d", "dead", 91);
    const runner = opened.run({ sweeps: [jobSweep] });
    await until(() => runner.figures().sweepsRun === 1);
    expect(await rows(opened.db, sql`select kind from jobs order by kind`)).toEqual([{ kind: "b" }, { kind: "c" }]);
  });
});
