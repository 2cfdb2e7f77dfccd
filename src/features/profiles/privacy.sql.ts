/** Every statement on `privacy_settings` alone. */

import type { Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import { PRESETS, type Privacy } from "#src/policy/privacy";

/** Somebody's settings; those of everybody where they never set any. */
export async function selectPrivacy(on: Db | Tx, userId: string): Promise<Privacy> {
  const found = await row<{ privacy: Privacy }>(
    on,
    sql`select privacy_of(s) as privacy from privacy_settings s where s.user_id = ${userId}::uuid`,
  );
  return found?.privacy ?? PRESETS.open;
}

/** Line 5 of the lock order. */
export async function writePrivacy(tx: Tx, userId: string, privacy: Privacy): Promise<void> {
  await affected(
    tx,
    sql`insert into privacy_settings as s
          (user_id, profile, email, followers_list, following_list, last_seen, typing, discoverable, messages, require_follow_approval)
        values (${userId}::uuid, ${privacy.profile}, ${privacy.email}, ${privacy.followersList}, ${privacy.followingList}, ${privacy.lastSeen},
          ${privacy.typing}, ${privacy.discoverable}, ${privacy.messages}, ${privacy.requireFollowApproval})
        on conflict (user_id) do update set
          profile = excluded.profile, email = excluded.email, followers_list = excluded.followers_list,
          following_list = excluded.following_list, last_seen = excluded.last_seen, typing = excluded.typing,
          discoverable = excluded.discoverable, messages = excluded.messages,
          require_follow_approval = excluded.require_follow_approval, updated_at = now()`,
  );
}
