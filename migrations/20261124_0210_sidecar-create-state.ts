/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know the table. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- State of the in-process sidecar: throttles and copies that may be lost. Unlogged: half the writing, empty after a
    -- crash of the server, as a cache is.
    create unlogged table sidecar_state (
      key text primary key,
      -- json, not jsonb: a value may hold what jsonb refuses.
      value json not null,
      -- Random, so that a key deleted and made again never has an etag it had before.
      etag uuid not null default gen_random_uuid(),
      expires_at timestamptz
    );
    create index sidecar_state_expires on sidecar_state (expires_at) where expires_at is not null;
  `);
}
