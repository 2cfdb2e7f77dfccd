/** The statements of rotation. `refresh_tokens` has one row a session: the newest token and its two predecessors. */

import { batched } from "#src/db/coalesce";
import { isRetryable } from "#src/db/errors";
import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Role } from "#src/kernel/actor";

/** Of the one caller that made the successor. */
export interface Rotated {
  readonly userId: string;
  readonly roles: readonly Role[];
  /** What is left of the session's longest life. */
  readonly secondsLeft: number;
}

/** @param token the newest token of a new session */
export async function insertRefreshToken(tx: Tx, token: { readonly sessionId: string; readonly hash: Buffer }): Promise<void> {
  await affected(tx, sql`insert into refresh_tokens (session_id, token_hash) values (${token.sessionId}::uuid, ${token.hash})`);
}

/** A presented token and what shall follow it. */
export interface Rotation {
  readonly sessionId: string;
  readonly hash: Buffer;
  readonly successorHash: Buffer;
  readonly sealed: Buffer;
  /** How old the newest token may be. */
  readonly idleDays: number;
}

/**
 * Rotates, or gives nothing to whom did not win. Atomic: of many at once that present one token one makes the successor; the
 * others wait for the row, find another hash in it and change nothing. Rotations asked for at the same moment share a statement.
 */
export const rotate = batched<Rotation, Rotated | undefined>(rotateMany);

/**
 * In order of sessions, so that two processes with the same sessions do not deadlock; should they all the same, PostgreSQL
 * undoes one of the two and its rotations go one by one.
 */
async function rotateMany(db: Db, rotations: readonly Rotation[]): Promise<(Rotated | undefined)[]> {
  const inOrder = rotations.toSorted((one, other) => (one.sessionId < other.sessionId ? -1 : 1));
  try {
    const won = await rotateTogether(db, inOrder);
    return rotations.map((rotation) => won.get(rotation));
  } catch (error) {
    if (rotations.length === 1 || !isRetryable((error as Error).cause)) throw error;
    const results: (Rotated | undefined)[] = [];
    for (const rotation of rotations) results.push((await rotateTogether(db, [rotation])).get(rotation));
    return results;
  }
}

/**
 * Everything that must stand is in the statement, and no indexed column changes, so each update stays in its page.
 * `last_seen_at` is written at most once a minute, and not where somebody holds the session's row: one frozen transaction
 * must not keep others waiting here.
 */
async function rotateTogether(db: Db, rotations: readonly Rotation[]): Promise<ReadonlyMap<Rotation, Rotated>> {
  const won = await rows<{ place: number; user_id: string; roles: Role[]; seconds_left: number }>(
    db,
    sql`with wanted as (
          select * from unnest(${rotations.map((_, place) => place)}::integer[], ${rotations.map((one) => one.sessionId)}::uuid[],
            ${rotations.map((one) => one.hash)}::bytea[], ${rotations.map((one) => one.successorHash)}::bytea[],
            ${rotations.map((one) => one.sealed)}::bytea[],
            ${rotations.map((one) => one.idleDays)}::integer[]) as w (place, session_id, hash, successor_hash, sealed, idle_days)
        ), rotated as (
          update refresh_tokens r set
            generation = r.generation + 1, token_hash = w.successor_hash, made_at = now(),
            parent_hash = r.token_hash, sealed = w.sealed,
            grandparent_hash = r.parent_hash, parent_sealed = r.sealed
          from wanted w
          join sessions s on s.id = w.session_id
          join users u on u.id = s.user_id
          join user_standings st on st.user_id = s.user_id
          where r.session_id = w.session_id and r.token_hash = w.hash
            and s.revoked_at is null and s.expires_at > now() and r.made_at > now() - make_interval(days => w.idle_days)
            and st.status = 'active' and s.created_at > st.sessions_valid_from
          returning w.place, s.id, s.user_id, u.roles, s.last_seen_at, s.expires_at
        ), seen as (
          update sessions s set last_seen_at = now()
          where s.id in (
            select due.id from sessions due join rotated on rotated.id = due.id
            where rotated.last_seen_at < now() - interval '1 minute' for update of due skip locked
          )
        )
        select place, user_id, roles, extract(epoch from expires_at - now())::float8 as seconds_left from rotated`,
  );
  return new Map(
    won.flatMap(({ place, user_id: userId, roles, seconds_left: secondsLeft }) => {
      const rotation = rotations[place];
      return rotation === undefined ? [] : [[rotation, { userId, roles, secondsLeft }] as const];
    }),
  );
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
