/** Every read and write of `restrictions`. */

import type { Status } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import { row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Capability } from "#src/kernel/actor";
import { RestrictionRow } from "./restrictions.rows.ts";

/** The database's time in whole ms: the one clock by which restrictions begin and end. Later than every lock taken before it. */
export async function databaseNow(on: Db | Tx): Promise<Date> {
  const found = await row<{ now: Date }>(on, sql`select date_trunc('milliseconds', clock_timestamp()) as now`);
  if (found === undefined) throw new Error("the database tells no time");
  return found.now;
}

/** Columns of a new row; the others are null. */
type NewRestriction = Pick<
  RestrictionRow,
  | "id"
  | "user_id"
  | "kind"
  | "capabilities"
  | "reason"
  | "reason_policy"
  | "message"
  | "imposed_by"
  | "starts_at"
  | "expires_at"
  | "start_announced_at"
  | "created_at"
>;

/** Line 5 of the lock order. */
export async function insertRestriction(tx: Tx, made: NewRestriction): Promise<RestrictionRow> {
  const inserted = await row<RestrictionRow>(
    tx,
    sql`insert into restrictions (id, user_id, kind, capabilities, reason, reason_policy, message, imposed_by, starts_at, expires_at,
          start_announced_at, created_at)
        values (${made.id}::uuid, ${made.user_id}::uuid, ${made.kind}, ${made.capabilities}, ${made.reason}, ${made.reason_policy},
          ${made.message}, ${made.imposed_by}::uuid, ${made.starts_at}, ${made.expires_at}, ${made.start_announced_at}, ${made.created_at})
        returning *`,
  );
  if (inserted === undefined) throw new Error("the restriction was not written");
  return inserted;
}

/** The restriction as it is now. Its fields other than `user_id` hold only while the user's row is locked. */
export async function findRestriction(on: Db | Tx, id: string): Promise<RestrictionRow | undefined> {
  return await RestrictionRow.query(on).findById(id);
}

/** Marks it lifted. The caller holds the user's row and has seen that it still stands. */
export async function writeLift(
  tx: Tx,
  id: string,
  lift: { readonly lifted_at: Date; readonly lifted_by: string | null; readonly lift_note: string },
): Promise<RestrictionRow> {
  return await RestrictionRow.query(tx).patchAndFetchById(id, lift);
}

/** Remembers that start or end were told. */
export async function writeAnnounced(
  tx: Tx,
  id: string,
  announced: { readonly start_announced_at: Date; readonly end_announced_at: Date | null },
): Promise<void> {
  await RestrictionRow.query(tx).findById(id).patch(announced);
}

/** A restriction whose start or end has come and was not told yet. */
export interface Due {
  readonly id: string;
  readonly user_id: string;
}

// Served by restrictions_start_due and restrictions_end_due, which hold only what is still to be told.
/** The longest due first, leaving out those that just failed. */
export async function selectDue(db: Db, failed: readonly string[], limit: number): Promise<Due[]> {
  return await rows<Due>(
    db,
    sql`select due.id, due.user_id from (
          select id, user_id, starts_at as due_at from restrictions
          where start_announced_at is null and lifted_at is null and starts_at <= statement_timestamp()
          union all
          select id, user_id, expires_at from restrictions
          where end_announced_at is null and lifted_at is null and expires_at is not null and expires_at <= statement_timestamp()
        ) due
        where not due.id = any (${failed}::uuid[])
        group by due.id, due.user_id
        order by min(due.due_at), due.id
        limit ${limit}`,
  );
}

/** What stands or is planned for one user, the soonest first. Served by restrictions_user. */
export async function selectStanding(on: Db | Tx, userId: string): Promise<RestrictionRow[]> {
  return await RestrictionRow.query(on)
    .where("user_id", userId)
    .whereNull("lifted_at")
    .whereRaw("(expires_at is null or expires_at > statement_timestamp())")
    .orderBy("starts_at")
    .orderBy("id");
}

/** What ended or was lifted, the newest first. Served by restrictions_user. */
export async function selectPast(on: Db | Tx, userId: string, limit: number): Promise<RestrictionRow[]> {
  return await RestrictionRow.query(on)
    .where("user_id", userId)
    .whereRaw("(lifted_at is not null or expires_at <= statement_timestamp())")
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(limit);
}

/** The standing of an account at this moment, by the view that needs no worker. */
export interface StandingRow {
  readonly status: Status;
  readonly limited: Capability[];
  readonly valid_until: Date | null;
}

export async function selectStatus(on: Db | Tx, userId: string): Promise<StandingRow | undefined> {
  return await row<StandingRow>(on, sql`select status, limited, valid_until from user_standings where user_id = ${userId}::uuid`);
}

/** The strictest restriction in force, as the SQL function of that name sees it. */
export type Strictest = Pick<RestrictionRow, "kind" | "reason" | "message" | "starts_at" | "expires_at" | "capabilities">;

export async function selectStrictest(on: Db | Tx, userId: string): Promise<Strictest | undefined> {
  return await row<Strictest>(
    on,
    sql`select kind, reason, message, starts_at, expires_at, capabilities from strictest_restriction(${userId}::uuid)`,
  );
}
