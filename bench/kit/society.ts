/** A society of any size: people with names of many scripts, follows that are as unequal as in life, blocks, mutes, settings, restrictions. */

import type pg from "pg";
import { systemClock } from "#src/kernel/clock";
import { copyIn, linesInChunks } from "./copy.ts";
import { followRows, isReserved, starsOf, VIEWERS } from "./follow-rows.ts";
import { chanceFrom, nameOf } from "./names.ts";
import { seedSessions, userIdOf, USER_ID } from "./seed.ts";

/** Of each person, on average. */
const FOLLOWS = 20;
/** Viewers who have blocked, muted and dismissed many. */
const CAREFUL = 10;
const CAREFUL_ABOUT = 2_000;

/** Persons 1 to `VIEWERS` have a session; `stars` are followed by everybody else. */
export interface Society {
  readonly people: number;
  readonly follows: number;
  readonly stars: readonly number[];
  readonly seconds: number;
}

/**
 * Puts it into a migrated database of nobody, the same for the same number. Rows come by COPY, indexes of what is large after its rows,
 * counters from the rows that are there. Statistics are left to the caller.
 * @param admin a superuser: foreign keys and triggers, which hold, are not asked, or a million people took minutes
 */
export async function seedSociety(admin: pg.Client, people: number): Promise<Society> {
  const startMs = systemClock.monotonicMs();
  const stars = starsOf(people);
  await admin.query("set session_replication_role = replica");
  await admin.query("set synchronous_commit = off");
  await admin.query("set maintenance_work_mem = '512MB'");
  await admin.query("set work_mem = '256MB'");
  await admin.query("select setseed(0.5)");
  await withIndexesAfter(admin, "users", () =>
    copyIn(
      admin,
      "copy users (id, username, email, display_name, bio, status, status_valid_until, limited, created_at) from stdin",
      linesInChunks(userLines(people)),
    ),
  );
  const follows = await withIndexesAfter(admin, "follows", () =>
    copyIn(
      admin,
      "copy follows (follower_id, followee_id, state, changed_at) from stdin (format binary)",
      followRows(people, people * FOLLOWS),
    ),
  );
  await seedRest(admin, people, stars);
  await seedSessions(admin, { from: 1, count: Math.min(VIEWERS, people) });
  return { people, follows, stars, seconds: (systemClock.monotonicMs() - startMs) / 1000 };
}

/** Drops what can be dropped of a table's indexes (none that a foreign key needs), and makes them again when `fill` is done. */
async function withIndexesAfter<Result>(admin: pg.Client, table: string, fill: () => Promise<Result>): Promise<Result> {
  const { rows } = await admin.query<{ drop: string; make: string }>(
    `select case when c.oid is null then format('drop index %s', i.indexrelid::regclass) else format('alter table %s drop constraint %I', i.indrelid::regclass, c.conname) end as drop,
       case when c.oid is null then pg_get_indexdef(i.indexrelid) else format('alter table %s add constraint %I %s', i.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) end as make
     from pg_index i
     left join pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u')
     where i.indrelid = $1::regclass
       and not exists (select from pg_constraint f where f.conindid = i.indexrelid and f.contype = 'f')
     order by i.indexrelid`,
    [table],
  );
  for (const { drop } of rows) await admin.query(drop);
  const result = await fill();
  for (const { make } of rows) await admin.query(make);
  return result;
}

/** A few in a hundred are banned, suspended, gone, not to be found, or suspended until a moment that is past. */
function* userLines(people: number): Generator<string> {
  const chance = chanceFrom(people);
  for (let number = 1; number <= people; number += 1) {
    const { username, displayName } = nameOf(chance, number);
    const standing = isReserved(number, people) ? "active\t\\N\t{}" : standingFor(chance());
    const since = new Date(Date.UTC(2024, 0, 1) + (number / people) * 2 * 365 * 86_400_000).toISOString();
    yield `${userIdOf(number)}\t${username}\tperson${number}@example.com\t${displayName}\tI am number ${number}\t${standing}\t${since}\n`;
  }
}

