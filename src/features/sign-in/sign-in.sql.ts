/** `credentials`, and finding who signs in. */

import type { Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

export async function insertCredentials(tx: Tx, credentials: { readonly userId: string; readonly passwordHash: string }): Promise<void> {
  await affected(
    tx,
    sql`insert into credentials (user_id, password_hash) values (${credentials.userId}::uuid, ${credentials.passwordHash})`,
  );
}

/** Whose name or address this is, and the hash to compare with. Served by users_username_key or users_email_key. */
export async function selectCredentials(
  db: Db,
  name: string,
): Promise<{ readonly userId: string; readonly passwordHash: string } | undefined> {
  const isAddress = name.includes("@");
  const found = await row<{ user_id: string; password_hash: string }>(
    db,
    isAddress
      ? sql`select c.user_id, c.password_hash from users u join credentials c on c.user_id = u.id
            where lower(u.email) collate "C" = lower(${name}) collate "C"`
      : sql`select c.user_id, c.password_hash from users u join credentials c on c.user_id = u.id
            where lower(u.username) collate "C" = lower(${name}) collate "C"`,
  );
  return found === undefined ? undefined : { userId: found.user_id, passwordHash: found.password_hash };
}

/** Everybody who would make the first admin waits here, so that there is one. Held to the end of the transaction. */
export async function lockFirstAdmin(tx: Tx): Promise<void> {
  await affected(tx, sql`select pg_advisory_xact_lock(hashtextextended('first-admin', 0))`);
}
