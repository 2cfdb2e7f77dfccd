/** Phase: expand. Locks: SHARE ROW EXCLUSIVE on users for a moment, for the foreign key. Safe with the old version: it asks for the factor everywhere, and what it removes of factors leaves rows that stand for nothing without one; `trustDevice` is refused by it. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    create table trusted_devices (
      id uuid primary key,
      user_id uuid not null references users (id) on delete cascade,
      -- SHA-256 of the 128 random bits in the device's token: the token is not in the database.
      device_hash bytea not null check (octet_length(device_hash) = 32),
      -- What its user agent said, in words; null where it says nothing.
      label text,
      created_at timestamptz not null default now(),
      expires_at timestamptz not null,
      last_used_at timestamptz
    );
    create unique index trusted_devices_device on trusted_devices (user_id, device_hash);
    create index trusted_devices_expires on trusted_devices (expires_at);
  `);
}
