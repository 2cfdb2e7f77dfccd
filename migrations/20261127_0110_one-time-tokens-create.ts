/** Phase: expand. Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key. Safe with the old version: it does not know the table. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- What somebody got by mail and may use once. Neither link nor code is in here: both follow from the id under a key.
    create table one_time_tokens (
      id uuid primary key,
      purpose text not null,
      -- Whom it is for; null while there is no account yet.
      user_id uuid references users (id) on delete cascade,
      -- Where it was mailed to.
      email text not null,
      data jsonb not null default '{}',
      -- Codes that were tried against it.
      tries smallint not null default 0,
      created_at timestamptz not null default now(),
      expires_at timestamptz not null,
      -- Kept until it would have ended, so that a job which is repeated makes no second one of it.
      used_at timestamptz
    ) with (fillfactor = 80);
    create index one_time_tokens_address on one_time_tokens (lower(email) collate "C", purpose, created_at desc);
    create index one_time_tokens_user on one_time_tokens (user_id) where user_id is not null;
    create index one_time_tokens_expires on one_time_tokens (expires_at);
  `);
}
