/** What signs in to an account, wherever it is kept: asked by whatever takes one of them away. */

import { row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** Whether anything signs in to the account: a password, a passkey, an identity of one of these providers, which are those that there are. */
export async function hasWayIn(tx: Tx, userId: string, providers: readonly string[]): Promise<boolean> {
  const found = await row(
    tx,
    sql`select 1 where exists (select from credentials where user_id = ${userId}::uuid)
          or exists (select from passkeys where user_id = ${userId}::uuid)
          or exists (select from identities where user_id = ${userId}::uuid and provider = any (${providers}::text[]))`,
  );
  return found !== undefined;
}
