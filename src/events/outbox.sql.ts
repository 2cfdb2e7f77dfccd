/** What relay and receipts do to the outbox. Rows are claimed by moving `due_at` into the future: one column is lease, back-off and parking. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql, type Sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { OutgoingEvent } from "./cloud-event.ts";

/** A row this relay may publish until its lease ends. */
export interface ClaimedEvent extends OutgoingEvent {
  /** Names this claim; a later claim has a higher one. */
  readonly fence: number;
  /** This one included. */
  readonly attempts: number;
}

/** How much is looked at and taken. */
export interface ClaimBounds {
  readonly look: number;
  readonly limit: number;
  readonly leaseSeconds: number;
  /** Whether `markDone` will be told of confirmations; left out: the receipt alone makes an event done. */
  readonly confirms?: boolean;
}

/** At most so many wait for their receipts. What keeps up has these within 0.1 s, of thousands a second. */
const MOST_UNRECEIVED = 512;
/** So many that have waited for a fifth of their time mean that receipts do not keep up; fewer may be lost ones, of a broker that was killed. */
const MOST_LATE = 64;

/** What makes an event done: its receipt came, and the broker confirmed that every queue has it. */
export type Arrival = "received" | "confirmed";

/**
 * Whether there is anything to claim. What an idle relay asks, so it is one probe of outbox_due and writes nothing; the
 * order is there for the planner, which else takes a sequential scan where many rows are parked (64 ms against 0.2 of 100,000).
 */
export async function isAnythingDue(db: Db): Promise<boolean> {
  return (await row(db, sql`select 1 as due from outbox where done_at is null and due_at <= now() order by due_at limit 1`)) !== undefined;
}

/**
 * Not prepared. A plan that is kept was made when the outbox was small, reads the whole table, and stays until the next ANALYZE:
 * 5 CPU-ms of PostgreSQL an event. Planning costs under a millisecond, for many events.
 */
function plannedAnew(statement: Sql): Sql {
  return { ...statement, name: "" };
}

/**
 * Looks at up to `look` due events, claims up to `limit` of those whose predecessor is done, and parks those whose
 * predecessor is not.
 *
 * Served by outbox_due: rows are taken in order of time, whatever lies behind them. Done rows are not in that index, and
 * those in flight, failed or parked are at a later time, so none of them is walked over. A row is parked once, and made
 * due again by the receipt of the one before (`markDone`).
 *
 * Parking must not miss a receipt that comes at the same moment, or the row would be parked for good. So the predecessor is
 * locked first: a receipt that has begun holds that lock (then the row is left for the next round), one that has not must
 * wait for us and then sees the parked row. SKIP LOCKED everywhere: relays never wait for each other.
 *
 * Of whatever is found by its key, done or not is asked as `isfinite(done_at)`: "done_at is null" is the predicate of
 * outbox_due. Statistics mostly say that everything is done; then, while much waits, the planner takes that index for one
 * row, and walks all that waits for each event (10,000 waiting: 1.6 s a claim against 5 to 50 ms, beside other work).
 *
 * Nothing is claimed while the receipts of many are waited for: those who bring them are behind, and would soon get everything
 * twice, which puts them further behind. What failed is waiting too, but not for a receipt.
 *
 * One statement that commits by itself: a process that is frozen at it leaves a lease behind, not an open transaction. The
 * commit does not wait for the disk: a claim that a crash takes back is an event published twice, with the same id.
 * Of 100,000 waiting events of as many users 64 are claimed in 4 ms, and marked done in 3.
 */
