/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know them. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- The number of the last event of each subject; private events count on their own.
    create table user_versions (
      user_id uuid primary key references users (id) on delete cascade,
      version bigint not null default 0,
      private_version bigint not null default 0
    ) with (fillfactor = 50);

    create table outbox (
      id uuid primary key,
      topic text not null,
      type text not null,
      subject uuid not null,
      -- Dense for each topic and subject: the one before is always user_version - 1.
      user_version bigint not null,
      data jsonb not null,
      traceparent text,
      occurred_at timestamptz not null default now(),
      -- When a relay may take it next: at once, at the end of the lease of the one that has it, at the next try; infinity
      -- means parked until the event before it is done.
      due_at timestamptz not null default now(),
      attempts integer not null default 0,
      -- Grows with each claim; a relay that marks the row must name it.
      fence bigint not null default 0,
      last_error text,
      -- Its receipt came. Kept 24 hours, so that neighbours can ask again.
      done_at timestamptz,
      unique (topic, subject, user_version)
    ) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
    -- Claiming walks this in order of time; done rows are not in it, parked ones are at its far end.
    create index outbox_due on outbox (due_at) where done_at is null;

    -- What became of each event that was received, for each consumer whose effect lasts.
    create table inbox (
      consumer text not null,
      source text not null,
      event_id text not null,
      verdict text not null check (verdict in ('SUCCESS', 'RETRY', 'DROP', 'DEAD')),
      reason text,
      attempts integer not null default 1,
      topic text not null,
      type text not null,
      subject text,
      -- The whole event, kept where the verdict is not SUCCESS. json, not jsonb: it may hold what jsonb refuses.
      event json,
      received_at timestamptz not null default now(),
      primary key (consumer, source, event_id)
    );
    create index inbox_received on inbox (received_at);
    create index inbox_trouble on inbox (source, event_id) where verdict <> 'SUCCESS';
  `);
}
