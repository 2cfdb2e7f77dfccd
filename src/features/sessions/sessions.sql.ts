/** Every write of `sessions`, and the list its owner reads. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql, type Sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** What a new session is made of. */
export interface NewSession {
  readonly id: string;
  readonly userId: string;
  readonly userAgent: string;
  readonly address: string;
  readonly restricted: boolean;
  readonly lifetimeSeconds: number;
  /** Whether its owner has proved all that sensitive changes want. */
  readonly fresh: boolean;
}

export interface SessionRow {
  readonly id: string;
  readonly name: string | null;
  readonly user_agent: string;
  readonly address: string;
  readonly created_at: Date;
  readonly last_seen_at: Date;
  readonly expires_at: Date;
  /** Of an impersonation: the admin who really acts. */
  readonly impersonator_id: string | null;
}

/** Line 4 of the lock order. `clock_timestamp()`, so that it is later than whatever the transaction waited for. */
export async function insertSession(tx: Tx, session: NewSession): Promise<SessionRow> {
  const made = await row<SessionRow>(
    tx,
    sql`insert into sessions (id, user_id, user_agent, address, restricted, authenticated_at, created_at, last_seen_at, expires_at)
        values (${session.id}::uuid, ${session.userId}::uuid, ${session.userAgent}, ${session.address}, ${session.restricted}::boolean,
          case when ${session.fresh}::boolean then null else '-infinity'::timestamptz end, clock_timestamp(), clock_timestamp(), clock_timestamp() + make_interval(secs => ${session.lifetimeSeconds}))
        returning id, name, user_agent, address, created_at, last_seen_at, expires_at, impersonator_id`,
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
    /** How long a session may go without a refresh and still be shown. */
    readonly idleDays: number;
  },
): Promise<SessionRow[]> {
  return await rows<SessionRow>(
    db,
    sql`select s.id, s.name, s.user_agent, s.address, s.created_at, s.last_seen_at, s.expires_at, s.impersonator_id
        from sessions s
        join user_standings st on st.user_id = s.user_id
        left join refresh_tokens r on r.session_id = s.id
        where s.user_id = ${page.userId}::uuid and s.revoked_at is null and s.expires_at > now() and s.created_at > st.sessions_valid_from
          and (s.restricted or r.made_at > now() - make_interval(days => ${page.idleDays}))
          and (${page.after?.createdAt ?? null}::timestamptz is null
            or (date_trunc('milliseconds', s.created_at), s.id) < (${page.after?.createdAt ?? null}::timestamptz, ${page.after?.id ?? null}::uuid))
        order by date_trunc('milliseconds', s.created_at) desc, s.id desc
        limit ${page.limit}`,
  );
}

/**
 * The one way by which sessions end: whatever was begun from them in somebody else's place ends in the same transaction, and every
 * process is told of that. A statement of its own, since only its snapshot shows an impersonation that the first one waited for.
 */
async function end(tx: Tx, userId: string, statement: Sql): Promise<string[]> {
  const ids = (await rows<{ id: string }>(tx, statement)).map(({ id }) => id);
  if (ids.length > 0) await endImpersonationsFrom(tx, { userId, ids });
  return ids;
}

/** Served by sessions_impersonator. NOTIFY is left to whoever tells of the sessions themselves. */
async function endImpersonationsFrom(tx: Tx, from: { readonly userId: string; readonly ids: readonly string[] }): Promise<void> {
  await affected(
    tx,
    sql`with ended as (
          update sessions set revoked_at = now(), revoked_reason = 'impersonation_ended'
          where impersonator_id = ${from.userId}::uuid and impersonator_session_id = any (${from.ids}::uuid[]) and revoked_at is null
          returning id, user_id
        )
        insert into revocations (subject, session_id, reason) select user_id, id, 'impersonation_ended' from ended`,
  );
}

/** Ends one session. Gives false when the account has no such standing session. */
export async function markRevoked(tx: Tx, session: { readonly id: string; readonly userId: string }, reason: string): Promise<boolean> {
  const ended = await end(
    tx,
    session.userId,
    sql`update sessions set revoked_at = now(), revoked_reason = ${reason}
        where id = ${session.id}::uuid and user_id = ${session.userId}::uuid and revoked_at is null
        returning id`,
  );
  return ended.length > 0;
}

/** Ends every standing session of an account and says how many. */
export async function markAllRevoked(tx: Tx, userId: string, reason: string): Promise<number> {
  const ended = await end(
    tx,
    userId,
    sql`update sessions set revoked_at = now(), revoked_reason = ${reason} where user_id = ${userId}::uuid and revoked_at is null returning id`,
  );
  return ended.length;
}

