import { describe, expect, it } from "@jest/globals";
import { graphql } from "graphql";
import { affected, sql } from "#src/db/sql";
import { discovery } from "#src/features/discovery/feature";
import { follow } from "#src/features/graph/follow";
import { graph } from "#src/features/graph/feature";
import { profiles } from "#src/features/profiles/feature";
import { RequestContext } from "#src/graphql/context";
import { assembleSchema } from "#src/graphql/schema";
import type { Route } from "#src/http/route";
import type { Actor, Gate } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { Problem } from "#src/kernel/problem";
import { serveApp, tokenMissing, type ServedApp } from "../kit/http-app.ts";
import { people } from "../kit/people.ts";
import { actorOf, block, restrict, socialKit, type SocialKit } from "../kit/social.ts";
import { testClient } from "../kit/sessions.ts";

/** Tokens are the ids of people: what the real gate decides is tested where it lives. */
const gate: Gate = (token, needs) => {
  if (needs.kind === "anyone") return Promise.resolve(undefined);
  return token === undefined ? Promise.reject(new Problem(tokenMissing)) : Promise.resolve(actorOf({ id: token }));
};

function serve(kit: SocialKit): Promise<ServedApp> {
  const routes = [...profiles.routes, ...graph.routes, ...discovery.routes] as unknown as Route<unknown>[];
  return serveApp(routes, { deps: { db: kit.db, clock: systemClock, config: kit.config }, gate });
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function ask(app: ServedApp, who: { readonly id: string }, request: string, body?: unknown): Promise<Answer> {
  const [method = "", path = ""] = request.split(" ");
  const response = await fetch(`${app.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${who.id}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe("people over REST", () => {
  it("are found, followed, listed and unfollowed", async () => {
    await using kit = await socialKit();
    await using app = await serve(kit);
    const { ann, bob } = await people(kit.db, { ann: {}, bob: { username: "Bobby" } });

    expect(await ask(app, ann, "GET /api/users/search?q=BOB")).toMatchObject({
      status: 200,
      body: { data: [{ id: bob.id }], pagination: { total: 1 } },
    });
    expect(await ask(app, ann, `POST /api/users/${bob.id}/follow`)).toEqual({ status: 200, body: { status: "accepted" } });
    expect(await ask(app, ann, "GET /api/users/me")).toMatchObject({ status: 200, body: { email: "ann@example.com", followingCount: 1 } });
    expect(await ask(app, ann, "GET /api/users/bobby")).toMatchObject({
      status: 200,
      body: { id: bob.id, followersCount: 1, isFollowing: true },
    });
    expect(await ask(app, bob, `GET /api/users/${bob.id}/followers?limit=1`)).toMatchObject({
      status: 200,
      body: { data: [{ id: ann.id }], pagination: { total: 1 } },
    });
    expect(await ask(app, ann, `GET /api/users/${ann.id}/following`)).toMatchObject({ status: 200, body: { data: [{ id: bob.id }] } });
    expect(await ask(app, ann, `DELETE /api/users/${bob.id}/follow`)).toEqual({ status: 200, body: { status: "gone" } });
    expect(await ask(app, ann, "GET /api/users/bobby")).toMatchObject({ body: { followersCount: 0, isFollowing: false } });
  });

  it("change their own profile, with every mistake told", async () => {
    await using kit = await socialKit();
    await using app = await serve(kit);
    const { ann } = await people(kit.db, { ann: {} });

    expect(await ask(app, ann, "PATCH /api/users/me", { displayName: " Ann  A. ", avatarUrl: "https://example.com/a.png" })).toMatchObject({
      status: 200,
      body: { displayName: "Ann A.", avatarUrl: "https://example.com/a.png", profileVersion: 2 },
    });
    const wrong = await ask(app, ann, "PATCH /api/users/me", { displayName: "", avatarUrl: "http://example.com", roles: ["admin"] });
    expect(wrong).toMatchObject({ status: 400, body: { code: "input.invalid" } });
    expect((wrong.body["errors"] as { path: string }[]).map(({ path }) => path).toSorted()).toEqual([
      "body.avatarUrl",
      "body.displayName",
      "body.roles",
    ]);
  });

  it("are refused with stable codes", async () => {
    await using kit = await socialKit();
    await using app = await serve(kit);
    const { ann, bob, cat } = await people(kit.db, { ann: {}, bob: {}, cat: {} });
    await block(kit.db, bob, ann);
    await restrict(kit.db, cat, { status: "banned" });
    const codeOf = async (request: string): Promise<unknown> => {
      const { status, body } = await ask(app, ann, request);
      return [status, body["code"]];
    };

    expect(await codeOf(`POST /api/users/${ann.id}/follow`)).toEqual([409, "follow.self"]);
    expect(await codeOf(`POST /api/users/${bob.id}/follow`)).toEqual([404, "user.not_found"]);
    expect(await codeOf(`GET /api/users/${bob.id}`)).toEqual([404, "user.not_found"]);
    expect(await codeOf(`GET /api/users/${bob.id}/followers`)).toEqual([404, "user.not_found"]);
    expect(await codeOf(`POST /api/users/${cat.id}/follow`)).toEqual([409, "user.unavailable"]);
    expect(await codeOf("POST /api/users/bob/follow")).toEqual([400, "input.invalid"]);
    expect(await codeOf("GET /api/users/search")).toEqual([400, "input.invalid"]);
    expect(await codeOf("GET /api/users/search?q=%20")).toEqual([400, "input.invalid"]);
    expect(await codeOf("GET /api/users/search?q=a&limit=51")).toEqual([400, "input.invalid"]);
    expect(await codeOf("GET /api/users/search?q=a&page=101")).toEqual([400, "input.invalid"]);
    expect(await codeOf("GET /api/users/search?q=a&page=1&cursor=x")).toEqual([400, "input.invalid"]);
    expect(await codeOf(`GET /api/users/search?q=${"a".repeat(51)}`)).toEqual([400, "input.invalid"]);
    expect(await codeOf(`GET /api/users/${ann.id}/followers?cursor=x`)).toEqual([400, "input.invalid"]);
  });
});

const schema = assembleSchema<Pick<SocialKit, "db" | "config"> & { readonly clock: typeof systemClock }>([
  profiles.graphql,
  graph.graphql,
  discovery.graphql,
]);

async function query(kit: SocialKit, who: { readonly id: string }, source: string, variableValues: Record<string, unknown> = {}) {
  const contextValue = new RequestContext(
    { db: kit.db, clock: systemClock, config: kit.config },
    { accessToken: who.id, client: testClient, gate, throttle: () => {} },
  );
  const { data, errors } = await graphql({ schema, source, variableValues, contextValue });
  const codes = (errors ?? []).map(({ originalError, message }) => (originalError instanceof Problem ? originalError.code : message));
  return { data: data === null || data === undefined ? data : (JSON.parse(JSON.stringify(data)) as Record<string, unknown>), codes };
}

describe("people over GraphQL", () => {
  it("are read, searched and followed by the same use cases", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: { displayName: "Bob" } });

    expect(await query(kit, ann, `mutation ($id: ID!) { follow(userId: $id) { status } }`, { id: bob.id })).toEqual({
      data: { follow: { status: "accepted" } },
      codes: [],
    });
    const profile = `query GetUser($id: ID!) { user(id: $id) { id username displayName avatarUrl followersCount followingCount } }`;
    expect(await query(kit, ann, profile, { id: bob.id })).toEqual({
      data: { user: { id: bob.id, username: "bob", displayName: "Bob", avatarUrl: null, followersCount: 1, followingCount: 0 } },
      codes: [],
    });
    const search = `query SearchUsers($query: String!) {
      searchUsers(query: $query, pagination: { limit: 10 }) { data { id username displayName avatarUrl } pagination { total pages } }
    }`;
    expect(await query(kit, ann, search, { query: "BO" })).toEqual({
      data: {
        searchUsers: { data: [{ id: bob.id, username: "bob", displayName: "Bob", avatarUrl: null }], pagination: { total: 1, pages: 1 } },
      },
      codes: [],
    });
    expect(
      await query(kit, ann, `{ me { username email status followingCount } user(username: "BOB") { id email isFollowing followsYou } }`),
    ).toEqual({
      data: {
        me: { username: "ann", email: "ann@example.com", status: "active", followingCount: 1 },
        user: { id: bob.id, email: null, isFollowing: true, followsYou: false },
      },
      codes: [],
    });
    expect(await query(kit, ann, `mutation { updateProfile(input: { bio: "hi", avatarUrl: null }) { bio profileVersion } }`)).toEqual({
      data: { updateProfile: { bio: "hi", profileVersion: 2 } },
      codes: [],
    });
    expect(await query(kit, ann, `mutation ($id: ID!) { unfollow(userId: $id) { status } }`, { id: bob.id })).toEqual({
      data: { unfollow: { status: "gone" } },
      codes: [],
    });
  });

  it("have their counters, and who may see them, read in two statements for a whole list", async () => {
    await using kit = await socialKit();
    const crowd = await people(kit.db, Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`bob${index}`, {}])));
    const [ann, ...others] = Object.values(crowd);
    if (ann === undefined) throw new Error("a crowd of nobody");
    for (const { id } of others) await follow(kit, { followerId: id, followeeId: ann.id });
    let answer: Awaited<ReturnType<typeof query>> = { data: undefined, codes: [] };

    const statements = await kit.statements(async () => {
      answer = await query(
        kit,
        ann,
        `{ searchUsers(query: "bob", pagination: { limit: 50 }) { data { username followersCount followingCount } } }`,
      );
    });

    expect(statements).toBe(4);
    const { searchUsers } = answer.data as never as {
      searchUsers: { data: { username: string; followersCount: number; followingCount: number }[] };
    };
    const { data } = searchUsers;
    expect(data).toHaveLength(20);
    for (const one of data) {
      const expected = one.username === ann.username ? [19, 0] : [0, 1];
      expect([one.username, one.followersCount, one.followingCount]).toEqual([one.username, ...expected]);
    }
  });

  it("show nothing of a restricted account", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: { displayName: "Bob" } });
    await follow(kit, { followerId: ann.id, followeeId: bob.id });
    await restrict(kit.db, bob, { status: "banned" });

    const { data, codes } = await query(
      kit,
      ann,
      `{ user(username: "bob") { id username status displayName avatarUrl bio email profileVersion createdAt followersCount followingCount isFollowing followsYou } }`,
    );

    expect(codes).toEqual([]);
    const { id, username, status, ...rest } = (data as { user: Record<string, unknown> }).user;
    expect({ id, username, status }).toEqual({ id: bob.id, username: "bob", status: "unavailable" });
    expect(new Set(Object.values(rest))).toEqual(new Set([null]));
  });

  it("are refused with the codes of REST", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await block(kit.db, ann, bob);

    expect(await query(kit, ann, `{ user(username: "bob") { id } }`)).toEqual({ data: { user: null }, codes: ["user.not_found"] });
    expect(await query(kit, ann, `{ user { id } }`)).toEqual({ data: { user: null }, codes: ["input.invalid"] });
    expect(await query(kit, ann, `{ user(id: "${ann.id}", username: "ann") { id } }`)).toEqual({
      data: { user: null },
      codes: ["input.invalid"],
    });
    expect((await query(kit, ann, `{ user(id: null, username: "ann") { id } }`)).codes).toEqual([]);
    expect((await query(kit, ann, `{ user(id: "bob") { id } }`)).codes).toEqual(["input.invalid"]);
    expect((await query(kit, ann, `{ searchUsers(query: "b", pagination: { limit: 51 }) { data { id } } }`)).codes).toEqual([
      "input.invalid",
    ]);
    expect(
      (await query(kit, ann, `{ searchUsers(query: "b", pagination: { limit: null, page: 1, cursor: "x" }) { data { id } } }`)).codes,
    ).toEqual(["input.invalid"]);
    expect((await query(kit, ann, `mutation { follow(userId: "${ann.id}") { status } }`)).codes).toEqual(["follow.self"]);
    expect((await query(kit, ann, `mutation { updateProfile(input: { displayName: "" }) { id } }`)).codes).toEqual(["input.invalid"]);
  });
});

describe("pushes", () => {
  interface Pushed {
    readonly to: string;
    readonly event: string;
    readonly payload: unknown;
  }

  async function consume(
    type: string,
    data: unknown,
    prepare: (db: SocialKit["db"]) => Promise<unknown> = async () => {},
  ): Promise<Pushed[]> {
    await using kit = await socialKit();
    await prepare(kit.db);
    const pushed: Pushed[] = [];
    const deps = {
      db: kit.db,
      pushes: {
        toUser: (userId: string, event: { readonly name: string }, payload: unknown) =>
          void pushed.push({ to: `user ${userId}`, event: event.name, payload }),
        toRoom: (room: string, event: { readonly name: string }, payload: unknown) =>
          void pushed.push({ to: `room ${room}`, event: event.name, payload }),
      },
    };
    const consumers = [...profiles.consumers, ...graph.consumers].filter(
      ({ event, delivery }) => event.type === type && delivery === "push",
    );
    for (const { event, handle } of consumers) {
      await handle(
        deps,
        { id: "1", type, subject: "a", userVersion: 1, time: new Date(0), data: event.data.parse(data) } as never,
        undefined as never,
      );
    }
    return pushed;
  }

  const ann: Actor["userId"] = "0190a000-0000-7000-8000-00000000000a" as Actor["userId"];
  const bob = "0190a000-0000-7000-8000-00000000000b";

  it.each([
    ["videamozi.user.followed.v1", "user:followed"],
    ["videamozi.user.unfollowed.v1", "user:unfollowed"],
  ])("of %s go to the followee only", async (type, event) => {
    const edge = { followerId: ann, followeeId: bob, edgeVersion: 3 };

    expect(await consume(type, edge)).toEqual([{ to: `user ${bob}`, event, payload: edge }]);
  });

  it.each(["followed", "unfollowed", "follow_requested"])(
    "of %s do not come from who is muted with notices or blocked, either way",
    async (what) => {
      const type = `videamozi.user.${what}.v1`;
      const edge = { followerId: ann, followeeId: bob, edgeVersion: 3 };
      const muted = (notifications: boolean) => (db: SocialKit["db"]) =>
        affected(db, sql`insert into mutes (muter_id, muted_id, notifications) values (${bob}::uuid, ${ann}::uuid, ${notifications})`);

      expect(await consume(type, edge, muted(true))).toEqual([]);
      expect(await consume(type, edge, muted(false))).toHaveLength(1);
      expect(await consume(type, edge, (db) => block(db, { id: ann }, { id: bob }))).toEqual([]);
      expect(await consume(type, edge, (db) => block(db, { id: bob }, { id: ann }))).toEqual([]);
      expect(await consume(type, { ...edge, followerId: bob, followeeId: ann }, muted(true))).toHaveLength(1);
    },
  );

  it("of a changed profile go to its owner and to those who watch it and may see it", async () => {
    const profile = { userId: ann, username: "ann", displayName: "Ann", avatarUrl: null, bio: "", profileVersion: 2 };

    // As a version of before told it.
    expect(await consume("videamozi.user.profile_updated.v1", { ...profile, visibleTo: "nobody" })).toEqual([
      { to: `user ${ann}`, event: "user:profile-updated", payload: profile },
      { to: `room profile:${ann}`, event: "user:profile-updated", payload: profile },
    ]);
    const details = {
      links: [{ label: "here", url: "https://example.com/" }],
      pronouns: "she",
      location: null,
      timezone: "Europe/Budapest",
    };
    const whole = { ...profile, previousUsername: "anne", ...details };
    expect(await consume("videamozi.user.profile_updated.v1", { ...profile, previousUsername: "anne", details })).toEqual([
      { to: `user ${ann}`, event: "user:profile-updated", payload: whole },
      { to: `room profile:${ann}`, event: "user:profile-updated", payload: whole },
    ]);
  });
});
