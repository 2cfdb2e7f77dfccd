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

/** So many accounts that begin alike are looked up one by one. Of more, the newest are found by walking. */
const FEW = 1_000;

/**
 * Newest ids first. Who begins so is asked first, at most FEW of each index: for any prefix the planner would take many, and walk
 * through all accounts for the three that there are. Walked by users_pkey, looked up by users_username_key and users_email_key, whose
 * order by bytes is theirs.
 */
export async function selectUsers(db: Db, filter: UserFilter): Promise<AdminUserRow[]> {
  const { prefix, status = null, role = null, emailVerified = null, beforeId = null, limit } = filter;
  const low = prefix?.toLowerCase() ?? null;
  // The highest character of all ends the range of what begins alike.
  const high = `${low}\u{10ffff}`;
  const ids = low === null ? undefined : await selectBeginning(db, low, high);
  if (ids !== undefined && ids.length < FEW) {
    return await rows<AdminUserRow>(
      db,
      sql`select * from admin_accounts a
          where a.id = any (${ids}::uuid[]) and (${beforeId}::uuid is null or a.id < ${beforeId}::uuid)
            and (${status}::text is null or a.current_status = ${status}) and (${role}::text is null or ${role} = any (a.roles))
            and (${emailVerified}::boolean is null or (a.email_verified_at is not null) = ${emailVerified}::boolean)
          order by a.id desc limit ${limit}`,
    );
  }
  return await rows<AdminUserRow>(
    db,
    sql`select * from admin_accounts a
        where (${low}::text is null or lower(a.username) collate "C" between ${low} and ${high}
            or lower(a.email) collate "C" between ${low} and ${high})
          and (${beforeId}::uuid is null or a.id < ${beforeId}::uuid)
          and (${status}::text is null or a.current_status = ${status}) and (${role}::text is null or ${role} = any (a.roles))
          and (${emailVerified}::boolean is null or (a.email_verified_at is not null) = ${emailVerified}::boolean)
        order by a.id desc limit ${limit}`,
  );
}

/** Those whose username or address begins so, or at least FEW of them. */
async function selectBeginning(db: Db, low: string, high: string): Promise<readonly string[]> {
  const found = await rows<{ id: string }>(
    db,
    sql`(
          select id from users where lower(username) collate "C" between ${low} and ${high}
          order by lower(username) collate "C" limit ${FEW}
        ) union (
          select id from users where lower(email) collate "C" between ${low} and ${high}
          order by lower(email) collate "C" limit ${FEW}
        )`,
  );
  return found.map(({ id }) => id);
}

/** One account. */
export async function selectUser(on: Db | Tx, userId: string): Promise<AdminUserRow | undefined> {
  return await row<AdminUserRow>(on, sql`select * from admin_accounts where id = ${userId}::uuid`);
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
