/** Every statement on `user_preferences`. */

import type { Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Json } from "./versions.ts";

/** A row as it was written, by whatever version. */
export interface StoredPreferences {
  readonly version: number;
  readonly data: Json;
}

/** What somebody set; undefined where nothing. */
export async function selectPreferences(on: Db | Tx, userId: string): Promise<StoredPreferences | undefined> {
  return await row<StoredPreferences>(on, sql`select version, data from user_preferences where user_id = ${userId}::uuid`);
}

/** Line 5 of the lock order. */
export async function writePreferences(tx: Tx, userId: string, { version, data }: StoredPreferences): Promise<void> {
  await affected(
    tx,
    sql`insert into user_preferences (user_id, version, data) values (${userId}::uuid, ${version}, ${JSON.stringify(data)}::jsonb)
        on conflict (user_id) do update set version = excluded.version, data = excluded.data, updated_at = now()`,
  );
}
