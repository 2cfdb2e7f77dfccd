/** What is not for other people to see, for those neighbours that may. */

import type { Status } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import { rows, sql } from "#src/db/sql";
import type { Capability } from "#src/kernel/actor";

export interface FieldsRow {
  readonly id: string;
  readonly email: string;
  readonly email_verified_at: Date | null;
  readonly locale: string;
  readonly roles: string[];
  readonly status: Status;
  readonly limited: Capability[];
}

/** Of many accounts, in no order; absent ones are left out. */
export async function selectFields(on: Db, ids: readonly string[]): Promise<FieldsRow[]> {
  return await rows<FieldsRow>(
    on,
    sql`select u.id, u.email, u.email_verified_at, u.locale, u.roles, s.status, s.limited
        from users u
        join user_standings s on s.user_id = u.id
        where u.id = any (${ids}::uuid[])`,
  );
}
