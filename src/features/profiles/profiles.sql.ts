/** Reads of people, joined with what the graph and the social service know of them. `users` is written by accounts. */

import type { AccountColumns, Status } from "#src/features/accounts/public";
import { coalesced } from "#src/db/coalesce";
import type { Db } from "#src/db/pool";
import { row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Capability } from "#src/kernel/actor";
import { PRESETS, type Privacy } from "#src/policy/privacy";

/** Counters as of the statement's snapshot. */
export interface Counts {
  readonly followers: number;
  readonly following: number;
}

/** What the social service told us; all null where it has not. */
export interface SocialColumns {
  readonly posts_count: number | null;
  readonly reactions_count: number | null;
  readonly social_as_of: Date | null;
}

/** One's own account, whole. */
export interface MeRow extends AccountColumns, Counts, SocialColumns {
  readonly details: unknown;
  readonly version: number;
  readonly status: Status;
}

/**
 * Accounts of people who ask for themselves, with standing and counters: the hottest read there is, so whoever asks at the
 * same time is answered by one statement (`selectMe`). All by primary keys but the deltas (count_deltas_user). The standing is
 * what user_standings says, as an expression: the view, joined, reads the row a second time (75 µs of the server's CPU
 * against 56, and 29 for the bare row; PostgreSQL 15).
 *
 * The ids come out of a subquery so that the planner does not see how many they are: one id made every plan for one id look
 * better than the one for any number, and it planned anew each time (490 µs against 80 with 20,000 accounts).
 */
export async function selectMany(on: Db | Tx, userIds: readonly string[]): Promise<ReadonlyMap<string, MeRow>> {
  const found = await rows<MeRow>(
    on,
    sql`select u.id, u.username, u.email, u.email_verified_at, u.display_name, u.avatar_url, u.bio, u.roles, u.details, u.version, u.created_at, u.updated_at,
          case when u.status_valid_until <= statement_timestamp() then (select s.status from user_standing(u.id) s) else u.status end as status,
          t.followers, t.following, p.posts_count, p.reactions_count, p.source_time as social_as_of
        from unnest((select ${userIds}::uuid[])) as wanted (id)
        join users u on u.id = wanted.id
        cross join lateral follow_totals(u.id) t
        left join social_profiles p on p.user_id = wanted.id`,
  );
  return new Map(found.map((me) => [me.id, me]));
}

/** One's own account, read together with whoever else asks at this moment. */
export const selectMe = coalesced<MeRow>(selectMany);

/** What restrictions say of an account at this moment. */
export interface StandingRow {
  readonly status: Status;
  readonly limited: Capability[];
}

/** The standing alone, of an account that is there. */
export async function selectStanding(tx: Tx, userId: string): Promise<StandingRow | undefined> {
  return await row<StandingRow>(tx, sql`select status, limited from user_standings where user_id = ${userId}::uuid`);
}

/** Someone, and everything the policy and the views must know of them and the viewer. */
export interface PersonRow {
  readonly id: string;
  readonly username: string;
  readonly display_name: string;
  readonly avatar_url: string | null;
  readonly bio: string;
  readonly version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly status: Status;
  readonly limited: string[];
  readonly privacy: Privacy;
  /** Either blocked the other. */
  readonly blocked: boolean;
  /** The viewer did. */
  readonly blocking: boolean;
  readonly follows: boolean;
  /** The viewer's request to follow waits. */
  readonly requested: boolean;
  readonly follows_you: boolean;
}

/** Someone with what only a profile shows. */
export interface ProfileRow extends PersonRow, SocialColumns {
  /** As the viewer may be told, of whom those who block them are no part; null where too many do. */
  readonly followers: number | null;
  readonly following: number | null;
  readonly details: unknown;
  readonly email: string;
}

/** As the database gives them: who never set anything has no settings there. */
type Stored<Row extends PersonRow> = Omit<Row, "privacy"> & { readonly privacy: Privacy | null };

function withPrivacy<Row extends PersonRow>(person: Stored<Row>): Row {
  return { ...person, privacy: person.privacy ?? PRESETS.open } as unknown as Row;
}

/** Whom to find: exactly one of the two is given. */
export type PersonKey = { readonly id: string } | { readonly username: string };

// The states of edges are compared in the select list: a condition on them would let the planner walk follows_following, which
// holds everybody the viewer follows, in place of one probe of the key.

