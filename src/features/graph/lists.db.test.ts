/** Lists of people over GraphQL: what they show, what they cost, what they refuse. */

import { describe, expect, it } from "@jest/globals";
import { affected, sql } from "#src/db/sql";
import type { Actor, Throttle } from "#src/kernel/actor";
import { encodeCursor } from "#src/kernel/page";
import { rateLimited } from "#src/http/http.errors";
import { Problem } from "#src/kernel/problem";
import { askGraphql } from "../../../test/kit/graphql.ts";
import { people, type Person } from "../../../test/kit/people.ts";
import { actorOf, block, restrict, socialKit, type SocialKit } from "../../../test/kit/social.ts";
import { changePrivacy } from "../profiles/privacy.ts";
import { block as blockSomeone } from "./block.ts";
import { follow } from "./follow.ts";
import { mute } from "./mute.ts";
import { systemClock } from "#src/kernel/clock";

interface Connection {
  readonly edges: readonly { readonly cursor: string; readonly node: Record<string, unknown> }[];
  readonly pageInfo: {
    readonly hasNextPage: boolean;
    readonly hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
  readonly totalCount?: number | null;
}
interface OfUser {
  readonly user: { readonly followers: Connection | null; readonly following: Connection | null } | null;
}

const PAGE = "edges { cursor node { id username } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";

const followersOf = (kit: SocialKit, viewer: Actor, owner: Person, args: string) =>
  askGraphql<OfUser>(kit, viewer, `{ user(id: "${owner.id}") { followers${args} { ${PAGE} totalCount } } }`);

function listIn({ user }: OfUser): Connection {
  if (!user?.followers) throw new Error("no list");
  return user.followers;
}

async function crowdAround(kit: SocialKit, size: number): Promise<{ ann: Person; others: Person[] }> {
  const names = Array.from({ length: size }, (_, index) => `bob${index}`);
  const made = await people(kit.db, { ann: {}, ...Object.fromEntries(names.map((name) => [name, {}])) });
  const others = names.map((name) => (made as Record<string, Person>)[name] as Person);
  for (const { id } of others) await follow(kit, { followerId: id, followeeId: made.ann.id });
  return { ann: made.ann, others };
}

describe("followers and following of a user", () => {
  it("are read page by page to their end, each person once, and from any edge on", async () => {
    await using kit = await socialKit();
    const { ann, others } = await crowdAround(kit, 5);
    const viewer = actorOf(others[0] as Person);
    const seen: unknown[] = [];
    const cursors: string[] = [];
    let after = "";
    for (let more = true; more;) {
      const { data, codes } = await followersOf(kit, viewer, ann, `(first: 2${after})`);
      expect(codes).toEqual([]);
      const { edges, pageInfo, totalCount } = listIn(data);
      seen.push(...edges.map(({ node }) => node["username"]));
      cursors.push(...edges.map(({ cursor }) => cursor));
      expect([pageInfo.startCursor, pageInfo.endCursor, pageInfo.hasPreviousPage, totalCount]).toEqual([
        edges[0]?.cursor,
        edges.at(-1)?.cursor,
        false,
        null,
      ]);
      after = `, after: "${pageInfo.endCursor ?? ""}"`;
      more = pageInfo.hasNextPage;
    }
    expect(seen).toEqual(["bob4", "bob3", "bob2", "bob1", "bob0"]);
    const rest = await followersOf(kit, viewer, ann, `(first: 100, after: "${cursors[2] ?? ""}")`);
    expect(rest.data.user?.followers?.edges.map(({ node }) => node["username"])).toEqual(["bob1", "bob0"]);
    const behind = await followersOf(kit, viewer, ann, `(after: "${cursors[4] ?? ""}")`);
    expect(behind.data.user?.followers).toMatchObject({ edges: [], pageInfo: { hasNextPage: false, startCursor: null, endCursor: null } });
  });

  it("tell their total in one's own only, and are twenty where nobody says how many", async () => {
    await using kit = await socialKit();
    const { ann, others } = await crowdAround(kit, 22);
    const own = await askGraphql<{ me: { followers: Connection; following: Connection } }>(
      kit,
      actorOf(ann),
      `{ me { followers { ${PAGE} totalCount } following(first: null, after: null) { ${PAGE} totalCount } } }`,
    );
    expect(own.data.me.followers).toMatchObject({ totalCount: 22, pageInfo: { hasNextPage: true } });
    expect(own.data.me.followers.edges).toHaveLength(20);
    expect(own.data.me.following).toMatchObject({ totalCount: 0, edges: [] });
    expect((await followersOf(kit, actorOf(others[3] as Person), ann, "(first: 1)")).data.user?.followers?.totalCount).toBeNull();
  });

  it("are refused as over REST, each for itself, beside what may be seen", async () => {
    await using kit = await socialKit();
    const { ann, shy, banned, gone } = await people(kit.db, { ann: {}, shy: {}, banned: {}, gone: {} });
    for (const one of [shy, banned, gone]) await follow(kit, { followerId: ann.id, followeeId: one.id });
    await changePrivacy(kit, { actor: actorOf(shy), change: { followersList: "nobody" } });
    await restrict(kit.db, banned, { status: "banned" });
    await restrict(kit.db, gone, { status: "erased" });
    const lists = "followers { edges { node { username } } } following { edges { node { username } } }";

    const { data, codes } = await askGraphql(kit, actorOf(ann), `{ me { following { edges { node { username status ${lists} } } } } }`);

    expect(data).toEqual({
      me: {
        following: {
          edges: [
            { node: { username: "banned", status: "unavailable", followers: null, following: null } },
            { node: { username: "shy", status: "active", followers: null, following: { edges: [] } } },
          ],
        },
      },
    });
    expect(codes.toSorted()).toEqual(["user.private", "user.unavailable", "user.unavailable"]);
  });

  it("leave out who blocked the viewer or whom the viewer blocked, wherever the query comes by", async () => {
    await using kit = await socialKit();
    const { others } = await crowdAround(kit, 4);
    const [viewer, blocker, blocked, bystander] = others as [Person, Person, Person, Person];
    for (const one of [blocker, blocked, bystander]) await follow(kit, { followerId: one.id, followeeId: viewer.id });
    await block(kit.db, blocker, viewer);
    await block(kit.db, viewer, blocked);

    const nested = `followers { edges { node { username followers { edges { node { username } } } } } }`;
    const { data, codes } = await askGraphql(kit, actorOf(viewer), `{ user(username: "ann") { ${nested} } }`);

    expect(codes).toEqual([]);
    expect(JSON.stringify(data)).not.toMatch(new RegExp(`${blocker.username}|${blocked.username}`));
    expect(JSON.stringify(data)).toContain(bystander.username);
  });

  it("refuse lengths and cursors that are none, of another list, or of somebody else's", async () => {
    await using kit = await socialKit();
    const { ann, others } = await crowdAround(kit, 3);
    const [bob] = others as [Person];
    await follow(kit, { followerId: ann.id, followeeId: bob.id });
    const viewer = actorOf(ann);
    const refused = async (args: string): Promise<readonly string[]> => {
      const { data, codes } = await askGraphql<OfUser>(kit, viewer, `{ user(id: "${ann.id}") { followers${args} { ${PAGE} } } }`);
      expect(data.user?.followers ?? null).toBeNull();
      return codes;
    };
    for (const first of ["0", "-1", "101", "1000000000"])
      expect([first, await refused(`(first: ${first})`)]).toEqual([first, ["input.invalid"]]);
    for (const first of ["99999999999", '"5"', "1.5"])
      expect((await askGraphql(kit, viewer, `{ me { followers(first: ${first}) { totalCount } } }`)).codes).toHaveLength(1);
    const forged = [
      "x",
      "",
      "x".repeat(513),
      encodeCursor(`followers:${bob.id}`, ["1", bob.id]),
      encodeCursor(`following:${ann.id}`, ["1", bob.id]),
      encodeCursor(`blocks:${ann.id}`, ["1", bob.id]),
      encodeCursor(`followers:${ann.id}`, ["yesterday", bob.id]),
      encodeCursor(`followers:${ann.id}`, ["1", "no-id"]),
      encodeCursor(`followers:${ann.id}`, ["9".repeat(17), bob.id]),
      encodeCursor(`followers:${ann.id}`, ["9".repeat(16), bob.id]).slice(0, -3),
      encodeCursor("notices", [bob.id]),
    ];
    for (const after of forged) expect([after, await refused(`(after: "${after}")`)]).toEqual([after, ["input.invalid"]]);
    // One cursor for a whole list of people is of at most one of them.
    const own = await followersOf(kit, viewer, ann, "(first: 1)");
    const cursor = own.data.user?.followers?.pageInfo.endCursor ?? "";
    const { data, codes } = await askGraphql<{ me: { followers: Connection } }>(
      kit,
      viewer,
      `{ me { followers { edges { cursor node { followers(after: "${cursor}") { edges { cursor } } } } } } }`,
    );
    expect(codes).toEqual(["input.invalid", "input.invalid", "input.invalid"]);
    expect(data.me.followers.edges).toHaveLength(3);
  });

  it("are counted like REST's, list by list, wherever they stand in the query", async () => {
    await using kit = await socialKit();
    const { ann } = await crowdAround(kit, 5);
    const counted: string[] = [];
    const throttle: Throttle = ({ name }) => {
      counted.push(name);
      if (counted.filter((one) => one === "graph.list").length > 4) throw new Problem(rateLimited);
    };
    const { data, codes } = await askGraphql<{ me: { followers: Connection } }>(
      kit,
      actorOf(ann),
      "{ me { followers { edges { cursor node { username following { edges { cursor } } } } } } }",
      { throttle },
    );
    expect(counted.toSorted()).toEqual([...Array.from({ length: 6 }, () => "graph.list"), "profiles.me"]);
    expect(codes).toEqual(["rate.limited", "rate.limited"]);
    expect(data.me.followers.edges.map(({ node }) => node["following"] === null)).toEqual([false, false, false, true, true]);
  });
});

/** Everything that there is to ask of somebody in a list, but lists of theirs. */
const FACTS = `id username displayName avatarUrl bio links { label url } pronouns location timezone email emailVerified status profileVersion
  movedFrom createdAt followersCount followingCount isFollowing followRequested followsYou social { postsCount reactionsCount asOf }`;
const LISTS = ["followers", "following"].map(
  (list) => `${list}(first: 2) { pageInfo { hasNextPage } totalCount edges { cursor node { ${FACTS} } } }`,
);

describe("a list of people over GraphQL", () => {
  it("costs as many statements for fifty people as for two, with all there is to know of each and their lists", async () => {
    await using kit = await socialKit();
    const { ann, others } = await crowdAround(kit, 51);
    const first = others[0] as Person;
    for (const [index, one] of others.entries()) {
      if (index > 0) await follow(kit, { followerId: first.id, followeeId: one.id });
      await affected(
        kit.db,
        sql`insert into social_profiles (user_id, version, posts_count, source_time) values (${one.id}::uuid, 1, ${index}, now())`,
      );
    }
    for (const one of others.slice(1))
      await mute({ ...kit, clock: systemClock }, { actorId: first.id, otherId: one.id }, { until: null, notifications: true });
    for (const one of others.slice(1)) {
      await affected(
        kit.db,
        sql`insert into follows (follower_id, followee_id, state) values (${one.id}::uuid, ${first.id}::uuid, 'requested')
            on conflict (follower_id, followee_id) do update set state = 'requested'`,
      );
    }
    const viewer = actorOf(first);
    const roots: Readonly<Record<string, (count: number) => string>> = {
      followers: (count) => `{ user(id: "${ann.id}") { followers(first: ${count}) { edges { node { ${FACTS} ${LISTS.join(" ")} } } } } }`,
      following: (count) => `{ me { following(first: ${count}) { totalCount edges { node { ${FACTS} ${LISTS.join(" ")} } } } } }`,
      followRequests: (count) => `{ followRequests(first: ${count}) { edges { node { ${FACTS} ${LISTS.join(" ")} } } } }`,
      mutes: (count) => `{ mutes(first: ${count}) { edges { until node { ${FACTS} ${LISTS.join(" ")} } } } }`,
      searchUsers: (count) => `{ searchUsers(query: "bob", pagination: { limit: ${count} }) { data { ${FACTS} ${LISTS.join(" ")} } } }`,
    };
    for (const [root, text] of Object.entries(roots)) {
      const costs: Record<number, number> = {};
      for (const count of [2, 50]) {
        let answer = { data: {} as Record<string, unknown>, codes: [] as readonly string[] };
        costs[count] = await kit.statements(async () => {
          answer = await askGraphql(kit, viewer, text(count));
        });
        expect([root, answer.codes]).toEqual([root, []]);
        const top = Object.values(answer.data)[0] as Record<string, Record<string, unknown[]>>;
        const list = (top["followers"] ?? top["following"] ?? top) as unknown as Record<string, unknown[]>;
        expect([root, (list["edges"] ?? list["data"])?.length]).toEqual([root, count]);
      }
      expect([root, costs[50]]).toEqual([root, costs[2]]);
    }
  });
});

describe("one's own lists over GraphQL", () => {
  it("are requests, blocks and mutes with how each stands, page by page", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat, dan, eve } = await people(kit.db, { ann: {}, bob: { displayName: "Bob" }, cat: {}, dan: {}, eve: {} });
    await changePrivacy(kit, { actor: actorOf(ann), change: { requireFollowApproval: true } });
    for (const one of [dan, eve]) await follow(kit, { followerId: one.id, followeeId: ann.id });
    await follow(kit, { followerId: ann.id, followeeId: bob.id });
    await blockSomeone(kit, { actorId: ann.id, otherId: bob.id });
    await mute(
      { ...kit, clock: systemClock },
      { actorId: ann.id, otherId: cat.id },
      { until: new Date("2100-01-01T00:00:00Z"), notifications: false },
    );

    const { data, codes } = await askGraphql<Record<"followRequests" | "blocks" | "mutes", Connection>>(
      kit,
      actorOf(ann),
      `{ followRequests(first: 1) { ${PAGE} totalCount }
         blocks { edges { cursor blockedAt cut { follow followed } node { id username displayName avatarUrl } } pageInfo { hasNextPage } }
         mutes { edges { until notifications node { username isFollowing } } } }`,
    );

    expect(codes).toEqual([]);
    expect(data.followRequests).toMatchObject({
      edges: [{ node: { username: "eve" } }],
      pageInfo: { hasNextPage: true },
      totalCount: null,
    });
    expect(data.blocks).toMatchObject({
      edges: [
        {
          cut: { follow: "accepted", followed: null },
          node: { id: bob.id, username: "bob", displayName: "Bob", avatarUrl: null },
          blockedAt: expect.stringMatching(/Z$/),
        },
      ],
      pageInfo: { hasNextPage: false },
    });
    expect(data.mutes).toEqual({
      edges: [{ until: "2100-01-01T00:00:00.000Z", notifications: false, node: { username: "cat", isFollowing: false } }],
    });
    const next = await askGraphql<{ followRequests: Connection }>(
      kit,
      actorOf(ann),
      `{ followRequests(after: "${data.followRequests.pageInfo.endCursor ?? ""}") { ${PAGE} } }`,
    );
    expect(next.data.followRequests.edges.map(({ node }) => node["username"])).toEqual(["dan"]);
  });

