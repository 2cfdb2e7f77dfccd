/** Phase: expand. Locks: ACCESS EXCLUSIVE on sessions for a moment; a column that may be null rewrites nothing. Safe with the old version: it leaves the column null, which counts as the session's beginning. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- When its owner last proved who they are within the session; null: when it began.
    alter table sessions add column authenticated_at timestamptz;
  `);
}
