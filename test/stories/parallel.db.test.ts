/** Many at once through two processes of the API: refreshing one token; following, asking, accepting and blocking the same people. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { generateKeyRing } from "#src/features/sessions/key-ring";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import {
  logIn,
  onDatabase,
  registerPeople,
  registerPerson,
  startApiProcess,
  startWorkerProcess,
  type ApiProcess,
  type SignedIn,
} from "../kit/service.ts";
import { until } from "../kit/until.ts";

const stack = new AsyncDisposableStack();
const firstKeys = generateKeyRing();
let database: TestDatabase;
let apis: readonly [ApiProcess, ApiProcess];

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  const start = async (): Promise<ApiProcess> => stack.use(await startApiProcess({ database, env: { SECRET_SIGNING_KEYS: firstKeys } }));
  apis = await Promise.all([start(), start()]);
});
afterAll(() => stack.disposeAsync());

interface Refreshed extends ProblemBody {
  readonly accessToken: string;
  readonly refreshToken: string;
}

const refresh = (api: ApiProcess, refreshToken: string): Promise<Answer<Refreshed>> =>
  api.http.post<Refreshed>("/api/auth/refresh", { refreshToken });

/** The successor. @throws Error unless it is given */
async function successorOf(api: ApiProcess, refreshToken: string): Promise<string> {
  const { status, body } = await refresh(api, refreshToken);
  if (status !== 200) throw new Error(`${status} ${body.code}`);
  return body.refreshToken;
}

/** The last refresh of a session was so long ago. */
async function ageRefresh(person: SignedIn, interval: string): Promise<void> {
  await onDatabase(database.adminUrl, "update refresh_tokens set made_at = made_at - $2::interval where session_id = $1", [
    person.sessionId,
    interval,
  ]);
}

describe("refreshing", () => {
  it("gives 50 at once through two processes one and the same successor", async () => {
    const ann = await registerPerson(apis[0].http, "ann");

    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => refresh(apis[index % 2 === 0 ? 0 : 1], ann.refreshToken)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 200));
    expect(new Set(answers.map(({ body }) => body.refreshToken)).size).toBe(1);
    for (const { body } of answers.slice(0, 4)) expect((await apis[1].http.get("/api/users/me", body.accessToken)).status).toBe(200);
    expect(await successorOf(apis[1], answers[0]?.body.refreshToken ?? "")).not.toBe(answers[0]?.body.refreshToken);
  });

  it("gives a lost answer again an hour later, also to a process with newer keys", async () => {
    const bob = await registerPerson(apis[0].http, "bob");
    const lost = await successorOf(apis[0], bob.refreshToken);
    await ageRefresh(bob, "1 hour");

    const [older, newer] = [JSON.parse(firstKeys), JSON.parse(generateKeyRing())] as Record<"accessKeys" | "refreshKeys", object[]>[];
    const rotatedKeys = JSON.stringify({
      accessKeys: [...(newer?.accessKeys ?? []), ...(older?.accessKeys ?? [])],
      refreshKeys: [...(newer?.refreshKeys ?? []), ...(older?.refreshKeys ?? [])],
    });
    await using rotated = await startApiProcess({ database, env: { SECRET_SIGNING_KEYS: rotatedKeys } });
    expect(await successorOf(rotated, bob.refreshToken)).toBe(lost);
    const next = await refresh(rotated, lost);
    expect(next.status).toBe(200);
    expect((await rotated.http.get("/api/users/me", next.body.accessToken)).status).toBe(200);
    expect((await rotated.http.get("/api/users/me", bob.accessToken)).status).toBe(200);
    expect((await refresh(rotated, next.body.refreshToken)).status).toBe(200);
  });

  it("takes a replay after use and grace for theft: that session ends, with its sockets on both processes", async () => {
    const eve = await registerPerson(apis[0].http, "eve");
    const other = await logIn(apis[0].http, "eve");
    using onFirst = await apis[0].socket(eve.accessToken);
    using onSecond = await apis[1].socket(eve.accessToken);
    using ofOther = await apis[1].socket(other.accessToken);
    const second = await successorOf(apis[0], eve.refreshToken);
    const third = await successorOf(apis[1], second);

    // Within the grace it is two tabs, not a thief.
    expect(await successorOf(apis[1], eve.refreshToken)).toBe(second);
    await ageRefresh(eve, "31 seconds");
    const replayed = await refresh(apis[0], eve.refreshToken);
    expect([replayed.status, replayed.body.code]).toEqual([401, "refresh.reused"]);
    await Promise.all([onFirst.closes(1_000), onSecond.closes(1_000)]);
    for (const socket of [onFirst, onSecond]) {
      expect(socket.told.at(-1)).toMatchObject({
        name: "session:revoked",
        payload: { sessionId: eve.sessionId, reason: "refresh_reused" },
      });
    }
    expect((await refresh(apis[1], third)).body.code).toBe("session.revoked");
    expect((await apis[1].http.get("/api/users/me", eve.accessToken)).body.code).toBe("session.revoked");

    expect(ofOther.closed).toBeUndefined();
    expect((await apis[0].http.get("/api/users/me", other.accessToken)).status).toBe(200);
    expect((await refresh(apis[0], other.refreshToken)).status).toBe(200);
    const notices = await apis[0].http.get<{ data: { type: string }[] }>("/api/users/me/notices", other.accessToken);
    expect(notices.body.data.map(({ type }) => type)).toEqual(["security.refresh_reuse"]);
  });

  it("ends nothing for a forged, cut or foreign token", async () => {
    const { fay, gus } = await registerPeople(apis[0].http, ["fay", "gus"]);
    using socket = await apis[1].socket(fay.accessToken);
    const [kid = "", payload = "", mac = ""] = fay.refreshToken.split(".");
    const [, theirPayload = ""] = gus.refreshToken.split(".");
    const flipped = `${mac.startsWith("A") ? "B" : "A"}${mac.slice(1)}`;
    const forged = [
      `${kid}.${payload}.${flipped}`,
      `${kid}.${theirPayload}.${mac}`,
      `${kid}.${payload}`,
      fay.refreshToken.slice(0, -1),
      `${fay.refreshToken}=`,
      `other.${payload}.${mac}`,
      `../../${kid}.${payload}.${mac}`,
      fay.accessToken,
      "x",
    ];

    for (const token of forged) {
      const { status, body } = await refresh(apis[0], token);
      expect([status, body.code]).toEqual([401, "refresh.invalid"]);
    }
    expect(socket.closed).toBeUndefined();
    expect((await refresh(apis[1], fay.refreshToken)).status).toBe(200);
    expect((await refresh(apis[1], gus.refreshToken)).status).toBe(200);
  });
});

