/** Phase: expand. Locks: ACCESS EXCLUSIVE on sessions for a moment. Safe with the old version: it does not name the column. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- Given by the owner; null until then.
    alter table sessions add column name text;
    -- last_seen_at is written once a minute for each session in use: room for that in the page of the row.
    alter table sessions set (fillfactor = 85);
  `);
}