export async function claimDue(
  on: Db | Tx,
  { look, limit, leaseSeconds, confirms = false }: ClaimBounds,
): Promise<{ readonly claimed: readonly ClaimedEvent[]; readonly parked: number }> {
  const found = await rows<ClaimedEvent & { readonly is_parked: boolean }>(
    on,
    plannedAnew(sql`with quick as materialized (
          select set_config('synchronous_commit', 'off', true) as set_to
        ), unreceived as materialized (
          select count(*) as all, count(*) filter (where due_at < now() + make_interval(secs => ${leaseSeconds * 0.8}::float8)) as late
          from (
            select due_at, last_error from outbox
            where done_at is null and due_at > now() and due_at < 'infinity'
            order by due_at limit ${MOST_UNRECEIVED}
          ) waiting where last_error is null
        ), due as materialized (
          select id, topic, subject, user_version, due_at from outbox
          where done_at is null and due_at <= now() and (select set_to from quick) = 'off'
            and (select u.all < ${MOST_UNRECEIVED} and u.late < ${MOST_LATE} from unreceived u)
          order by due_at limit ${look}
          for update skip locked
        ), locked_before as materialized (
          select b.topic, b.subject, b.user_version
          from due d join outbox b on b.topic = d.topic and b.subject = d.subject and b.user_version = d.user_version - 1
          where isfinite(b.done_at) is not true
          for update of b skip locked
        ), judged as (
          select d.id, d.due_at, l.topic is not null as is_parked,
            -- A scalar subquery, looked up one by one: NOT EXISTS was hashed over all that waits when statistics were old.
            (
              select b.done_at is null from outbox b
              where b.topic = d.topic and b.subject = d.subject and b.user_version = d.user_version - 1
            ) as is_behind
          from due d
          left join locked_before l on l.topic = d.topic and l.subject = d.subject and l.user_version = d.user_version - 1
        ), placed as (
          select id, is_parked, row_number() over (partition by is_parked order by due_at) as place
          from judged where is_parked or is_behind is not true
        )
        update outbox o set
          due_at = case when p.is_parked then 'infinity'
            -- Each try waits longer for its receipt than the one before.
            else now() + make_interval(secs => ${leaseSeconds}::float8 * least(2 ^ o.attempts, 32)) end,
          attempts = o.attempts + case when p.is_parked then 0 else 1 end,
          fence = o.fence + case when p.is_parked then 0 else 1 end,
          awaits_confirmation = case when p.is_parked then o.awaits_confirmation else ${confirms}::boolean end
        from placed p where o.id = p.id and (p.is_parked or p.place <= ${limit})
        returning o.id, o.topic, o.type, o.subject, o.user_version, o.data, o.traceparent, o.occurred_at, o.fence, o.attempts, p.is_parked`),
  );
  return { claimed: found.filter((event) => !event.is_parked), parked: found.filter((event) => event.is_parked).length };
}

/**
 * Gives a claim back: due again after `delaySeconds`.
 * @param change.uncounted the try was not one, e.g. at shutdown before it began
 * @returns false when the claim is not ours any more, and nothing was changed
 */
export async function giveBack(
  db: Db,
  claim: { readonly id: string; readonly fence: number },
  change: { readonly delaySeconds: number; readonly error: string; readonly uncounted?: boolean },
): Promise<boolean> {
  const touched = await affected(
    db,
    sql`update outbox set due_at = now() + make_interval(secs => ${change.delaySeconds}::float8), last_error = ${change.error},
          attempts = attempts - case when ${change.uncounted ?? false}::boolean then 1 else 0 end
        where id = ${claim.id}::uuid and fence = ${claim.fence} and done_at is null`,
  );
  return touched === 1;
}

/**
 * Notes receipts or confirmations; what has both is done, and the one behind it becomes due. The fence is not compared: whoever
 * published it, it has arrived. Published five times, an event is done by its receipt alone: a broker that confirms too late must
 * not keep it for ever.
 * @returns how many were not done before, and how many of those behind were waiting for it
 */
