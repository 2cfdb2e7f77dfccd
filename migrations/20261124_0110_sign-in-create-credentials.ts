/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know the table. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    create table credentials (
      user_id uuid primary key references users (id) on delete cascade,
      password_hash text not null,
      must_change boolean not null default false,
      changed_at timestamptz not null default now()
    );
  `);
}
