/** Phase: expand. Locks: none on existing tables but a brief one on restrictions for the foreign key. Safe with the old version: it does not know the table. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- The SHA-256 of an address in lower case, by which a declaration may name one without holding it. "C": addresses are ASCII,
    -- and no locale shall make two of one. Immutable, so that an index can hold it: what convert_to depends on, the encoding of
    -- the database, never changes.
    create function address_hash(address text) returns bytea
    language sql immutable strict parallel safe as $$ select sha256(convert_to(lower(address collate "C"), 'UTF8')) $$;

    -- What other systems declared: one row for each incarnation of a declaration. Rows outlive their end, since they are the fence
    -- against a caller that was stopped for a while and wakes up with an old wish.
    create table declared_restrictions (
      source text not null,
      -- "C": pages of the list are in the order of bytes, as the callers sort.
      external_id text collate "C" not null,
      uid text not null,
      object_created_at timestamptz not null,
      -- The highest that was seen; for one that was ended before it was ever imposed, that of its end.
      generation bigint not null,
      -- SHA-256 of what was wished (without the account, and without what depends on the moment) and of how the account was named.
      content_hash bytea,
      reference_hash bytea,
      -- The account, found once and kept. No foreign key: the row is a record of its own, and outlives the account.
      user_id uuid,
      -- While nobody has the address: what to wait for, and what to impose then.
      email_hash bytea,
      wish jsonb,
      restriction_id uuid references restrictions (id) on delete set null,
      first_enforced_at timestamptz,
      sessions_revoked integer not null default 0,
      ended_at timestamptz,
      ended_how text check (ended_how in ('lifted', 'kept')),
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      primary key (source, external_id, uid),
      check ((ended_at is null) = (ended_how is null)),
      check ((email_hash is null) = (wish is null)),
      -- Live means: of a known account, or waiting for one.
      check (ended_at is not null or (user_id is null) = (email_hash is not null)),
      check (ended_at is not null or (content_hash is not null and reference_hash is not null))
    );
    -- One live incarnation of a name; and the list of a source, page by page.
    create unique index declared_restrictions_live on declared_restrictions (source, external_id) where ended_at is null;
    create unique index declared_restrictions_restriction on declared_restrictions (restriction_id);
    -- Who else declares something about this account.
    create index declared_restrictions_user on declared_restrictions (user_id) where ended_at is null;
    create index declared_restrictions_waiting on declared_restrictions (email_hash) where ended_at is null and email_hash is not null;
    create index declared_restrictions_ended on declared_restrictions (ended_at) where ended_at is not null;
  `);
}
