/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know the tables. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    create table sessions (
      id uuid primary key,
      user_id uuid not null references users (id) on delete cascade,
      user_agent text not null default '',
      address text not null default '',
      -- True for the short session of a suspended or banned account: it has no refresh token.
      restricted boolean not null default false,
      created_at timestamptz not null default now(),
      last_seen_at timestamptz not null default now(),
      expires_at timestamptz not null,
      revoked_at timestamptz,
      revoked_reason text
    );
    create index sessions_over on sessions (least(expires_at, revoked_at));
    create index sessions_user on sessions (user_id, created_at desc, id);

    -- One row a session: the hash of the newest token, and its two predecessors. A successor is kept sealed under a key
    -- derived from the token before it, so that presenting that one again gives the same successor.
    create table refresh_tokens (
      session_id uuid primary key references sessions (id) on delete cascade,
      generation integer not null default 0,
      token_hash bytea not null,
      made_at timestamptz not null default now(),
      parent_hash bytea,
      sealed bytea,
      grandparent_hash bytea,
      parent_sealed bytea
    ) with (fillfactor = 60);

    -- Who must be forgotten by every process. Read by xact_id, so a transaction that commits late is not skipped.
    create table revocations (
      id bigint generated always as identity primary key,
      xact_id xid8 not null default pg_current_xact_id(),
      subject uuid not null,
      session_id uuid,
      reason text not null,
      created_at timestamptz not null default now()
    );
    create index revocations_xact on revocations (xact_id, id);
    create index revocations_created on revocations (created_at);

    create table feed_epoch (
      only_one boolean primary key default true check (only_one),
      epoch uuid not null default gen_random_uuid()
    );
    insert into feed_epoch default values;
  `);
}
