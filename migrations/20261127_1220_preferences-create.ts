/** Phase: expand. Locks: none on existing tables (a foreign key to users takes SHARE ROW EXCLUSIVE for a moment). Safe with the old version: it does not know the table. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- What somebody set, in the shape of its version (src/features/preferences/versions.ts); who never set anything has no row.
    create table user_preferences (
      user_id uuid primary key references users (id) on delete cascade,
      version integer not null check (version > 0),
      data jsonb not null check (jsonb_typeof(data) = 'object'),
      updated_at timestamptz not null default now()
    );
  `);
}
