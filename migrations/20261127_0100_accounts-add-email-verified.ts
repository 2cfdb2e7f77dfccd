/** Phase: expand. Locks: ACCESS EXCLUSIVE on users for a moment; a column that may be null and one with a constant default rewrite nothing. Safe with the old version: it makes accounts whose address counts as unverified, which keeps nobody out. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    alter table users
      -- When its owner last proved to read the mail of the address that stands in email; null when never.
      add column email_verified_at timestamptz,
      -- In which language mail is written to them.
      add column locale text not null default 'en';
  `);
}
