/** Phase: expand. Locks: none on existing tables (a foreign key to users takes SHARE ROW EXCLUSIVE for a moment). Safe with the old version: it does not know the table. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- What a user was told. The shape of data belongs to its type and is in code.
    create table notices (
      id uuid primary key,
      user_id uuid not null references users (id) on delete cascade,
      type text not null,
      data jsonb not null check (jsonb_typeof(data) = 'object'),
      created_at timestamptz not null default now(),
      read_at timestamptz
    );
    -- Ids are UUID v7: newest first by id is newest first by time.
    create index notices_user on notices (user_id, id desc);
  `);
}
