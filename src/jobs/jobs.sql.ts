/** What the runner does to `jobs` and `sweeps`. A claim moves `due_at` to the end of its lease and raises `fence`; who marks must name that fence. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** A job this process may work on until its lease ends. */
export interface ClaimedJob {
  readonly id: string;
  readonly kind: string;
  readonly payload: unknown;
  /** From 1, this one included. */
  readonly attempt: number;
  readonly fence: number;
}

/** What names a claim. */
export interface Claim {
  readonly id: string;
  readonly fence: number;
}

/** Whether there is a job of these kinds to claim. What an idle runner asks. */
export async function isAnyJobDue(db: Db, kinds: readonly string[]): Promise<boolean> {
  const found = await row(
    db,
    sql`select 1 as due from unnest(${kinds}::text[]) as known (kind)
        where exists (select from jobs j where j.kind = known.kind and j.state = 'waiting' and j.due_at <= now()) limit 1`,
  );
  return found !== undefined;
}

/**
 * Claims up to `limit` due jobs, oldest due first.
 * Served by jobs_due, kind by kind, so that rows of kinds this version does not know are not walked over. SKIP LOCKED:
 * runners never wait for each other.
 * One statement that commits by itself: a process that is frozen at it leaves a lease behind, not an open transaction.
 * @param kinds with the seconds that a lease of each kind holds
 */
export async function claimJobs(on: Db | Tx, kinds: ReadonlyMap<string, number>, limit: number): Promise<ClaimedJob[]> {
  return await rows<ClaimedJob>(
    on,
    sql`with known as materialized (
          select * from unnest(${[...kinds.keys()]}::text[], ${[...kinds.values()]}::float8[]) as k (kind, lease_seconds)
        ), due as materialized (
          select d.id, k.lease_seconds from known k cross join lateral (
            select j.id, j.due_at from jobs j
            where j.kind = k.kind and j.state = 'waiting' and j.due_at <= now()
            order by j.due_at limit ${limit}
            for update skip locked
          ) d order by d.due_at limit ${limit}
        )
        update jobs j set due_at = now() + make_interval(secs => due.lease_seconds), attempts = j.attempts + 1, fence = j.fence + 1
        from due where j.id = due.id
        returning j.id, j.kind, j.payload, j.attempts as attempt, j.fence`,
  );
}

/** @param reason why it ended without having succeeded @returns false when the claim is not ours any more */
export async function markJobDone(db: Db, claim: Claim, reason: string | null = null): Promise<boolean> {
  return (
    (await affected(
      db,
      sql`update jobs set state = 'done', finished_at = now(), last_error = ${reason}
          where id = ${claim.id}::uuid and fence = ${claim.fence} and state = 'waiting'`,
    )) === 1
  );
}

/** Notes a failed try: due again after the delay, or dead when there is none. @returns false when the claim is not ours any more */
export async function markJobFailed(
  db: Db,
  claim: Claim,
  failure: { readonly error: string; readonly retryInSeconds: number | undefined },
): Promise<boolean> {
  const isDead = failure.retryInSeconds === undefined;
  return (
    (await affected(
      db,
      sql`update jobs set
            state = case when ${isDead}::boolean then 'dead' else 'waiting' end,
            finished_at = case when ${isDead}::boolean then now() end,
            due_at = now() + make_interval(secs => ${failure.retryInSeconds ?? 0}::float8),
            last_error = ${failure.error}
          where id = ${claim.id}::uuid and fence = ${claim.fence} and state = 'waiting'`,
    )) === 1
  );
}

/** Gives a job back that was cut short by shutdown: due at once, and the try does not count. */
export async function releaseJob(db: Db, claim: Claim): Promise<void> {
  await affected(
    db,
    sql`update jobs set due_at = now(), attempts = attempts - 1
        where id = ${claim.id}::uuid and fence = ${claim.fence} and state = 'waiting'`,
  );
}

/** Deletes up to 1,000 finished jobs: done 7 days ago, dead 90 days ago. */
export async function deleteOldJobs(db: Db): Promise<number> {
  return await affected(
    db,
    sql`delete from jobs where id in (
          select id from jobs
          where state <> 'waiting' and finished_at < now() - interval '7 days' and (state = 'done' or finished_at < now() - interval '90 days')
          order by finished_at limit 1000
        )`,
  );
}

/** Makes a row for each sweep that has none yet; a new one is due at once. */
export async function registerSweeps(db: Db, names: readonly string[]): Promise<void> {
  await affected(db, sql`insert into sweeps (name) select unnest(${names}::text[]) on conflict (name) do nothing`);
}

/** Takes a due sweep for the length of its lease. @returns the fence, or nothing when it is not due or another has it */
export async function claimSweep(db: Db, name: string, leaseSeconds: number): Promise<number | undefined> {
  const claimed = await row<{ fence: number }>(
    db,
    sql`update sweeps set due_at = now() + make_interval(secs => ${leaseSeconds}::float8), fence = fence + 1, last_run_at = now()
        where name = ${name} and due_at <= now() returning fence`,
  );
  return claimed?.fence;
}

/** Sets when the sweep comes round again. Does nothing when another process has it by now. */
export async function finishSweep(
  db: Db,
  name: string,
  fence: number,
  result: { readonly nextInSeconds: number; readonly error: string | null },
): Promise<void> {
  await affected(
    db,
    sql`update sweeps set due_at = now() + make_interval(secs => ${result.nextInSeconds}::float8), last_error = ${result.error}
        where name = ${name} and fence = ${fence}`,
  );
}

/** How the work stands. Counts stop at 10,000. */
export interface JobFigures {
  /** Due now and not taken. */
  readonly overdue: number;
  /** How long the first of them has been due; 0 when there is none. */
  readonly oldestOverdueSeconds: number;
  /** Given up; someone has to look at `jobs.last_error`. */
  readonly dead: number;
}

/** For metrics, at each scrape. */
export async function jobFigures(db: Db): Promise<JobFigures> {
  const found = await row<JobFigures>(
    db,
    sql`select
          count(*) filter (where state = 'waiting') as overdue,
          coalesce(extract(epoch from now() - min(due_at) filter (where state = 'waiting')), 0)::float8 as "oldestOverdueSeconds",
          count(*) filter (where state = 'dead') as dead
        from (
          (select state, due_at from jobs where state = 'waiting' and due_at <= now() limit 10000)
          union all
          (select state, due_at from jobs where state = 'dead' limit 10000)
        ) bounded`,
  );
  return found ?? { overdue: 0, oldestOverdueSeconds: 0, dead: 0 };
}
