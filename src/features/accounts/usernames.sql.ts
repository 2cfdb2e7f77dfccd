/** Names that change: who was called what. Every statement on `former_usernames` but the triggers that refuse a kept name. */

import { isUniqueViolation } from "#src/db/errors";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import { usernameTaken } from "./accounts.errors.ts";

/** How long a name that was left leads to who left it, and is nobody else's. */
const KEPT_DAYS = 90;

/** In how many seconds the account may leave a name again; undefined when it may now. Served by former_usernames_user. */
export async function selectRenameWait(
  tx: Tx,
  userId: string,
  { changes, days }: { readonly changes: number; readonly days: number },
): Promise<number | undefined> {
  const found = await row<{ seconds: number }>(
    tx,
    sql`select extract(epoch from left_at + make_interval(days => ${days}::int) - now())::float8 as seconds
        from former_usernames where user_id = ${userId}::uuid and left_at > now() - make_interval(days => ${days}::int)
        order by left_at desc offset ${changes - 1} limit 1`,
  );
  return found?.seconds;
}

/**
 * Gives the account another name and keeps the old one for it; the profile's version grows by one. A change of the case alone leaves no
 * name. Line 3 of the lock order, then line 5.
 * @throws Problem `username.taken`, also where the name is kept for somebody else
 */
export async function writeUsername(tx: Tx, userId: string, names: { readonly from: string; readonly to: string }): Promise<void> {
  try {
    await affected(tx, sql`update users set username = ${names.to}, updated_at = now() where id = ${userId}::uuid`);
  } catch (error) {
    if (isUniqueViolation(error, "users_username_key")) throw new Problem(usernameTaken);
    throw error;
  }
  if (isSameName(names.from, names.to)) return;
  // A name that was taken back is kept by the account itself.
  await affected(
    tx,
    sql`update former_usernames set kept_until = least(kept_until, now())
        where user_id = ${userId}::uuid and lower(username) collate "C" = lower(${names.to}) collate "C"`,
  );
  await affected(
    tx,
    sql`insert into former_usernames (id, user_id, username, kept_until)
        values (${newUuid(systemClock)}::uuid, ${userId}::uuid, ${names.from}, now() + make_interval(days => ${KEPT_DAYS}::int))`,
  );
}

/** Whether two names are one: names are ASCII, and unique ignoring case. */
export function isSameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
