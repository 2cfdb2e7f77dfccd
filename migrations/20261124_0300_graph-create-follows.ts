/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know the tables. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- One row a pair, for ever: an ended follow stays as a tombstone so that edge_version only grows. No foreign keys: checking
    -- one locks the followee's row in users, and a hot followee must not be a hot row. Written under the pair's lock only.
    create table follows (
      follower_id uuid not null,
      followee_id uuid not null,
      state text not null check (state in ('requested', 'accepted', 'gone')),
      edge_version bigint not null default 1,
      created_at timestamptz not null default now(),
      -- When state last changed: what lists are ordered by.
      changed_at timestamptz not null default now(),
      primary key (follower_id, followee_id),
      check (follower_id <> followee_id)
    );
    create index follows_followers on follows (followee_id, changed_at desc, follower_id desc) where state = 'accepted';
    create index follows_following on follows (follower_id, changed_at desc, followee_id desc) where state = 'accepted';

    -- The folded part of the counters, and what is not folded yet. A follow only appends; the fold moves.
    create table follow_counts (
      user_id uuid primary key,
      followers_count bigint not null default 0,
      following_count bigint not null default 0
    ) with (fillfactor = 70);

    create table count_deltas (
      id bigint generated always as identity primary key,
      user_id uuid not null,
      followers smallint not null,
      following smallint not null
    ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
    create index count_deltas_user on count_deltas (user_id);

    -- Exact counters of one person: base and deltas under one snapshot, so a fold in between changes nothing. Inlined by the planner.
    create function follow_totals(person uuid) returns table (followers bigint, following bigint)
    language sql stable as $$
      select coalesce(sum(part.followers), 0)::bigint, coalesce(sum(part.following), 0)::bigint
      from (
        select c.followers_count as followers, c.following_count as following from follow_counts c where c.user_id = person
        union all
        select d.followers, d.following from count_deltas d where d.user_id = person
      ) part
    $$;

    create table blocks (
      blocker_id uuid not null,
      blocked_id uuid not null,
      created_at timestamptz not null default now(),
      primary key (blocker_id, blocked_id),
      check (blocker_id <> blocked_id)
    );
    create index blocks_blocked on blocks (blocked_id, blocker_id);
  `);
}