  it("refuse each other's cursors, and those of the same list of somebody else", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const lists = { followRequests: "requests", blocks: "blocks", mutes: "mutes" };
    for (const [field, own] of Object.entries(lists)) {
      for (const [list, owner] of [...Object.values(lists), "followers"].flatMap((name) => [[name, ann] as const, [name, bob] as const])) {
        const after = encodeCursor(`${list}:${owner.id}`, ["1", bob.id]);
        const { codes } = await askGraphql(kit, actorOf(ann), `{ ${field}(after: "${after}") { edges { cursor } } }`);
        expect([field, list, owner.username, codes]).toEqual([
          field,
          list,
          owner.username,
          list === own && owner === ann ? [] : ["input.invalid"],
        ]);
      }
      for (const args of ["first: 0", "first: -1", "first: 1000000000", 'after: "x"'])
        expect((await askGraphql(kit, actorOf(ann), `{ ${field}(${args}) { edges { cursor } } }`)).codes).toEqual(["input.invalid"]);
    }
  });

  it("let a request be taken back and say so at once", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await changePrivacy(kit, { actor: actorOf(bob), change: { requireFollowApproval: true } });
    const asked = `user(id: "${bob.id}") { followRequested }`;
    expect((await askGraphql(kit, actorOf(ann), `mutation { follow(userId: "${bob.id}") { status } }`)).data).toEqual({
      follow: { status: "requested" },
    });
    expect((await askGraphql(kit, actorOf(ann), `{ ${asked} }`)).data).toEqual({ user: { followRequested: true } });
    expect((await askGraphql(kit, actorOf(ann), `mutation { unfollow(userId: "${bob.id}") { status } }`)).data).toEqual({
      unfollow: { status: "gone" },
    });
    expect((await askGraphql(kit, actorOf(ann), `{ ${asked} }`)).data).toEqual({ user: { followRequested: false } });
    expect(
      (await askGraphql<{ followRequests: Connection }>(kit, actorOf(bob), "{ followRequests { edges { cursor } } }")).data.followRequests
        .edges,
    ).toEqual([]);
  });
});
