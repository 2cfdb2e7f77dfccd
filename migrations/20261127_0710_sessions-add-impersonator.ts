/** Phase: expand. Locks: ACCESS EXCLUSIVE on sessions for a moment; columns that may be null rewrite nothing. Safe with the old version: it lets rows with an impersonator do next to nothing, as they are `restricted` too. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- Of an impersonation: the admin who acts, and the session it was begun from and ends with. Null on every other session. No
    -- foreign keys: the gate takes an impersonator's session that is not there for one that has ended.
    alter table sessions add column impersonator_id uuid;
    alter table sessions add column impersonator_session_id uuid;
  `);
}
