/** Phase: expand. Locks: none that stop writes; built concurrently. Safe with the old version: it does not know the indexes. */
import type { Knex } from "knex";

export const config = { transaction: false };

export async function up(knex: Knex): Promise<void> {
  // Whom somebody began to follow for the first time lately, and whom they wait for: bounds of following. What a build that failed
  // has left is no index.
  await knex.raw("drop index concurrently if exists follows_begun");
  await knex.raw("create index concurrently follows_begun on follows (follower_id, created_at desc)");
  await knex.raw("drop index concurrently if exists follows_waiting");
  await knex.raw("create index concurrently follows_waiting on follows (follower_id) where state = 'requested'");
}
