/** That lists, search, profiles and suggestions are read by indexes, however many people there are: the statements that the use cases send, explained. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import pg from "pg";
import { recorded } from "../../bench/kit/recording.ts";
import { userIdOf, USER_ID } from "../../bench/kit/seed.ts";
import { selectUser, selectUsers } from "#src/features/admin/admin.sql";
import { search } from "#src/features/discovery/search";
import { suggest } from "#src/features/discovery/suggestions";
import { countsOf } from "#src/features/graph/counts.sql";
import { listFollowers, listFollowing } from "#src/features/graph/follow-lists";
import { listBlocks, listMutes, listRequests } from "#src/features/graph/own-lists";
import { readFacets, readProfile } from "#src/features/profiles/people";
import { selectSocial } from "#src/features/profiles/profiles.sql";
import { encodeCursor } from "#src/kernel/page";
import { ranBy, type Ran } from "../kit/plans.ts";
import { actorOf, socialKit, type SocialKit } from "../kit/social.ts";

const PEOPLE = 20_000;
/** Followed by everybody, or asked by them; follows 3,000. */
const STAR = userIdOf(1);
/** Follows 1,000, has blocked 2,000 and muted 2,000 others. */
const VIEWER = userIdOf(2);
/** Follows nobody. */
const STRANGER = userIdOf(PEOPLE + 1);
const viewer = actorOf({ id: VIEWER });
const star = actorOf({ id: STAR });
const limit = 20;

/** The rest are seldom of more than a handful of rows. */
const BIG = ["users", "follows", "follow_counts", "blocks", "mutes", "privacy_settings", "restrictions", "social_profiles"];

let kit: SocialKit;
let client: pg.Client;

beforeAll(async () => {
  kit = await socialKit({ maxConnections: 1 });
  client = new pg.Client({ connectionString: kit.adminUrl });
  await client.connect();
  await client.query("set session_replication_role = replica");
  await client.query(SEED);
  await client.query("vacuum analyze");
}, 120_000);

afterAll(async () => {
  await client.end();
  await kit[Symbol.asyncDispose]();
});

const other = `('01930000-0000-7000-8000-' || lpad(to_hex(1 + floor(random() * ${PEOPLE})::int), 12, '0'))::uuid`;

const SEED = `
  select setseed(0.5);
  insert into users (id, username, email, display_name, status, status_valid_until)
  select ${USER_ID}, 'person' || n, 'person' || n || '@example.com',
    (array['Maria', 'Márta', 'Martin', 'Michael', 'Мария', 'محمد', '王伟', 'Zoë', 'José', 'Łukasz'])[1 + n % 10] || ' '
      || (array['Silva', 'Müller', 'Novák', 'Kovács', 'Иванов', 'Smith', 'Nguyễn'])[1 + n % 7] || ' ' || substr(md5(n::text), 1, 6),
    case when n % 100 = 7 then 'suspended' else 'active' end, case when n % 100 = 7 then now() - interval '1 day' end
  from generate_series(1, ${PEOPLE + 1}) n;

  insert into follows (follower_id, followee_id, state, changed_at)
  select one, other, case when other = '${STAR}' and nth > 15000 then 'requested' else 'accepted' end, now() - random() * interval '300 days'
  from (
    select ${USER_ID} as one, ${other} as other, 0 as nth from generate_series(3, ${PEOPLE}) n, generate_series(1, 9)
    union all select ${USER_ID}, '${STAR}', n from generate_series(2, ${PEOPLE}) n
    union all select '${STAR}', ${USER_ID}, 0 from generate_series(3, 3000) n
    union all select '${VIEWER}', ${USER_ID}, 0 from generate_series(3, 1000) n
  ) edge where one <> other and not (other = '${STAR}' and nth = 0)
  on conflict do nothing;

  insert into follow_counts (user_id, followers_count, following_count)
  select person, sum(followers), sum(following)
  from (select followee_id, 1, 0 from follows where state = 'accepted' union all select follower_id, 0, 1 from follows where state = 'accepted') edge (person, followers, following)
  group by person;

  insert into blocks (blocker_id, blocked_id, created_at)
  select one, other, now() - random() * interval '300 days'
  from (
    select ${USER_ID} as one, ${other} as other from generate_series(3, ${PEOPLE}) n
    union all select '${VIEWER}', ${USER_ID} from generate_series(15001, 17000) n
  ) pair where one <> other and other not in ('${STAR}', '${VIEWER}') on conflict do nothing;

  insert into mutes (muter_id, muted_id, created_at, notifications)
  select one, other, now() - random() * interval '300 days', true
  from (
    select ${USER_ID} as one, ${other} as other from generate_series(3, ${PEOPLE}) n
    union all select '${VIEWER}', ${USER_ID} from generate_series(17001, 19000) n
  ) pair where one <> other on conflict do nothing;

  insert into suggestion_dismissals (user_id, dismissed_id, until)
  select one, other, now() + interval '30 days' from (select ${USER_ID} as one, ${other} as other from generate_series(1, ${PEOPLE}) n) pair
  where one <> other on conflict do nothing;

  insert into privacy_settings (user_id, profile, discoverable)
  select ${USER_ID}, 'followers', 'everyone' from generate_series(3, ${PEOPLE}) n where n % 4 = 0;

  insert into restrictions (id, user_id, kind, reason, reason_policy, starts_at, expires_at)
  select gen_random_uuid(), ${USER_ID}, 'suspend', 'spam', '1', now() - interval '2 days', now() - interval '1 day' from generate_series(3, ${PEOPLE}) n;

  insert into social_profiles (user_id, version, posts_count, reactions_count, source_time)
  select ${USER_ID}, 1, 5, 5, now() from generate_series(1, ${PEOPLE}) n;

  insert into former_usernames (id, user_id, username, kept_until)
  select gen_random_uuid(), ${USER_ID}, 'was' || n, now() + interval '80 days' from generate_series(1, ${PEOPLE}) n;
`;