/** Ends every standing session of an account but one, and gives their ids. */
export async function markOthersRevoked(
  tx: Tx,
  session: { readonly userId: string; readonly keptId: string },
  reason: string,
): Promise<string[]> {
  return await end(
    tx,
    session.userId,
    sql`update sessions set revoked_at = now(), revoked_reason = ${reason}
        where user_id = ${session.userId}::uuid and id <> ${session.keptId}::uuid and revoked_at is null and expires_at > now()
        returning id`,
  );
}

/** Ends the least recently seen of an account's sessions until `keep` are left, and gives their ids. Impersonations are not among them. */
export async function markLeastSeenRevoked(
  tx: Tx,
  cap: { readonly userId: string; readonly keep: number },
  reason: string,
): Promise<string[]> {
  return await end(
    tx,
    cap.userId,
    sql`update sessions set revoked_at = now(), revoked_reason = ${reason}
        where id in (
          select id from sessions
          where user_id = ${cap.userId}::uuid and revoked_at is null and expires_at > now() and impersonator_id is null
          order by last_seen_at desc, id desc offset ${cap.keep}
        )
        returning id`,
  );
}

/** Names a standing session of an account, or takes the name away. Gives nothing when there is no such session. */
export async function writeName(
  tx: Tx,
  session: { readonly id: string; readonly userId: string; readonly name: string | null },
): Promise<SessionRow | undefined> {
  return await row<SessionRow>(
    tx,
    sql`update sessions set name = ${session.name}
        where id = ${session.id}::uuid and user_id = ${session.userId}::uuid and revoked_at is null and expires_at > now()
        returning id, name, user_agent, address, created_at, last_seen_at, expires_at, impersonator_id`,
  );
}

/**
 * Writes when sessions were last used, so many seconds ago. What would move `last_seen_at` by less than a minute is left, and
 * whatever somebody holds: a login or an end of the session must not wait for this, nor this for them.
 */
export async function writeSeen(db: Db, uses: readonly { readonly id: string; readonly ageSeconds: number }[]): Promise<number> {
  return await affected(
    db,
    sql`with used as (
          select u.id, statement_timestamp() - make_interval(secs => u.age) as at
          from unnest(${uses.map(({ id }) => id)}::uuid[], ${uses.map(({ ageSeconds }) => ageSeconds)}::float8[]) as u (id, age)
        ), due as (
          select s.id, used.at from sessions s join used on used.id = s.id
          where s.last_seen_at <= used.at - interval '1 minute' for no key update of s skip locked
        )
        update sessions s set last_seen_at = due.at from due where s.id = due.id`,
  );
}

/** As it described itself when a session was begun from it. */
export interface KnownDevice {
  readonly userAgent: string;
  readonly address: string;
}

/**
 * What the account's sessions of the last 90 days were begun from, the 200 last seen: somebody who signs in from more is told of
 * a known one once too often. Short sessions of restricted accounts and impersonations, which are `restricted` too, are no proof
 * of anything. Served by sessions_user.
 */
export async function selectKnownDevices(on: Db | Tx, userId: string): Promise<KnownDevice[]> {
  const found = await rows<{ user_agent: string; address: string }>(
    on,
    sql`select user_agent, address from sessions
        where user_id = ${userId}::uuid and last_seen_at > now() - interval '90 days' and not restricted
        group by user_agent, address order by max(last_seen_at) desc limit 200`,
  );
  return found.map(({ user_agent: userAgent, address }) => ({ userAgent, address }));
}

/** Whether the account has never had a session. An account of before the oldest sessions that are kept may have had one. */
export async function hadNoSession(on: Db | Tx, userId: string): Promise<boolean> {
  const found = await row(
    on,
    sql`select 1 from users u
        where u.id = ${userId}::uuid and u.created_at > now() - interval '90 days'
          and not exists (select from sessions s where s.user_id = u.id and s.impersonator_id is null)`,
  );
  return found !== undefined;
}

/** Sweeps away up to 1,000 sessions that have been over for 90 days; their refresh tokens go with them. So long their devices are known. */
export async function deleteOldSessions(db: Db): Promise<number> {
  return await affected(
    db,
    sql`delete from sessions where id in (
          select id from sessions where least(expires_at, revoked_at) < now() - interval '90 days' order by least(expires_at, revoked_at) limit 1000
        )`,
  );
}
