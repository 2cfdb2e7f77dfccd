/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know the table. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    create table users (
      id uuid primary key,
      username text not null check (length(username) between 3 and 30),
      email text not null check (length(email) <= 320),
      display_name text not null,
      avatar_url text,
      bio text not null default '',
      roles text[] not null default '{user}',
      -- Derived from restrictions by one function, setStatus; past status_valid_until read the view user_standings instead.
      status text not null default 'active' check (status in ('active', 'suspended', 'banned', 'deactivated', 'erased')),
      status_valid_until timestamptz,
      limited text[] not null default '{}',
      -- Sessions begun before this moment are over, whatever their own row says.
      sessions_valid_from timestamptz not null default '-infinity',
      version bigint not null default 1,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    ) with (fillfactor = 85);

    -- "C" so that the same index serves uniqueness, equality and prefix ranges.
    create unique index users_username_key on users (lower(username) collate "C");
    create unique index users_email_key on users (lower(email) collate "C");
    create index users_display_name_prefix on users (lower(display_name) collate "C", id);
    create index users_admins on users (id) where 'admin' = any (roles);
  `);
}
