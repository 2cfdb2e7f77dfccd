/** The statements of rotation. `refresh_tokens` has one row a session: the newest token and its two predecessors. */

import type { Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Role } from "#src/kernel/actor";

/** Of the one caller that made the successor. */
export interface Rotated {
  readonly userId: string;
  readonly roles: readonly Role[];
}

/** @param token the newest token of a new session */
export async function insertRefreshToken(tx: Tx, token: { readonly sessionId: string; readonly hash: Buffer }): Promise<void> {
  await affected(tx, sql`insert into refresh_tokens (session_id, token_hash) values (${token.sessionId}::uuid, ${token.hash})`);
}

/**
 * One statement, so one of many at once makes the successor: the others wait for the row, find another hash in it and
 * change nothing. Everything that must stand is in the statement, and no indexed column changes, so the update stays in
 * its page. `last_seen_at` is written at most once a minute.
 */
export async function rotate(
  db: Db,
  change: { readonly sessionId: string; readonly hash: Buffer; readonly successorHash: Buffer; readonly sealed: Buffer },
): Promise<Rotated | undefined> {
  const won = await row<{ user_id: string; roles: Role[] }>(
    db,
    sql`with rotated as (
          update refresh_tokens r set
            generation = r.generation + 1, token_hash = ${change.successorHash}, made_at = now(),
            parent_hash = r.token_hash, sealed = ${change.sealed},
            grandparent_hash = r.parent_hash, parent_sealed = r.sealed
          from sessions s
          join users u on u.id = s.user_id
          join user_standings st on st.user_id = s.user_id
          where r.session_id = ${change.sessionId}::uuid and r.token_hash = ${change.hash} and s.id = r.session_id
            and s.revoked_at is null and s.expires_at > now() and r.made_at > now() - interval '30 days'
            and st.status = 'active' and s.created_at > st.sessions_valid_from
          returning s.id, s.user_id, u.roles, s.last_seen_at
        ), seen as (
          update sessions s set last_seen_at = now() from rotated
          where s.id = rotated.id and rotated.last_seen_at < now() - interval '1 minute'
        )
        select user_id, roles from rotated`,
  );
  return won === undefined ? undefined : { userId: won.user_id, roles: won.roles };
}

/** What is stored of a session's tokens, with ages in seconds by the database's clock. */
export interface StoredTokens {
  readonly generation: number;
  readonly tokenHash: Buffer;
  readonly parentHash: Buffer | null;
  readonly sealed: Buffer | null;
  readonly grandparentHash: Buffer | null;
  readonly parentSealed: Buffer | null;
  /** How long ago the newest token was made, which is when its parent was first used. */
  readonly madeSecondsAgo: number;
}

/** The stored tokens of a session; nothing when it has none. */
export async function selectTokens(db: Db, sessionId: string): Promise<StoredTokens | undefined> {
  const found = await row<{
    generation: number;
    token_hash: Buffer;
    parent_hash: Buffer | null;
    sealed: Buffer | null;
    grandparent_hash: Buffer | null;
    parent_sealed: Buffer | null;
    made_seconds_ago: number;
  }>(
    db,
    sql`select generation, token_hash, parent_hash, sealed, grandparent_hash, parent_sealed,
          extract(epoch from clock_timestamp() - made_at)::float8 as made_seconds_ago
        from refresh_tokens where session_id = ${sessionId}::uuid`,
  );
  if (found === undefined) return undefined;
  return {
    generation: found.generation,
    tokenHash: found.token_hash,
    parentHash: found.parent_hash,
    sealed: found.sealed,
    grandparentHash: found.grandparent_hash,
    parentSealed: found.parent_sealed,
    madeSecondsAgo: found.made_seconds_ago,
  };
}
