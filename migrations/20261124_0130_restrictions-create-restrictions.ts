/** Phase: expand. Locks: none on existing tables. Safe with the old version: it does not know them. */
import type { Knex } from "knex";

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    create table restrictions (
      id uuid primary key,
      user_id uuid not null references users (id) on delete cascade,
      kind text not null check (kind in ('limit', 'suspend', 'ban')),
      capabilities text[] not null default '{}',
      reason text not null,
      -- The version of the list of reasons that was in use.
      reason_policy text not null,
      message text,
      imposed_by uuid references users (id),
      starts_at timestamptz not null default now(),
      expires_at timestamptz,
      lifted_at timestamptz,
      lifted_by uuid references users (id),
      lift_note text,
      -- When the start and the end were told to the user and to neighbours. Enforcement does not look at them.
      start_announced_at timestamptz,
      end_announced_at timestamptz,
      created_at timestamptz not null default now(),
      check ((lifted_at is null) = (lift_note is null)),
      check (expires_at is null or expires_at > starts_at),
      check (kind <> 'suspend' or expires_at is not null),
      check ((kind = 'limit') = (capabilities <> '{}'))
    );
    create index restrictions_user on restrictions (user_id, created_at desc, id desc);
    -- What is still to be told: a handful of rows however many restrictions there are.
    create index restrictions_start_due on restrictions (starts_at) where start_announced_at is null and lifted_at is null;
    create index restrictions_end_due on restrictions (expires_at)
      where end_announced_at is null and lifted_at is null and expires_at is not null;

    -- What the restrictions of one account say at this moment, and until when that holds. The strictest wins.
    -- A function with a setting of its own is not inlined, and that is wanted: it is called for the few accounts whose standing is
    -- past its time, but inlined its plan was part of every statement that reads a standing, and set up each time: 25 µs of 75.
    create function user_standing(target uuid)
    returns table (status text, limited text[], valid_until timestamptz, sessions_valid_from timestamptz)
    language sql stable set search_path from current as $$
      with mine as (
        select r.*,
          r.lifted_at is null and (r.expires_at is null or r.expires_at > statement_timestamp()) as standing,
          r.starts_at <= statement_timestamp() as begun
        from restrictions r where r.user_id = target
      )
      select
        case
          when bool_or(standing and begun and kind = 'ban') then 'banned'
          when bool_or(standing and begun and kind = 'suspend') then 'suspended'
          else 'active'
        end,
        coalesce((
          select array_agg(distinct capability order by capability)
          from mine m, unnest(m.capabilities) as capability where m.standing and m.begun
        ), '{}'),
        least(
          min(expires_at) filter (where standing and begun),
          min(starts_at) filter (where standing and not begun)
        ),
        coalesce(max(starts_at) filter (
          where begun and kind in ('suspend', 'ban') and (lifted_at is null or lifted_at >= starts_at)
        ), '-infinity')
      from mine
    $$;

    -- Of the restrictions in force at this moment the one to tell about: the strictest, then the one that ends last. Not inlined, as above.
    create function strictest_restriction(target uuid)
    returns table (kind text, reason text, message text, starts_at timestamptz, expires_at timestamptz, capabilities text[])
    language sql stable set search_path from current as $$
      select r.kind, r.reason, r.message, r.starts_at, r.expires_at, r.capabilities
      from restrictions r
      where r.user_id = target and r.lifted_at is null and r.starts_at <= statement_timestamp()
        and (r.expires_at is null or r.expires_at > statement_timestamp())
      order by array_position(array['ban', 'suspend', 'limit'], r.kind), r.expires_at desc nulls first, r.starts_at, r.id
      limit 1
    $$;

    -- The standing of every account: what users says while that holds, computed anew after. Enforcement needs no worker.
    -- Scalar subqueries, not a lateral join: they run for a row that is past its time only, where the join aggregated for every row.
    create view user_standings as
      select u.id as user_id,
        case when u.status_valid_until <= statement_timestamp() then (select s.status from user_standing(u.id) s) else u.status end as status,
        case when u.status_valid_until <= statement_timestamp() then (select s.limited from user_standing(u.id) s) else u.limited end as limited,
        case when u.status_valid_until <= statement_timestamp() then (select s.valid_until from user_standing(u.id) s) else u.status_valid_until end
          as valid_until,
        case when u.status_valid_until <= statement_timestamp()
          then (select greatest(s.sessions_valid_from, u.sessions_valid_from) from user_standing(u.id) s) else u.sessions_valid_from end
          as sessions_valid_from
      from users u;
  `);
}
