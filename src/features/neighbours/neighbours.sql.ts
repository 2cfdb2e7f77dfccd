/** Writes of `social_profiles`. */

import { row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** Figures of one version. */
export interface SocialStats {
  readonly userId: string;
  readonly version: number;
  readonly postsCount: number;
  /** Null: it was not said. */
  readonly reactionsCount: number | null;
  /** When they were so; null where it was not said, then it is now. */
  readonly sourceTime: Date | null;
}

export type Written = "applied" | "older" | "erased" | "unknown-user";

/**
 * Writes the figures unless there are some of the same or a higher version. An erased account gets none.
 * A neighbour's clock may be wrong; figures are never from the future, nor from before 1970.
 */
export async function writeSocialStats(tx: Tx, stats: SocialStats): Promise<Written> {
  const found = await row<{ became: Written }>(
    tx,
    sql`with account as (
          select id, status = 'erased' as is_erased from users where id = ${stats.userId}::uuid
        ), applied as (
          insert into social_profiles as p (user_id, version, posts_count, reactions_count, source_time)
          select id, ${stats.version}::bigint, ${stats.postsCount}::bigint, ${stats.reactionsCount}::bigint,
            greatest('epoch', least(coalesce(${stats.sourceTime}::timestamptz, now()), now()))
          from account where not is_erased
          on conflict (user_id) do update set version = excluded.version, posts_count = excluded.posts_count,
            reactions_count = excluded.reactions_count, source_time = excluded.source_time, received_at = now()
          where p.version < excluded.version
          returning 1
        )
        select case
          when not exists (select from account) then 'unknown-user'
          when (select is_erased from account) then 'erased'
          when exists (select from applied) then 'applied'
          else 'older' end as became`,
  );
  if (found === undefined) throw new Error("a select of one row gave none");
  return found.became;
}
