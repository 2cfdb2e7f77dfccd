/** Phase: expand. Locks: none that stop writes; built concurrently. Safe with the old version: it does not know the indexes. */
import type { Knex } from "knex";

export const config = { transaction: false };

export async function up(knex: Knex): Promise<void> {
  // What a build that failed has left is no index.
  await knex.raw("drop index concurrently if exists follows_requests");
  await knex.raw(
    "create index concurrently follows_requests on follows (followee_id, changed_at desc, follower_id desc) where state = 'requested'",
  );
  await knex.raw("drop index concurrently if exists blocks_newest");
  await knex.raw("create index concurrently blocks_newest on blocks (blocker_id, created_at desc, blocked_id desc)");
}
