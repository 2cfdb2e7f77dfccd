/** Phase: expand. Locks: none that stop writes; built concurrently. Safe with the old version: it searches by users_display_name_prefix, which may go once no process of it runs. */
import type { Knex } from "knex";

export const config = { transaction: false };

export async function up(knex: Knex): Promise<void> {
  // What a build that failed has left is no index.
  await knex.raw("drop index concurrently if exists users_display_name_folded");
  await knex.raw(`create index concurrently users_display_name_folded on users (name_fold(display_name) collate "C", id)`);
  // No list of what is pending: each search read all of it (480 pages against 12, after 20,000 registrations).
  await knex.raw("drop index concurrently if exists users_names_trigrams");
  await knex.raw(
    "create index concurrently users_names_trigrams on users using gin (name_fold(username || ' ' || display_name) gin_trgm_ops) with (fastupdate = off)",
  );
  // Few rows, so that counters of most people are updated without touching it.
  await knex.raw("drop index concurrently if exists follow_counts_popular");
  await knex.raw(
    "create index concurrently follow_counts_popular on follow_counts (followers_count desc, user_id) where followers_count >= 10",
  );
}
