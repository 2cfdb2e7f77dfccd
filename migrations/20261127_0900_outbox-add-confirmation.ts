/** Phase: expand. Locks: ACCESS EXCLUSIVE on outbox for a moment; constant defaults rewrite nothing. Safe with the old version: its relay asks for no confirmation, so its events are done by their receipt. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    alter table outbox
      -- Its receipt came.
      add column received boolean not null default false,
      -- It is not done before the broker's confirmation of its last try came.
      add column awaits_confirmation boolean not null default false;
  `);
}
