/** Sessions that admins begin in somebody's place. */

import type { Db } from "#src/db/pool";
import { row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { SessionRow } from "./sessions.sql.ts";

/** Who acts in whose place, and for how long at most. */
export interface NewImpersonation {
  readonly id: string;
  readonly userId: string;
  readonly impersonatorId: string;
  readonly impersonatorSessionId: string;
  readonly lifetimeSeconds: number;
}

export type ImpersonationRow = SessionRow & { readonly seconds_left: number };

/**
 * Line 4 of the lock order: the impersonator's session is held, so whoever ends it either waits and sees the new row or has ended it
 * already, and then there is none. `restricted`, so that a process of before is let to do next to nothing; the device is the admin's and not told.
 */
export async function insertImpersonation(tx: Tx, made: NewImpersonation): Promise<ImpersonationRow | undefined> {
  return await row<ImpersonationRow>(
    tx,
    sql`with impersonator as (
          select i.id, i.user_id, i.expires_at from sessions i
          where i.id = ${made.impersonatorSessionId}::uuid and i.user_id = ${made.impersonatorId}::uuid
            and i.revoked_at is null and i.expires_at > clock_timestamp() and i.impersonator_id is null
          for no key update
        )
        insert into sessions (id, user_id, user_agent, address, restricted, impersonator_id, impersonator_session_id,
          created_at, last_seen_at, expires_at)
        select ${made.id}::uuid, ${made.userId}::uuid, '', '', true, i.user_id, i.id,
          clock_timestamp(), clock_timestamp(), least(i.expires_at, clock_timestamp() + make_interval(secs => ${made.lifetimeSeconds}))
        from impersonator i
        returning id, name, user_agent, address, created_at, last_seen_at, expires_at, impersonator_id,
          extract(epoch from expires_at - clock_timestamp())::float8 as seconds_left`,
  );
}

/**
 * For how many seconds an admin who has begun `limit` within the last hour must wait; nothing where it is fewer. Exact while their
 * `users` row is held. Served by sessions_impersonator.
 */
export async function impersonationWait(tx: Tx, impersonatorId: string, limit: number): Promise<number | undefined> {
  const found = await row<{ seconds: number }>(
    tx,
    sql`select extract(epoch from created_at + interval '1 hour' - now())::float8 as seconds from sessions
        where impersonator_id = ${impersonatorId}::uuid and created_at > now() - interval '1 hour'
        order by created_at desc offset ${limit - 1} limit 1`,
  );
  return found?.seconds;
}

/** Whose place an impersonation is in; nothing when there is none of that id. */
export async function selectImpersonated(on: Db | Tx, id: string): Promise<string | undefined> {
  const found = await row<{ user_id: string }>(
    on,
    sql`select user_id from sessions where id = ${id}::uuid and impersonator_id is not null and expires_at > now()`,
  );
  return found?.user_id;
}

/** One of the list for admins. */
export interface ListedImpersonation {
  readonly id: string;
  readonly user_id: string;
  readonly impersonator_id: string;
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly revoked_at: Date | null;
}

/** The newest of those that are kept (90 days). Served by sessions_impersonator, of which it reads all: there are few. */
export async function selectImpersonations(
  db: Db,
  page: { readonly userId: string | undefined; readonly beforeId: string | undefined; readonly limit: number },
): Promise<ListedImpersonation[]> {
  const { userId = null, beforeId = null, limit } = page;
  return await rows<ListedImpersonation>(
    db,
    sql`select id, user_id, impersonator_id, created_at, expires_at, revoked_at from sessions
        where impersonator_id is not null and (${userId}::uuid is null or user_id = ${userId}::uuid)
          and (${beforeId}::uuid is null or id < ${beforeId}::uuid)
        order by id desc limit ${limit}`,
  );
}
