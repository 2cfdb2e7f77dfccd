/** Phase: expand. Locks: none that stop writes; built concurrently. Safe with the old version: it does not know the index. */
import type { Knex } from "knex";

export const config = { transaction: false };

export async function up(knex: Knex): Promise<void> {
  // What a build that failed has left is no index.
  await knex.raw("drop index concurrently if exists notices_about");
  await knex.raw(
    "create index concurrently notices_about on notices (user_id, (data->>'userId')) where type in ('follow.requested', 'follow.accepted')",
  );
}
