/** People, their graph and their sessions, put there by INSERT … SELECT: what a service of some age has in its tables. */

import type pg from "pg";

/** Follows of each person. */
const FOLLOWS = 5;

/** Ids are counted, so that the bench knows them without reading them back. */
export function userIdOf(number: number): string {
  return `01930000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
}

export function sessionIdOf(number: number): string {
  return `01930000-0000-7000-9000-${number.toString(16).padStart(12, "0")}`;
}

/** The same in SQL, of a column `n`. */
export const USER_ID = `('01930000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`;
const SESSION_ID = `('01930000-0000-7000-9000-' || lpad(to_hex(n), 12, '0'))::uuid`;

/** People 1 to `count` who follow each other at random, with counters that are right. */
export async function seedPeople(client: pg.Client, count: number): Promise<void> {
  await client.query(
    `insert into users (id, username, email, display_name, bio)
     select ${USER_ID}, 'person' || n, 'person' || n || '@example.com', 'Person ' || n, 'I am number ' || n
     from generate_series(1, $1::int) n`,
    [count],
  );
  await client.query(
    `insert into follows (follower_id, followee_id, state)
     select ${USER_ID}, ('01930000-0000-7000-8000-' || lpad(to_hex(1 + (n + floor(random() * ($1::int - 1))::int) % $1::int), 12, '0'))::uuid, 'accepted'
     from generate_series(1, $1::int) n, generate_series(1, ${FOLLOWS})
     on conflict do nothing`,
    [count],
  );
  await client.query(
    `insert into follow_counts (user_id, followers_count, following_count)
     select person, sum(followers), sum(following)
     from (select followee_id, 1, 0 from follows union all select follower_id, 0, 1 from follows) edge (person, followers, following)
     group by person`,
  );
  await client.query(`insert into user_versions (user_id) select id from users`);
}

/** Which sessions to make: session n belongs to person n. */
export interface Sessions {
  readonly from: number;
  readonly count: number;
  /** When they were seen last; a refresh writes that down when it is more than a minute ago. */
  readonly seenMinutesAgo?: number;
}

/** Sessions as logins leave them. */
export async function seedSessions(client: pg.Client, sessions: Sessions): Promise<void> {
  await client.query(
    `insert into sessions (id, user_id, user_agent, address, created_at, last_seen_at, expires_at)
     select ${SESSION_ID}, ${USER_ID}, 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)', '203.0.113.7',
       now() - interval '1 hour', now() - make_interval(mins => $3::int), now() + interval '180 days'
     from generate_series($1::int, $1::int + $2::int - 1) n`,
    [sessions.from, sessions.count, sessions.seenMinutesAgo ?? 0],
  );
}

/** The newest refresh token of these sessions, by its hash. */
export async function seedRefreshTokens(client: pg.Client, from: number, hashes: readonly Buffer[]): Promise<void> {
  await client.query(
    `insert into refresh_tokens (session_id, token_hash, made_at)
     select ('01930000-0000-7000-9000-' || lpad(to_hex($1::int + at::int - 1), 12, '0'))::uuid, hash, now() - interval '15 minutes'
     from unnest($2::bytea[]) with ordinality as given (hash, at)`,
    [from, hashes],
  );
}

/** One password for people 1 to `count`. */
export async function seedPasswords(client: pg.Client, count: number, passwordHash: string): Promise<void> {
  await client.query(`insert into credentials (user_id, password_hash) select ${USER_ID}, $2 from generate_series(1, $1::int) n`, [
    count,
    passwordHash,
  ]);
}

/** What a copy of a bcrypt hash looks like; no password is right. */
const NO_PASSWORD = `$2b$12$${"n".repeat(53)}`;

/**
 * People 1 to `count`, each with a version, a password, a session and a refresh token that nobody has, but without a graph.
 * @param admin a superuser: foreign keys, which hold, are not looked at, or a million people took minutes
 */
export async function seedCrowd(admin: pg.Client, count: number): Promise<void> {
  await admin.query("set session_replication_role = replica");
  await admin.query("set synchronous_commit = off");
  await admin.query(
    `insert into users (id, username, email, display_name, bio)
     select ${USER_ID}, 'person' || n, 'person' || n || '@example.com', 'Person ' || n, 'I am number ' || n
     from generate_series(1, $1::int) n`,
    [count],
  );
  await admin.query(`insert into user_versions (user_id) select ${USER_ID} from generate_series(1, $1::int) n`, [count]);
  await seedPasswords(admin, count, NO_PASSWORD);
  await seedSessions(admin, { from: 1, count, seenMinutesAgo: 15 });
  await admin.query(
    `insert into refresh_tokens (session_id, token_hash, made_at)
     select ${SESSION_ID}, sha256(n::text::bytea), now() - interval '15 minutes' from generate_series(1, $1::int) n`,
    [count],
  );
}

/** Gives a person a role. */
export async function appoint(client: pg.Client, number: number, role: "moderator" | "admin"): Promise<void> {
  await client.query(`update users set roles = array['user', $2] where id = $1::uuid`, [userIdOf(number), role]);
}
