/** Phase: expand. Locks: none that stop writes; built concurrently. Safe with the old version: it does not know the indexes, and keeps notices_about. */
import type { Knex } from "knex";

export const config = { transaction: false };

export async function up(knex: Knex): Promise<void> {
  // What a build that failed has left is no index.
  await knex.raw("drop index concurrently if exists notices_unread");
  await knex.raw("create index concurrently notices_unread on notices (user_id, id desc) where read_at is null");
  await knex.raw("drop index concurrently if exists notices_about_follows");
  await knex.raw(
    "create index concurrently notices_about_follows on notices (user_id, (data->>'userId')) " +
      "where type in ('follow.started', 'follow.requested', 'follow.accepted')",
  );
}
