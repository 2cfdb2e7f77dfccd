/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know them. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    create table jobs (
      id uuid primary key,
      kind text not null,
      -- Names the piece of work; null is never equal to another.
      key text,
      payload jsonb not null,
      state text not null default 'waiting' check (state in ('waiting', 'done', 'dead')),
      -- When a process may take it next: its time, the end of the lease of the one that has it, or the next try.
      due_at timestamptz not null,
      attempts integer not null default 0,
      -- Grows with each claim; who marks the row must name it.
      fence bigint not null default 0,
      last_error text,
      created_at timestamptz not null default now(),
      finished_at timestamptz,
      unique (kind, key)
    ) with (autovacuum_vacuum_scale_factor = 0.05);
    -- Claiming walks due rows of one kind, and none that is done or dead.
    create index jobs_due on jobs (kind, due_at) where state = 'waiting';
    create index jobs_finished on jobs (finished_at) where state <> 'waiting';
    create index jobs_dead on jobs (finished_at) where state = 'dead';

    create table sweeps (
      name text primary key,
      due_at timestamptz not null default now(),
      fence bigint not null default 0,
      last_run_at timestamptz,
      last_error text
    );
  `);
}