/** Status, until when, and limits, as COPY takes them. */
function standingFor(share: number): string {
  if (share < 0.004) return "banned\t\\N\t{}";
  if (share < 0.008) return "suspended\t2100-01-01\t{}";
  if (share < 0.011) return "suspended\t2025-06-01\t{}";
  if (share < 0.016) return "deactivated\t\\N\t{}";
  if (share < 0.021) return "active\t\\N\t{be_found}";
  return "active\t\\N\t{}";
}

async function seedRest(admin: pg.Client, people: number, stars: readonly number[]): Promise<void> {
  const reserved = [...stars, ...Array.from({ length: VIEWERS }, (_, place) => place + 1)].map(userIdOf);
  await admin.query(`insert into restrictions (id, user_id, kind, capabilities, reason, reason_policy, starts_at, expires_at)
    select gen_random_uuid(), id, case when status = 'banned' then 'ban' when status = 'suspended' then 'suspend' else 'limit' end, limited, 'spam', '1',
      '2025-01-01', status_valid_until
    from users where status in ('banned', 'suspended') or limited <> '{}'`);
  await admin.query(
    `insert into privacy_settings (user_id, profile, followers_list, following_list, last_seen, discoverable, require_follow_approval)
     select ${USER_ID}, case when n % 16 = 5 then 'followers' else 'everyone' end, kind.list, kind.list, kind.list,
       case when n % 32 = 9 then 'nobody' else 'everyone' end, n % 16 = 5
     from generate_series(1, $1::int) n
     cross join lateral (select case when n % 16 = 5 then 'followers' when n % 32 = 9 then 'nobody' else 'everyone' end as list) kind
     where (n % 16 = 5 or n % 32 = 9 or n % 64 = 17) and not (${USER_ID} = any ($2::uuid[]))`,
    [people, reserved],
  );
  await seedPairs(admin, people, reserved);
  await admin.query(`insert into social_profiles (user_id, version, posts_count, reactions_count, source_time)
    select id, 1, 10, 100, now() - interval '1 day' from users where hashtext(id::text) % 2 = 0`);
  await admin.query(`insert into follow_counts (user_id, followers_count, following_count)
    select coalesce(i.id, o.id), coalesce(i.count, 0), coalesce(o.count, 0)
    from (select followee_id as id, count(*) from follows where state = 'accepted' group by followee_id) i
    full join (select follower_id as id, count(*) from follows where state = 'accepted' group by follower_id) o on o.id = i.id`);
}

/** Blocks, which end edges, mutes and dismissals: few of most, thousands of some. Nobody reserved is blocked. */
async function seedPairs(admin: pg.Client, people: number, reserved: readonly string[]): Promise<void> {
  const about = Math.min(CAREFUL_ABOUT, Math.floor(people / 4));
  const pairs = (columns: string): string => `
    select ${columns} from (
      select ${USER_ID} as one, ('01930000-0000-7000-8000-' || lpad(to_hex(1 + floor(random() * $1::int)::int), 12, '0'))::uuid as other,
        now() - random() * interval '300 days' as moment
      from (
        select 1 + floor(random() * $1::int)::int as n from generate_series(1, $1::int / 3)
        union all
        select person from generate_series(1, ${CAREFUL}) person, generate_series(1, $2::int)
      ) who
    ) pair where one <> other and not (other = any ($3::uuid[]))
    on conflict do nothing`;
  const values = [people, about, reserved];
  await admin.query(`insert into blocks (blocker_id, blocked_id, created_at) ${pairs("one, other, moment")}`, values);
  await admin.query(`insert into mutes (muter_id, muted_id, created_at, notifications) ${pairs("one, other, moment, true")}`, values);
  await admin.query(
    `insert into suggestion_dismissals (user_id, dismissed_id, until) ${pairs("one, other, moment + interval '1 year'")}`,
    values,
  );
  await admin.query("analyze follows, blocks");
  for (const [one, other] of [
    ["blocker_id", "blocked_id"],
    ["blocked_id", "blocker_id"],
  ]) {
    await admin.query(
      `update follows f set state = 'gone', edge_version = 2 from blocks b where f.follower_id = b.${one} and f.followee_id = b.${other} and f.state <> 'gone'`,
    );
  }
}
