/** Whom to suggest: friends of friends, popular people, and the only writer of `suggestion_dismissals`. */

import type { Db } from "#src/db/pool";
import { affected, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Viewer } from "#src/policy/decide";

/** Someone to suggest, and who of those followed follows them: two at most, and how many. */
export interface FriendOfFriends {
  readonly id: string;
  readonly by: string[];
  readonly count: number;
}

/** Who is followed: the newest of the viewer's. */
const FRIENDS = 200;
/** Whom each of them follows: the newest of theirs. */
const OF_EACH = 40;
/** The popular that are looked at. */
const POPULAR = 200;

/**
 * Friends of friends, those followed by most first: at most 8,000 edges, read by follows_following, whoever asks. A friend counts
 * where the viewer may see whom that friend follows, so that a suggestion tells nothing their list would not.
 *
 * Candidates are counted and sorted first and then asked for one after the other until there are enough. Any edge keeps somebody
 * out, ended ones too: who unfollowed, was refused or removed is not sent there again.
 */
export async function selectFriendsOfFriends(on: Db, viewer: Viewer, limit: number): Promise<FriendOfFriends[]> {
  return await rows<FriendOfFriends>(
    on,
    sql`with newest as materialized (
          select f.followee_id as id, f.changed_at
          from follows f
          where f.follower_id = ${viewer.userId}::uuid and f.state = 'accepted'
          order by f.changed_at desc, f.followee_id desc
          limit ${FRIENDS}
        ), friends as materialized (
          select n.id, n.changed_at
          from newest n
          where (select p.whole from people_seen_by(${viewer.userId}::uuid, ${viewer.role}) p where p.id = n.id)
            and (${viewer.role} in ('moderator', 'admin')
              or coalesce((select s.following_list from privacy_settings s where s.user_id = n.id), 'everyone') <> 'nobody')
        )
        select c.id, c.by, c.count
        from (
          select theirs.followee_id as id, count(*) as count, (array_agg(friends.id order by friends.changed_at desc, friends.id desc))[1:2] as by
          from friends
          cross join lateral (
            select f.followee_id
            from follows f
            where f.follower_id = friends.id and f.state = 'accepted'
            order by f.changed_at desc, f.followee_id desc
            limit ${OF_EACH}
          ) theirs
          group by theirs.followee_id
          order by count(*) desc, theirs.followee_id
        ) c
        where (select suggestible_to(${viewer.userId}::uuid, ${viewer.role}, c.id))
        order by c.count desc, c.id
        limit ${limit}`,
  );
}

/** Those with most followers, of people who show these to everybody: at most 200 are looked at. Served by follow_counts_popular. */
export async function selectPopular(on: Db, viewer: Viewer, limit: number): Promise<{ readonly id: string }[]> {
  return await rows<{ id: string }>(
    on,
    sql`select c.id
        from (
          select user_id as id, followers_count
          from follow_counts
          where followers_count >= 10
          order by followers_count desc, user_id
          limit ${POPULAR}
        ) c
        where coalesce(
            (select s.profile = 'everyone' and s.followers_list = 'everyone' from privacy_settings s where s.user_id = c.id),
            true
          )
          and (select suggestible_to(${viewer.userId}::uuid, ${viewer.role}, c.id))
        order by c.followers_count desc, c.id
        limit ${limit}`,
  );
}

/** Whom somebody dismisses, and how. */
export interface Dismissal {
  readonly userId: string;
  readonly dismissedId: string;
  readonly days: number;
  /** So many stand at a time; those that would end first give way. */
  readonly most: number;
}

/** Dismisses, or begins its time anew. */
export async function writeDismissal(tx: Tx, { userId, dismissedId, days, most }: Dismissal): Promise<void> {
  await affected(
    tx,
    sql`insert into suggestion_dismissals (user_id, dismissed_id, until)
        values (${userId}::uuid, ${dismissedId}::uuid, now() + ${days}::int * interval '1 day')
        on conflict (user_id, dismissed_id) do update set until = excluded.until`,
  );
  await affected(
    tx,
    sql`delete from suggestion_dismissals d
        using (
          select user_id, dismissed_id from suggestion_dismissals where user_id = ${userId}::uuid
          order by until desc, dismissed_id offset ${most}
        ) over
        where d.user_id = over.user_id and d.dismissed_id = over.dismissed_id`,
  );
}

export async function deleteEndedDismissals(on: Db): Promise<void> {
  await affected(on, sql`delete from suggestion_dismissals where until <= now()`);
}
