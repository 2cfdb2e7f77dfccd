/** Phase: expand. Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key. Safe with the old version: it does not know the table, and while it serves nobody's passkey is asked for by it; update every process before telling people of passkeys. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    create table passkeys (
      -- The credential id that the authenticator chose (WebAuthn Level 3, 4: at most 1023 bytes).
      id bytea primary key check (octet_length(id) between 1 and 1023),
      user_id uuid not null references users (id) on delete cascade,
      -- COSE_Key. Not a secret: it only checks.
      public_key bytea not null,
      -- Of the last answer that was taken; 0 for ever where the authenticator does not count.
      counter bigint not null,
      transports text[] not null default '{}',
      name text not null,
      -- Which make of authenticator; null where it does not say.
      aaguid uuid,
      -- Whether it is kept elsewhere too, as the authenticator said last.
      backed_up boolean not null,
      created_at timestamptz not null default now(),
      last_used_at timestamptz
    );
    create index passkeys_user on passkeys (user_id, created_at);
  `);
}
