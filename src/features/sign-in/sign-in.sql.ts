/** `credentials`, and finding who signs in. */

import type { Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

export async function insertCredentials(
  tx: Tx,
  credentials: { readonly userId: string; readonly passwordHash: string; readonly mustChange?: boolean },
): Promise<void> {
  await affected(
    tx,
    sql`insert into credentials (user_id, password_hash, must_change)
        values (${credentials.userId}::uuid, ${credentials.passwordHash}, ${credentials.mustChange ?? false}::boolean)`,
  );
}

/** The same for many, in one statement. Line 4 of the lock order. */
export async function insertManyCredentials(
  tx: Tx,
  credentials: readonly { readonly userId: string; readonly passwordHash: string }[],
): Promise<void> {
  const [ids, hashes] = [credentials.map(({ userId }) => userId), credentials.map(({ passwordHash }) => passwordHash)];
  await affected(
    tx,
    sql`insert into credentials (user_id, password_hash) select user_id, password_hash
        from unnest(${ids}::uuid[], ${hashes}::text[]) as c (user_id, password_hash)`,
  );
}

/** What a password is compared with. */
export interface Credentials {
  readonly userId: string;
  readonly passwordHash: string;
  /** When it was set, as the database writes it. A hash in another form is the same password. */
  readonly changedAt: string;
  /** Whether it is good for setting another one only. */
  readonly mustChange: boolean;
}

interface CredentialsRow {
  readonly user_id: string;
  readonly password_hash: string;
  readonly changed_at: string;
  readonly must_change: boolean;
}

function asCredentials(found: CredentialsRow): Credentials {
  return { userId: found.user_id, passwordHash: found.password_hash, changedAt: found.changed_at, mustChange: found.must_change };
}

/**
 * Whose name or address this is, and the hash to compare with. Served by users_username_key or users_email_key. Small letters are made
 * here, as those who count tries make them: to PostgreSQL \u0130 would be an i, and each such spelling would have tries of its own.
 */
export async function selectCredentials(db: Db, name: string): Promise<Credentials | undefined> {
  const isAddress = name.includes("@");
  const small = name.toLowerCase();
  const found = await row<CredentialsRow>(
    db,
    isAddress
      ? sql`select c.user_id, c.password_hash, c.changed_at::text, c.must_change from users u join credentials c on c.user_id = u.id
            where lower(u.email) collate "C" = ${small} collate "C"`
      : sql`select c.user_id, c.password_hash, c.changed_at::text, c.must_change from users u join credentials c on c.user_id = u.id
            where lower(u.username) collate "C" = ${small} collate "C"`,
  );
  return found === undefined ? undefined : asCredentials(found);
}

/** Whether the password that was set then is still the account's. Ask it with the `users` row locked, which who changes it holds. */
export async function isPasswordOf(tx: Tx, { userId, changedAt }: Pick<Credentials, "userId" | "changedAt">): Promise<boolean> {
  const found = await row(tx, sql`select 1 from credentials where user_id = ${userId}::uuid and changed_at = ${changedAt}::timestamptz`);
  return found !== undefined;
}

/** What the account's password is compared with; undefined for one without a password. */
export async function selectCredentialsOf(db: Db, userId: string): Promise<Credentials | undefined> {
  const found = await row<CredentialsRow>(
    db,
    sql`select user_id, password_hash, changed_at::text, must_change from credentials where user_id = ${userId}::uuid`,
  );
  return found === undefined ? undefined : asCredentials(found);
}

/** Whether there was one. Line 4 of the lock order. */
export async function deletePassword(tx: Tx, userId: string): Promise<boolean> {
  return (await affected(tx, sql`delete from credentials where user_id = ${userId}::uuid`)) > 0;
}

/** Writes a new password whatever was before, and for an account that came from another system without one. Line 4 of the lock order. */
export async function putPassword(tx: Tx, password: { readonly userId: string; readonly passwordHash: string }): Promise<void> {
  await affected(
    tx,
    sql`insert into credentials (user_id, password_hash) values (${password.userId}::uuid, ${password.passwordHash})
        on conflict (user_id) do update set password_hash = excluded.password_hash, must_change = false, changed_at = now()`,
  );
}

/** Writes the same password in the form of today. A password that was changed meanwhile stays. */
export async function rehash(
  db: Db,
  password: { readonly userId: string; readonly passwordHash: string; readonly before: string },
): Promise<void> {
  await affected(
    db,
    sql`update credentials set password_hash = ${password.passwordHash}
        where user_id = ${password.userId}::uuid and password_hash = ${password.before}`,
  );
}

/** Everybody who would make the first admin waits here, so that there is one. Held to the end of the transaction. */
export async function lockFirstAdmin(tx: Tx): Promise<void> {
  await affected(tx, sql`select pg_advisory_xact_lock(hashtextextended('first-admin', 0))`);
}
