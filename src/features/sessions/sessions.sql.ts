/** Every write of `sessions`, and the list its owner reads. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** What a new session is made of. */
export interface NewSession {
  readonly id: string;
  readonly userId: string;
  readonly userAgent: string;
  readonly address: string;
  readonly restricted: boolean;
  readonly lifetimeSeconds: number;
}

export interface SessionRow {
  readonly id: string;
  readonly user_agent: string;
  readonly address: string;
  readonly created_at: Date;
  readonly last_seen_at: Date;
  readonly expires_at: Date;
}

/** Line 4 of the lock order. `clock_timestamp()`, so that it is later than whatever the transaction waited for. */
export async function insertSession(tx: Tx, session: NewSession): Promise<SessionRow> {
  const made = await row<SessionRow>(
    tx,
    sql`insert into sessions (id, user_id, user_agent, address, restricted, created_at, last_seen_at, expires_at)
        values (${session.id}::uuid, ${session.userId}::uuid, ${session.userAgent}, ${session.address}, ${session.restricted}::boolean,
          clock_timestamp(), clock_timestamp(), clock_timestamp() + make_interval(secs => ${session.lifetimeSeconds}))
        returning id, user_agent, address, created_at, last_seen_at, expires_at`,
  );
  if (made === undefined) throw new Error("the session was not inserted");
  return made;
}

/** The standing sessions of an account, newest first, with a keyset page after (`createdAt`, `id`). Served by sessions_user. */
export async function selectSessions(
  db: Db,
  page: {
    readonly userId: string;
    readonly after: { readonly createdAt: string; readonly id: string } | undefined;
    readonly limit: number;
  },
): Promise<SessionRow[]> {
  return await rows<SessionRow>(
    db,
    sql`select s.id, s.user_agent, s.address, s.created_at, s.last_seen_at, s.expires_at
        from sessions s
        join user_standings st on st.user_id = s.user_id
        left join refresh_tokens r on r.session_id = s.id
        where s.user_id = ${page.userId}::uuid and s.revoked_at is null and s.expires_at > now() and s.created_at > st.sessions_valid_from
          and (s.restricted or r.made_at > now() - interval '30 days')
          and (${page.after?.createdAt ?? null}::timestamptz is null
            or (date_trunc('milliseconds', s.created_at), s.id) < (${page.after?.createdAt ?? null}::timestamptz, ${page.after?.id ?? null}::uuid))
        order by date_trunc('milliseconds', s.created_at) desc, s.id desc
        limit ${page.limit}`,
  );
}

/** Ends one session. Gives false when the account has no such standing session. */
export async function markRevoked(tx: Tx, session: { readonly id: string; readonly userId: string }, reason: string): Promise<boolean> {
  const count = await affected(
    tx,
    sql`update sessions set revoked_at = now(), revoked_reason = ${reason}
        where id = ${session.id}::uuid and user_id = ${session.userId}::uuid and revoked_at is null`,
  );
  return count > 0;
}

/** Ends every standing session of an account and says how many. */
export async function markAllRevoked(tx: Tx, userId: string, reason: string): Promise<number> {
  return await affected(
    tx,
    sql`update sessions set revoked_at = now(), revoked_reason = ${reason} where user_id = ${userId}::uuid and revoked_at is null`,
  );
}

/** Sweeps away up to 1,000 sessions that have been over for 30 days; their refresh tokens go with them. */
export async function deleteOldSessions(db: Db): Promise<number> {
  return await affected(
    db,
    sql`delete from sessions where id in (
          select id from sessions where least(expires_at, revoked_at) < now() - interval '30 days' order by least(expires_at, revoked_at) limit 1000
        )`,
  );
}
