/** Lists of accounts and their sessions, as admins see them. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { AccountColumns, Status } from "#src/features/accounts/public";

/** One account with what an admin asks first. */
export type AdminUserRow = AccountColumns & {
  readonly current_status: Status;
  readonly totp_confirmed_at: Date | null;
  readonly passkeys: number;
  readonly has_password: boolean;
  readonly sessions: number;
};

/** What to list. Undefined filters let everything pass. */
export interface UserFilter {
  /** Begins the username or the address, ignoring case. */
  readonly prefix: string | undefined;
  readonly status: Status | undefined;
  readonly role: string | undefined;
  readonly emailVerified: boolean | undefined;
  readonly beforeId: string | undefined;
  readonly limit: number;
}

/** Newest ids first. Served by users_pkey; with a prefix by users_username_key and users_email_key, whose order by bytes is theirs. */
export async function selectUsers(db: Db, filter: UserFilter): Promise<AdminUserRow[]> {
  const { prefix, status = null, role = null, emailVerified = null, beforeId = null, limit } = filter;
  if (prefix === undefined) {
    return await rows<AdminUserRow>(
      db,
      sql`select u.id, u.username, u.email, u.email_verified_at, u.display_name, u.avatar_url, u.bio, u.roles, u.created_at, u.updated_at,
            s.status as current_status, t.confirmed_at as totp_confirmed_at, c.user_id is not null as has_password,
            (select count(*)::int from passkeys p where p.user_id = u.id) as passkeys,
            (select count(*)::int from sessions x where x.user_id = u.id and x.revoked_at is null and x.expires_at > now()) as sessions
          from users u
          join user_standings s on s.user_id = u.id
          left join totp_factors t on t.user_id = u.id
          left join credentials c on c.user_id = u.id
          where (${beforeId}::uuid is null or u.id < ${beforeId}::uuid)
            and (${status}::text is null or s.status = ${status}) and (${role}::text is null or ${role} = any (u.roles))
            and (${emailVerified}::boolean is null or (u.email_verified_at is not null) = ${emailVerified}::boolean)
          order by u.id desc limit ${limit}`,
    );
  }
  const low = prefix.toLowerCase();
  // The highest character of all ends the range of what begins alike.
  const high = `${low}\u{10ffff}`;
  return await rows<AdminUserRow>(
    db,
    sql`select u.id, u.username, u.email, u.email_verified_at, u.display_name, u.avatar_url, u.bio, u.roles, u.created_at, u.updated_at,
          s.status as current_status, t.confirmed_at as totp_confirmed_at, c.user_id is not null as has_password,
          (select count(*)::int from passkeys p where p.user_id = u.id) as passkeys,
          (select count(*)::int from sessions x where x.user_id = u.id and x.revoked_at is null and x.expires_at > now()) as sessions
        from (
          select id from users where lower(username) collate "C" between ${low} and ${high}
          union
          select id from users where lower(email) collate "C" between ${low} and ${high}
        ) found
        join users u on u.id = found.id
        join user_standings s on s.user_id = u.id
        left join totp_factors t on t.user_id = u.id
        left join credentials c on c.user_id = u.id
        where (${beforeId}::uuid is null or u.id < ${beforeId}::uuid)
          and (${status}::text is null or s.status = ${status}) and (${role}::text is null or ${role} = any (u.roles))
          and (${emailVerified}::boolean is null or (u.email_verified_at is not null) = ${emailVerified}::boolean)
        order by u.id desc limit ${limit}`,
  );
}

/** One account. */
export async function selectUser(on: Db | Tx, userId: string): Promise<AdminUserRow | undefined> {
  return await row<AdminUserRow>(
    on,
    sql`select u.id, u.username, u.email, u.email_verified_at, u.display_name, u.avatar_url, u.bio, u.roles, u.created_at, u.updated_at,
          s.status as current_status, t.confirmed_at as totp_confirmed_at, c.user_id is not null as has_password,
          (select count(*)::int from passkeys p where p.user_id = u.id) as passkeys,
          (select count(*)::int from sessions x where x.user_id = u.id and x.revoked_at is null and x.expires_at > now()) as sessions
        from users u
        join user_standings s on s.user_id = u.id
        left join totp_factors t on t.user_id = u.id
        left join credentials c on c.user_id = u.id
        where u.id = ${userId}::uuid`,
  );
}

/** Everybody who would take the role admin from somebody waits here, so that one is left. Held to the end of the transaction; taken before line 2. */
export async function lockAdmins(tx: Tx): Promise<void> {
  await affected(tx, sql`select pg_advisory_xact_lock(hashtextextended('admins', 0))`);
}

/** Whether somebody else is an admin who can sign in. Served by users_admins. */
export async function otherAdminExists(tx: Tx, userId: string): Promise<boolean> {
  const found = await row(
    tx,
    sql`select 1 from users u join user_standings s on s.user_id = u.id
        where 'admin' = any (u.roles) and u.id <> ${userId}::uuid and s.status = 'active' limit 1`,
  );
  return found !== undefined;
}