/**
 * One person with counters, by id or by username ignoring case, in one statement. The name is looked up (users_username_key)
 * only where no id is given: coalesce does not evaluate what it does not need. Without a viewer nothing is between the two.
 */
export async function selectPerson(on: Db | Tx, viewerId: string | null, key: PersonKey): Promise<ProfileRow | undefined> {
  const id = "id" in key ? key.id : null;
  const username = "username" in key ? key.username : null;
  const found = await row<Stored<ProfileRow>>(
    on,
    sql`select u.id, u.username, u.email, u.display_name, u.avatar_url, u.bio, u.details, u.version, u.created_at, u.updated_at, s.status, s.limited,
          privacy_of(ps) as privacy, mine.is_there as blocking,
          mine.is_there or exists (select from blocks b where b.blocker_id = u.id and b.blocked_id = ${viewerId}::uuid) as blocked,
          coalesce(edge.state = 'accepted', false) as follows, coalesce(edge.state = 'requested', false) as requested,
          coalesce((select f.state = 'accepted' from follows f where f.follower_id = u.id and f.followee_id = ${viewerId}::uuid), false) as follows_you,
          t.followers, t.following, p.posts_count, p.reactions_count, p.source_time as social_as_of
        from users u
        join user_standings s on s.user_id = u.id
        cross join lateral follow_totals_seen_by(${viewerId}::uuid, u.id) t
        cross join lateral (select exists (select from blocks b where b.blocker_id = ${viewerId}::uuid and b.blocked_id = u.id) as is_there) mine
        left join follows edge on edge.follower_id = ${viewerId}::uuid and edge.followee_id = u.id
        left join privacy_settings ps on ps.user_id = u.id
        left join social_profiles p on p.user_id = u.id
        where u.id = coalesce(
          ${id}::uuid,
          (select n.id from users n where lower(n.username) collate "C" = lower(${username}::text)),
          (select f.user_id from former_usernames f where lower(f.username) collate "C" = lower(${username}::text) and f.kept_until > now() limit 1)
        )`,
  );
  return found === undefined ? undefined : withPrivacy<ProfileRow>(found);
}

/**
 * Many people by id, in no order, absent ones left out. Without counters: lists show them only where asked, through a loader.
 *
 * What is between the viewer and each, and their settings, are scalar subqueries: each one probe of a key. With joins and EXISTS the plan
 * for whichever viewer, which PostgreSQL keeps, took the viewer to follow and block about ten, and read all whom they do to make a hash of
 * them: 3,000 rows for a page of 20. OFFSET 0 keeps the subquery together, so that each is asked once.
 */
export async function selectPeople(on: Db | Tx, viewerId: string, ids: readonly string[]): Promise<PersonRow[]> {
  const found = await rows<Stored<PersonRow>>(
    on,
    sql`select u.id, u.username, u.display_name, u.avatar_url, u.bio, u.version, u.created_at, u.updated_at, s.status, s.limited,
          (select privacy_of(ps) from privacy_settings ps where ps.user_id = u.id) as privacy,
          tie.blocking, tie.blocking or tie.blocked_by as blocked,
          coalesce(tie.state = 'accepted', false) as follows, coalesce(tie.state = 'requested', false) as requested, tie.follows_you
        from users u
        join user_standings s on s.user_id = u.id
        cross join lateral (
          select coalesce((select true from blocks b where b.blocker_id = ${viewerId}::uuid and b.blocked_id = u.id), false) as blocking,
            coalesce((select true from blocks b where b.blocker_id = u.id and b.blocked_id = ${viewerId}::uuid), false) as blocked_by,
            (select f.state from follows f where f.follower_id = ${viewerId}::uuid and f.followee_id = u.id) as state,
            coalesce((select f.state = 'accepted' from follows f where f.follower_id = u.id and f.followee_id = ${viewerId}::uuid), false) as follows_you
          offset 0
        ) tie
        where u.id = any (${ids}::uuid[])`,
  );
  return found.map(withPrivacy<PersonRow>);
}

/** The social service's figures of many, for lists that ask for them; who has none is not in it. */
export async function selectSocial(on: Db, userIds: readonly string[]): Promise<ReadonlyMap<string, SocialColumns>> {
  const found = await rows<SocialColumns & { readonly id: string }>(
    on,
    sql`select p.user_id as id, p.posts_count, p.reactions_count, p.source_time as social_as_of
        from social_profiles p where p.user_id = any (${userIds}::uuid[])`,
  );
  return new Map(found.map((social) => [social.id, social]));
}
