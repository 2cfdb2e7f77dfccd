/** Phase: expand. Locks: ACCESS EXCLUSIVE on inbox for a moment; a column that may be null rewrites nothing. Safe with the old version: it leaves the column null, which compares as "the same". */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- SHA-256 of what the event said, so that another body under the same id is told from a repeat.
    alter table inbox add column digest bytea;
  `);
}