/** A cursor of a list, so many rows from its begin. */
async function cursorAt(list: string, ownerId: string, rows: number): Promise<string> {
  const [from, where, id] = {
    followers: ["follows", "followee_id = $1 and state = 'accepted'", "follower_id"],
    following: ["follows", "follower_id = $1 and state = 'accepted'", "followee_id"],
    requests: ["follows", "followee_id = $1 and state = 'requested'", "follower_id"],
    blocks: ["blocks", "blocker_id = $1", "blocked_id"],
    mutes: ["mutes", "muter_id = $1", "muted_id"],
  }[list] as [string, string, string];
  const at = from === "follows" ? "changed_at" : "created_at";
  const { rows: found } = await client.query<{ us: string; id: string }>(
    `select (extract(epoch from ${at}) * 1000000)::bigint::text as us, ${id} as id from ${from} where ${where} order by ${at} desc, ${id} desc offset $2 limit 1`,
    [ownerId, rows],
  );
  const [place] = found;
  if (place === undefined) throw new Error(`${list} has no row ${rows}`);
  return encodeCursor(`${list}:${ownerId}`, [place.us, place.id]);
}

/** What is done, and at most how many rows it may put in order, and look at in one place. */
interface Case {
  readonly sorted: number;
  readonly read: number;
  readonly work: () => Promise<unknown>;
}

const everybody = { status: undefined, role: undefined, emailVerified: undefined, beforeId: undefined, limit };

// The lists of several people are put in order together, a page each: never more than was taken of the index.
const page = { sorted: limit + 1, read: 150 };