describe("following", () => {
  const FOLLOWERS = ["fan0", "fan1", "fan2", "fan3", "fan4", "fan5"] as const;
  const FOLLOWEES = ["star0", "star1", "star2"] as const;

  it("counts right when 200 follow, unfollow and block the same people at once", async () => {
    await using _worker = await startWorkerProcess({ database });
    const people = await registerPeople(apis[0].http, [...FOLLOWERS, ...FOLLOWEES]);
    const statuses = new Map<string, number>();
    const act = async (index: number): Promise<void> => {
      const fan = people[FOLLOWERS[index % FOLLOWERS.length] ?? "fan0"];
      const star = people[FOLLOWEES[Math.floor(index / FOLLOWERS.length) % FOLLOWEES.length] ?? "star0"];
      const api = apis[index % 2 === 0 ? 0 : 1];
      // The last fan is blocked by the first star somewhere in between.
      if (index === 100)
        await onDatabase(database.adminUrl, "insert into blocks (blocker_id, blocked_id) values ($1, $2) on conflict do nothing", [
          people.star0.id,
          people.fan5.id,
        ]);
      const method = Math.floor(index / (FOLLOWERS.length * FOLLOWEES.length)) % 3 === 2 ? "DELETE" : "POST";
      const { status, body } = await api.http.send(method, `/api/users/${star.id}/follow`, { token: fan.accessToken });
      const outcome = status === 200 ? "200" : `${status} ${body.code}`;
      statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1);
    };
    for (let round = 0; round < 3; round += 1) await Promise.all(Array.from({ length: 200 }, (_, index) => act(index)));

    expect([...statuses.keys()].sort()).toEqual(["200", "404 user.not_found"]);
    const recount = await onDatabase<{ username: string; followers: string; following: string }>(
      database.adminUrl,
      `select u.username, (select count(*) from follows f where f.followee_id = u.id and f.state = 'accepted') as followers,
              (select count(*) from follows f where f.follower_id = u.id and f.state = 'accepted') as following
       from users u where u.username ~ '^(fan|star)'`,
    );
    expect(recount).toHaveLength(FOLLOWERS.length + FOLLOWEES.length);
    const counted = async (): Promise<object> => {
      const answers = await Promise.all(
        Object.values(people).map(({ accessToken }, index) =>
          apis[index % 2 === 0 ? 0 : 1].http.get<{ username: string; followersCount: number; followingCount: number }>(
            "/api/users/me",
            accessToken,
          ),
        ),
      );
      return Object.fromEntries(answers.map(({ body }) => [body.username, [body.followersCount, body.followingCount]]));
    };
    const expected = Object.fromEntries(recount.map((one) => [one.username, [Number(one.followers), Number(one.following)]]));
    expect(await counted()).toEqual(expected);
    // The same when the worker has folded the changes into the bases.
    await until(
      async () =>
        Number((await onDatabase<{ left: string }>(database.adminUrl, "select count(*) as left from count_deltas"))[0]?.left) === 0,
      { withinMs: 20_000, what: "the fold" },
    );
    expect(await counted()).toEqual(expected);
  });

  it("counts right when 200 follow, ask, accept, remove, block and unblock on a few pairs at once, and nobody hears of a deadlock", async () => {
    await using _worker = await startWorkerProcess({ database });
    const crowd = await registerPeople(apis[0].http, ["una", "ugo", "ulf"]);
    const [una, ugo, ulf] = [crowd.una, crowd.ugo, crowd.ulf];
    const pairs = [una, ugo, ulf].flatMap((one) => [una, ugo, ulf].flatMap((other) => (one === other ? [] : [[one, other] as const])));
    const acts = [
      ["POST", (id: string) => `/api/users/${id}/follow`],
      ["POST", (id: string) => `/api/users/me/follow-requests/${id}/accept`],
      ["POST", (id: string) => `/api/users/${id}/follow`],
      ["DELETE", (id: string) => `/api/users/${id}/follow`],
      ["POST", (id: string) => `/api/users/${id}/block`],
      ["DELETE", (id: string) => `/api/users/${id}/block`],
      ["POST", (id: string) => `/api/users/me/follow-requests/${id}/reject`],
      ["DELETE", (id: string) => `/api/users/me/followers/${id}`],
      ["PATCH", () => "/api/users/me/privacy"],
      ["POST", (id: string) => `/api/users/${id}/follow`],
      ["POST", (id: string) => `/api/users/me/follow-requests/${id}/accept`],
    ] as const;
    const outcomes = new Map<string, number>();
    let busy = 0;
    const act = async (index: number): Promise<void> => {
      const [who, whom] = pairs[index % pairs.length] ?? [una, ugo];
      const [method, path] = acts[Math.floor(Math.random() * acts.length)] ?? acts[0];
      const { status, body } = await apis[index % 2 === 0 ? 0 : 1].http.send(method, path(whom.id), {
        token: who.accessToken,
        ...(method === "PATCH" ? { body: { requireFollowApproval: Math.random() < 0.6 } } : {}),
      });
      // A machine that cannot keep up with 200 at once says so.
      if (status === 503) busy += 1;
      const outcome = status === 200 ? "200" : `${status} ${body.code}`;
      if (status !== 503) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    };
    for (let round = 0; round < 4; round += 1) await Promise.all(Array.from({ length: 200 }, (_, index) => act(index)));
    for (const [who, whom] of pairs) await apis[0].http.send("DELETE", `/api/users/${whom.id}/block`, { token: who.accessToken });

    expect([...outcomes.keys()].sort()).toEqual(["200", "404 follow_request.not_found", "404 user.not_found"]);
    for (const { id, accessToken } of [una, ugo, ulf]) {
      const [edges] = await onDatabase<{ followers: number; following: number }>(
        database.adminUrl,
        `select (count(*) filter (where followee_id = $1))::int as followers, (count(*) filter (where follower_id = $1))::int as following
         from follows where state = 'accepted'`,
        [id],
      );
      const me = await apis[1].http.get<{ followersCount: number; followingCount: number }>("/api/users/me", accessToken);
      expect([me.body.followersCount, me.body.followingCount]).toEqual([edges?.followers, edges?.following]);
      const list = await apis[0].http.get<{ data: unknown[]; pagination: { total: number } }>(`/api/users/${id}/followers`, accessToken);
      expect([list.body.data.length, list.body.pagination.total]).toEqual([edges?.followers, edges?.followers]);
    }
    // Every change of an edge is one event, in order, whichever kind it was.
    const lost = await onDatabase(
      database.adminUrl,
      `select f.follower_id, f.followee_id, f.edge_version from follows f
       where f.follower_id = any ($1) and f.edge_version <> (
         select count(distinct o.data->>'edgeVersion') from outbox o where o.subject = f.follower_id and o.data->>'followeeId' = f.followee_id::text)`,
      [[una.id, ugo.id, ulf.id]],
    );
    expect(lost).toEqual([]);
    // Somebody blocked follows nobody who blocked them.
    expect(
      await onDatabase(
        database.adminUrl,
        `select 1 from blocks b join follows f on f.state <> 'gone' and
           ((f.follower_id = b.blocker_id and f.followee_id = b.blocked_id) or (f.follower_id = b.blocked_id and f.followee_id = b.blocker_id))
         where b.blocker_id = any ($1)`,
        [[una.id, ugo.id, ulf.id]],
      ),
    ).toEqual([]);
    expect(busy).toBeLessThan(40);
    const [seen] = await onDatabase<{ deadlocks: number }>(
      database.adminUrl,
      "select deadlocks::int from pg_stat_database where datname = current_database()",
    );
    expect(busy === 0 ? 0 : seen?.deadlocks).toBe(0);
  });

  it("left no error in either log", () => {
    expect(apis.flatMap((api) => api.errors())).toEqual([]);
  });
});
