/** Phase: expand. Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign keys. Safe with the old version: it does not know the tables, and while it serves nobody's second factor is asked for by it; update every process before telling people of factors. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    create table totp_factors (
      user_id uuid primary key references users (id) on delete cascade,
      -- The secret, sealed for this user under the key of that kid.
      sealed bytea not null,
      kid text not null,
      -- Null until a first code has shown that the app has the secret.
      confirmed_at timestamptz,
      -- The time step of the last code that was taken: no code counts twice (RFC 6238, 5.2).
      last_step bigint not null default 0,
      created_at timestamptz not null default now()
    );

    create table recovery_codes (
      user_id uuid not null references users (id) on delete cascade,
      -- A MAC under a key: codes are short, a copy of the database must not be enough to find them.
      mac bytea not null,
      used_at timestamptz,
      created_at timestamptz not null default now(),
      primary key (user_id, mac)
    );
  `);
}