export async function markDone(
  tx: Tx,
  ids: readonly string[],
  arrival: Arrival = "received",
): Promise<{ readonly done: number; readonly freed: number }> {
  const noted = await rows<{ is_done: boolean; topic: string; subject: string; user_version: number }>(
    tx,
    // In order of ids, so that two processes which got the same receipts do not deadlock.
    plannedAnew(sql`with mine as materialized (
          select id, ${arrival}::text = 'received' as is_receipt from outbox
          where id = any (${ids}::uuid[]) and isfinite(done_at) is not true order by id for update
        )
        update outbox o set
          received = o.received or is_receipt,
          awaits_confirmation = o.awaits_confirmation and is_receipt,
          done_at = case when is_receipt and (not o.awaits_confirmation or o.attempts >= 5) or not is_receipt and o.received then now() end
        from mine where o.id = mine.id
        returning o.done_at is not null as is_done, o.topic, o.subject, o.user_version`),
  );
  const done = noted.filter((event) => event.is_done);
  if (done.length === 0) return { done: 0, freed: 0 };
  // A statement of its own: its snapshot is taken under the locks of the first, so it sees whatever was parked before.
  // isfinite, not "= 'infinity'", which tempts the planner to walk everything that is parked.
  const freed = await affected(
    tx,
    plannedAnew(sql`update outbox o set due_at = now()
        from unnest(${done.map((event) => event.topic)}::text[], ${done.map((event) => event.subject)}::uuid[],
          ${done.map((event) => event.user_version + 1)}::bigint[]) as next (topic, subject, user_version)
        where o.topic = next.topic and o.subject = next.subject and o.user_version = next.user_version
          and not isfinite(o.due_at)`),
  );
  return { done: done.length, freed };
}

/**
 * Makes parked events due whose predecessor is gone or done: needed only after someone deleted rows by hand. Judging is
 * left to the next claim, so this may err.
 */
export async function unparkOrphans(db: Db): Promise<number> {
  return await affected(
    db,
    sql`update outbox o set due_at = now()
        where o.done_at is null and o.due_at = 'infinity' and not exists (
          select from outbox b
          where b.topic = o.topic and b.subject = o.subject and b.user_version = o.user_version - 1
            and isfinite(b.done_at) is not true
        )`,
  );
}

/** Deletes up to 1,000 events done before 24 hours ago. Ids are UUID v7, so the primary key walks them in order of time and no index is needed for this. */
export async function deleteOld(db: Db, oldestKeptId: string): Promise<number> {
  return await affected(
    db,
    sql`delete from outbox where id in (
          select id from outbox where id < ${oldestKeptId}::uuid and done_at < now() - interval '24 hours' order by id limit 1000
        )`,
  );
}

/** How far the outbox is behind. Counts stop at their bound. */
export interface OutboxFigures {
  /** Age of the oldest event whose receipt has not come; 0 when there is none. */
  readonly lagSeconds: number;
  /** Events whose receipt has not come, up to 10,000. */
  readonly waiting: number;
  /** Of the next 1,000 in line: published more than once, or failed, and still without receipt. */
  readonly unconfirmed: number;
}

/** For metrics, at each scrape. Whatever the backlog, it reads at most 12,000 index entries. */
export async function outboxFigures(db: Db): Promise<OutboxFigures> {
  const found = await row<OutboxFigures>(
    db,
    // The oldest is never parked (the head of its user is older), so it is among the first that are due or among those in flight.
    sql`with heads as (
          (select occurred_at, attempts, due_at from outbox where done_at is null and due_at <= now() order by due_at limit 1000)
          union all
          (select occurred_at, attempts, due_at from outbox where done_at is null and due_at > now() and due_at < 'infinity' order by due_at limit 1000)
        )
        select
          coalesce(greatest(extract(epoch from now() - min(occurred_at)), 0), 0)::float8 as "lagSeconds",
          (select count(*) from (select from outbox where done_at is null limit 10000) bounded) as "waiting",
          count(*) filter (where attempts > 1 or (attempts = 1 and due_at <= now())) as "unconfirmed"
        from heads`,
  );
  return found ?? { lagSeconds: 0, waiting: 0, unconfirmed: 0 };
}
