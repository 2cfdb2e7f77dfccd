/** Phase: expand. Locks: ACCESS EXCLUSIVE on blocks for a moment; columns that may be null rewrite nothing. Safe with the old version: it writes no block, and asks `people_seen_by` for columns that are there still; until it is gone it shows what settings and requests should hide, so update every process before telling people of them. */
import type { Knex } from "knex";

const audience = (column: string, byDefault: string): string =>
  `${column} text not null default '${byDefault}' check (${column} in ('everyone', 'followers', 'nobody'))`;

/** Whether an audience holds the viewer. A scalar subquery can be no hash of all settings: it is one probe of the key. */
const holds = (column: string): string => `
          case coalesce((select s.${column} from privacy_settings s where s.user_id = u.id), 'everyone')
            when 'everyone' then true
            when 'followers' then coalesce((select f.state = 'accepted' from follows f where f.follower_id = viewer and f.followee_id = u.id), false)
            else false
          end`;

const blocked = `
          when exists (select 1 from blocks b where b.blocker_id = viewer and b.blocked_id = u.id) then false
          when exists (select 1 from blocks b where b.blocker_id = u.id and b.blocked_id = viewer) then false`;

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    set local lock_timeout = '2s';

    -- What a block ended: the state of either edge before it. Told at unblock, never restored by itself.
    alter table blocks
      add column cut_follow text check (cut_follow in ('requested', 'accepted')),
      add column cut_followed text check (cut_followed in ('requested', 'accepted'));

    -- A row holds the whole set; who never changed anything has none and is as src/policy/privacy.ts says.
    create table privacy_settings (
      user_id uuid primary key,
      ${audience("profile", "everyone")},
      ${audience("email", "nobody")},
      ${audience("followers_list", "everyone")},
      ${audience("following_list", "everyone")},
      ${audience("last_seen", "everyone")},
      ${audience("typing", "everyone")},
      ${audience("discoverable", "everyone")},
      ${audience("messages", "everyone")},
      require_follow_approval boolean not null default false,
      updated_at timestamptz not null default now()
    );

    -- The set under its names outside; null where there is no row. Inlined by the planner.
    create function privacy_of(s privacy_settings) returns jsonb
    language sql stable as $$
      select case when s.user_id is not null then jsonb_build_object(
        'profile', s.profile, 'email', s.email, 'followersList', s.followers_list, 'followingList', s.following_list,
        'lastSeen', s.last_seen, 'typing', s.typing, 'discoverable', s.discoverable, 'messages', s.messages,
        'requireFollowApproval', s.require_follow_approval
      ) end
    $$;

    create table mutes (
      muter_id uuid not null,
      muted_id uuid not null,
      until timestamptz,
      -- Whether notices and pushes are muted too, not only what other services show.
      notifications boolean not null,
      created_at timestamptz not null default now(),
      primary key (muter_id, muted_id),
      check (muter_id <> muted_id)
    );
    create index mutes_newest on mutes (muter_id, created_at desc, muted_id desc);

    -- What processes must ask anew about who watches whom: between two, or (other_id null) of everybody with one. Read like
    -- presence_states, by snapshot: none that commits late is skipped.
    create table tie_changes (
      id bigint generated always as identity primary key,
      xact_id xid8 not null default pg_current_xact_id(),
      one_id uuid not null,
      other_id uuid,
      created_at timestamptz not null default now()
    );
    create index tie_changes_xact on tie_changes (xact_id);

    -- As migration 0310 made it, with what people let whom see: findable by discoverable, watchable by last_seen, and whole, by
    -- profile: that decide() allows "view_profile". Made anew because a column came; plans of before are made again by themselves.
    drop function people_seen_by(uuid, text);
    create function people_seen_by(viewer uuid, viewer_role text)
    returns table (id uuid, username text, display_name text, shown boolean, watchable boolean, findable boolean, whole boolean)
    language sql stable as $$
      select u.id, u.username, u.display_name,
        case
          when now.status in ('deactivated', 'erased') then false
          when u.id = viewer then true${blocked}
          else true
        end,
        case
          when now.status in ('deactivated', 'erased') then false
          when u.id = viewer then true${blocked}
          when now.status <> 'active' and viewer_role not in ('moderator', 'admin') then false
          else ${holds("last_seen")}
        end,
        case
          when now.status in ('deactivated', 'erased') then false
          when u.id = viewer then true${blocked}
          when viewer_role in ('moderator', 'admin') then true
          when now.status in ('suspended', 'banned') then false
          when 'be_found' = any (now.limited) then false
          else ${holds("discoverable")}
        end,
        case
          when now.status in ('deactivated', 'erased') then false
          when u.id = viewer then true${blocked}
          when viewer_role in ('moderator', 'admin') then true
          when now.status in ('suspended', 'banned') then false
          else ${holds("profile")}
        end
      from users u
      cross join lateral (
        select
          case when u.status_valid_until <= statement_timestamp() then (select s.status from user_standing(u.id) s) else u.status end as status,
          case when u.status_valid_until <= statement_timestamp() then (select s.limited from user_standing(u.id) s) else u.limited end as limited
      ) now
    $$;
  `);
}