const CASES: Readonly<Record<string, Case>> = {
  // More than half of all begin so. Up to 1,001 are counted, and some in ten are not for the viewer, whose 2,000 blocks may be read at once
  // rather than asked for one by one.
  "search by a prefix of usernames": { sorted: 50, read: 2_100, work: () => search(kit, { viewer, prefix: "person1", limit }) },
  "search by a prefix of display names": { sorted: 50, read: 2_100, work: () => search(kit, { viewer, prefix: "mar", limit }) },
  "search by a prefix, page 40": { sorted: 1_000, read: 2_100, work: () => search(kit, { viewer, prefix: "mar", limit, page: 40 }) },
  "search by a prefix, from a username on": {
    sorted: 50,
    read: 2_100,
    work: () => search(kit, { viewer, prefix: "person1", limit, cursor: encodeCursor("search:person1", ["1", "person15000", STAR]) }),
  },
  "search by a prefix, from a display name on": {
    sorted: 50,
    read: 2_100,
    work: () => search(kit, { viewer, prefix: "mar", limit, cursor: encodeCursor("search:mar", ["2", "maria smith", STAR]) }),
  },
  // One name in ten: 2,000 candidates of all are looked at, and put in order.
  "search with a typo in a name that very many bear": {
    sorted: 2_000,
    read: 8_000,
    work: () => search(kit, { viewer, prefix: "Micheal", limit }),
  },
  "search with a typo in a rare name": { sorted: 2_000, read: 2_000, work: () => search(kit, { viewer, prefix: "pesron12345", limit }) },
  followers: { ...page, work: () => listFollowers(kit, { viewer, ownerId: STAR, limit, cursor: undefined }) },
  "followers, in the middle": {
    ...page,
    work: async () => await listFollowers(kit, { viewer, ownerId: STAR, limit, cursor: await cursorAt("followers", STAR, 7_000) }),
  },
  "followers, the last page": {
    ...page,
    work: async () => await listFollowers(kit, { viewer, ownerId: STAR, limit, cursor: await cursorAt("followers", STAR, 14_500) }),
  },
  "one's own followers": { ...page, work: () => listFollowers(kit, { viewer: star, ownerId: STAR, limit, cursor: undefined }) },
  following: { ...page, work: () => listFollowing(kit, { viewer, ownerId: STAR, limit, cursor: undefined }) },
  "following, in the middle": {
    ...page,
    work: async () => await listFollowing(kit, { viewer, ownerId: STAR, limit, cursor: await cursorAt("following", STAR, 1_500) }),
  },
  "a profile by id": { ...page, read: 5, work: () => readProfile(kit, { viewer, idOrUsername: userIdOf(107) }) },
  "a profile by username": { ...page, read: 5, work: () => readProfile(kit, { viewer, idOrUsername: "Person71" }) },
  "a profile by a name that was left": { ...page, read: 5, work: () => readProfile(kit, { viewer, idOrUsername: "was72" }) },
  // 200 friends, 40 of each.
  "suggestions from friends of friends": { sorted: 8_000, read: 8_000, work: () => suggest(kit, { viewer, limit }) },
  "suggestions of popular people": { ...page, read: 200, work: () => suggest(kit, { viewer: actorOf({ id: STRANGER }), limit }) },
  "requests to follow": { ...page, work: () => listRequests(kit, { viewer: star, limit, cursor: undefined }) },
  "requests to follow, in the middle": {
    ...page,
    work: async () => await listRequests(kit, { viewer: star, limit, cursor: await cursorAt("requests", STAR, 2_500) }),
  },
  blocks: { ...page, work: () => listBlocks(kit, { viewer, limit, cursor: undefined }) },
  "blocks, in the middle": {
    ...page,
    work: async () => await listBlocks(kit, { viewer, limit, cursor: await cursorAt("blocks", VIEWER, 1_000) }),
  },
  mutes: { ...page, work: () => listMutes(kit, { viewer, limit, cursor: undefined }) },
  "mutes, in the middle": {
    ...page,
    work: async () => await listMutes(kit, { viewer, limit, cursor: await cursorAt("mutes", VIEWER, 1_000) }),
  },
  "counters and figures of a list": {
    ...page,
    work: async () => {
      const ids = Array.from({ length: 50 }, (_, place) => userIdOf(70 + place));
      await countsOf(kit.db, ids);
      await readFacets(kit, { viewer, ids });
      await selectSocial(kit.db, ids);
    },
  },
  "accounts for staff": { ...page, work: () => selectUsers(kit.db, { ...everybody, prefix: undefined }) },
  "accounts for staff, in the middle": {
    ...page,
    work: () => selectUsers(kit.db, { ...everybody, prefix: undefined, beforeId: userIdOf(9_000) }),
  },
  "accounts for staff by a prefix": { ...page, sorted: 250, work: () => selectUsers(kit.db, { ...everybody, prefix: "person123" }) },
  "accounts for staff by an address": { ...page, read: 5, work: () => selectUsers(kit.db, { ...everybody, prefix: "person107@" }) },
  "accounts for staff by a prefix that very many bear": {
    sorted: 2_000,
    read: 1_000,
    work: () => selectUsers(kit.db, { ...everybody, prefix: "person" }),
  },
  "an account for staff": { ...page, read: 5, work: () => selectUser(kit.db, userIdOf(107)) },
};

/** What of a case is not as it should be, in words. */
async function faultsOf(name: string, before?: string): Promise<string[]> {
  const one = CASES[name];
  if (one === undefined) throw new Error(`no case ${name}`);
  const statements = await recorded(one.work, () => ({}));
  expect(statements.length).toBeGreaterThan(0);
  const ran = await ranBy(client, statements, before);
  return ran.flatMap((statement) => faultsIn(statement, one));
}

function faultsIn({ text, plan, scanned, sorted, read }: Ran, bounds: Case): string[] {
  const which = `planned ${plan}: ${text.replaceAll(/\s+/g, " ").slice(0, 100)}`;
  return [
    ...scanned.filter((table) => BIG.includes(table)).map((table) => `reads all of ${table}, ${which}`),
    ...(sorted > bounds.sorted ? [`puts ${sorted} rows in order, ${which}`] : []),
    ...(read > bounds.read ? [`looks at ${read} rows, ${which}`] : []),
  ];
}

describe("the statements of lists, search, profiles and suggestions", () => {
  it.each(Object.keys(CASES))("read no table whole and sort no list: %s", async (name) => {
    expect(await faultsOf(name)).toEqual([]);
  });

  // That the test sees it.
  it.each([
    ["users_username_key", "search by a prefix of usernames"],
    ["users_username_key", "a profile by username"],
    ["users_display_name_folded", "search by a prefix of display names"],
    ["users_names_trigrams", "search with a typo in a rare name"],
    ["follows_followers", "followers, in the middle"],
    ["follows_following", "following, in the middle"],
    ["follow_counts_popular", "suggestions of popular people"],
    ["follows_requests", "requests to follow, in the middle"],
    ["blocks_newest", "blocks, in the middle"],
    ["mutes_newest", "mutes, in the middle"],
    ["restrictions_user", "a profile by id"],
    ["users_email_key", "accounts for staff by an address"],
  ])("need the index %s: %s", async (index, name) => {
    expect(await faultsOf(name, `drop index ${index}`)).not.toEqual([]);
  });
});
