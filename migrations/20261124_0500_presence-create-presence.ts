/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know the tables. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- Unlogged: it is all rebuilt from what the processes hold in memory. After a crash of the database the three are empty
    -- together, which a process notices by the absence of its own row of pods.
    create unlogged table pods (
      id uuid primary key,
      lease_until timestamptz not null
    );
    create index pods_lease on pods (lease_until);

    create unlogged table connections (
      id text primary key,
      user_id uuid not null,
      pod_id uuid not null,
      status text not null check (status in ('online', 'away'))
    );
    create index connections_user on connections (user_id);
    create index connections_pod on connections (pod_id);

    -- What the connections of one user come to. xact_id is the transaction that changed it last: every process reads what
    -- is new by comparing snapshots, as the revocation feed does.
    create unlogged table presence_states (
      user_id uuid primary key,
      status text not null check (status in ('online', 'away', 'offline')),
      seq bigint not null,
      xact_id xid8 not null default pg_current_xact_id()
    ) with (fillfactor = 70);
    create index presence_states_xact on presence_states (xact_id);

    create table last_seen (
      user_id uuid primary key references users (id) on delete cascade,
      seen_at timestamptz not null
    ) with (fillfactor = 70);
  `);
}
