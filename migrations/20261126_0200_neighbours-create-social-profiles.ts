/** Phase: expand. Locks: none that wait for readers on existing tables (the foreign key takes SHARE ROW EXCLUSIVE on users for a moment). Safe with the old version: it does not know the table. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- What the social service told us of someone: the figures of the highest version.
    create table social_profiles (
      user_id uuid primary key references users (id) on delete cascade,
      version bigint not null,
      posts_count bigint not null check (posts_count >= 0),
      -- Null: it did not say.
      reactions_count bigint check (reactions_count >= 0),
      -- When they were so, by its own clock; never later than received_at.
      source_time timestamptz not null,
      received_at timestamptz not null default now()
    ) with (fillfactor = 70);
  `);
}
