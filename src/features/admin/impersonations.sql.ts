/** Why somebody was impersonated, from the audit log. */

import type { Db } from "#src/db/pool";
import { rows, sql } from "#src/db/sql";

/** By the session's id. Served by audit_details_user: by the account, so that only its entries are read. */
export async function selectReasons(
  db: Db,
  of: readonly { readonly id: string; readonly user_id: string }[],
): Promise<ReadonlyMap<string, string>> {
  const found = await rows<{ id: string; reason: string }>(
    db,
    sql`select a.facts ->> 'sessionId' as id, convert_from(d.content, 'UTF8')::jsonb ->> 'reason' as reason
        from audit_details d join audit_log a on a.id = d.audit_id
        where d.user_id = any (${of.map((one) => one.user_id)}::uuid[]) and a.action = 'account.impersonated'
          and a.facts ->> 'sessionId' = any (${of.map(({ id }) => id)}::text[]) and d.key_id is null`,
  );
  return new Map(found.map(({ id, reason }) => [id, reason]));
}
