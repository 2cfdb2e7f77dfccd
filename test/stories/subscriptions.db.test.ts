/** GraphQL subscriptions against two running processes of one service: who is told what, with Redis and without, and what ends them. */

import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import { createTokenForge } from "../kit/forged-tokens.ts";
import { startRedis } from "../kit/redis.ts";
import { describeWith } from "../kit/requires.ts";
import {
  logIn,
  makeStaff,
  onDatabase,
  registerPeople,
  registerPerson,
  SIGNING_KEYS,
  startApiProcess,
  type ApiProcess,
  type SignedIn,
} from "../kit/service.ts";
import { RawSubscriber, type Subscriber, type Subscription } from "../kit/subscriber.ts";
import { until } from "../kit/until.ts";

/** As long as it may be until a revocation is enforced everywhere. */
const LATEST_MS = 1_000;

const STATUS = "subscription ($of: [ID!]!) { userStatus(userIds: $of) { userId status lastSeenAt seq } }";
const PROFILE =
  "subscription ($of: [ID!]!) { profileUpdated(userIds: $of) { userId username displayName avatarUrl bio links { label url } pronouns profileVersion } }";
const NOTIFICATION = "subscription { notification { id type data createdAt readAt } }";

interface Status {
  readonly userStatus: { readonly userId: string; readonly status: string; readonly lastSeenAt: string | null; readonly seq: number };
}
interface Profile {
  readonly profileUpdated: {
    readonly userId: string;
    readonly bio: string;
    readonly pronouns: string | null;
    readonly profileVersion: number;
  };
}
interface Notification {
  readonly notification: { readonly id: string; readonly type: string; readonly data: object };
}

interface Pair {
  readonly database: TestDatabase;
  readonly one: ApiProcess;
  readonly other: ApiProcess;
  readonly moderator: SignedIn;
}

async function startPair(stack: AsyncDisposableStack, env: Readonly<Record<string, string>> = {}): Promise<Pair> {
  const database = stack.use(await cloneDatabase());
  const [first, second] = await Promise.all([startApiProcess({ database, env }), startApiProcess({ database, env })]);
  const [one, other] = [stack.use(first), stack.use(second)];
  await makeStaff(database, await registerPerson(one.http, "moderator1"), "moderator");
  return { database, one, other, moderator: await logIn(one.http, "moderator1") };
}

const statusesOf = ({ told }: Subscription<Status>, of: SignedIn): string[] =>
  told.map(({ userStatus }) => userStatus).flatMap(({ userId, status }) => (userId === of.id ? [status] : []));
const biosOf = ({ told }: Subscription<Profile>): string[] => told.map(({ profileUpdated: { bio } }) => bio);
const patch = async ({ one }: Pair, { accessToken }: SignedIn, path: string, body: object): Promise<void> => {
  const { status } = await one.http.send("PATCH", path, { token: accessToken, body });
  if (status !== 200) throw new Error(`${path}: ${status}`);
};

/** All events that there are were delivered. */
function isDelivered({ adminUrl }: TestDatabase): Promise<unknown> {
  const waiting = "select count(*)::int as n from outbox where done_at is null";
  return until(async () => (await onDatabase<{ n: number }>(adminUrl, waiting))[0]?.n === 0, { what: "the events to be delivered" });
}

/** @param hasRedis whether events of one process reach the subscribers of the other */
function suite(pair: () => Pair, hasRedis: boolean, tag: string): void {
  const newcomers = async <Name extends string>(names: readonly Name[]): Promise<Record<Name, SignedIn>> => {
    const made = await registerPeople(
      pair().one.http,
      names.map((name) => `${name}${tag}`),
    );
    return Object.fromEntries(names.map((name) => [name, made[`${name}${tag}`]])) as Record<Name, SignedIn>;
  };

  it("tell who comes, is away and goes, at the process where that happens and at the other", async () => {
    const { one, other } = pair();
    const { ann, bob } = await newcomers(["ann", "bob"]);
    using here = await one.subscriber(ann.accessToken);
    using there = await other.subscriber(ann.accessToken);
    const told = [here, there].map((subscriber) => subscriber.subscribe<Status>(STATUS, { of: [bob.id.toUpperCase()] }));
    await until(() => told.every((one) => one.told.length === 1));
    expect(told[0]?.told).toEqual([{ userStatus: { userId: bob.id, status: "offline", lastSeenAt: null, seq: 0 } }]);
    // He subscribes to something, and is there as by a socket.
    const device = await other.subscriber(bob.accessToken);
    await until(() => told.every((one) => statusesOf(one, bob).includes("online")));
    using socket = await one.socket(bob.accessToken);
    await socket.ask("presence:set", { status: "away" });
    device[Symbol.dispose]();
    await until(() => told.every((one) => statusesOf(one, bob).includes("away")), { withinMs: 20_000 });
    await one.http.post("/api/auth/logout", undefined, bob.accessToken);
    await until(() => told.every((one) => statusesOf(one, bob).at(-1) === "offline"), { withinMs: 20_000 });
    expect(told.map((one) => statusesOf(one, bob))).toEqual(told.map(() => ["offline", "online", "away", "offline"]));
  }, 60_000);

  it("tell of profiles and notices what sockets are told, once, and nobody else", async () => {
    const { one, other } = pair();
    const { cleo, dan, eve } = await newcomers(["cleo", "dan", "eve"]);
    const subscribers = [await one.subscriber(cleo.accessToken), await other.subscriber(cleo.accessToken)];
    using elsewhere = await one.subscriber(eve.accessToken);
    const profiles = subscribers.map((subscriber) => subscriber.subscribe<Profile>(PROFILE, { of: [dan.id, cleo.id] }));
    const notices = subscribers.map((subscriber) => subscriber.subscribe<Notification>(NOTIFICATION));
    const hers = [elsewhere.subscribe<Profile>(PROFILE, { of: [cleo.id] }), elsewhere.subscribe<Notification>(NOTIFICATION)];
    // The rooms of both are entered when this is told.
    for (const subscriber of [...subscribers, elsewhere]) await subscriber.subscribe<Status>(STATUS, { of: [dan.id] }).tells();
    using socket = await one.socket(cleo.accessToken);
    using farSocket = await other.socket(cleo.accessToken);
    const areTold = (counts: readonly number[]): boolean =>
      hasRedis ? counts.every((count) => count > 0) : counts.some((count) => count > 0);

    const shown = { bio: "news", pronouns: "they/them", links: [{ label: "Home", url: "https://example.com/" }] };
    await patch(pair(), dan, "/api/users/me", shown);
    await until(() => areTold(profiles.map(({ told }) => told.length)), { what: "the profile" });
    expect(profiles.flatMap(({ told }) => told).map(({ profileUpdated }) => profileUpdated)).toContainEqual(expect.objectContaining(shown));
    await patch(pair(), cleo, "/api/users/me", { bio: "mine" });
    await until(() => areTold(profiles.map((told) => biosOf(told).filter((bio) => bio === "mine").length)), { what: "one's own profile" });
    await one.http.post(`/api/users/${cleo.id}/follow`, undefined, dan.accessToken);
    const restrictions = `/api/moderation/users/${cleo.id}/restrictions`;
    await one.http.post(restrictions, { kind: "limit", capabilities: ["post"], reason: "spam" }, pair().moderator.accessToken);
    const isLimit = ({ notification: { type } }: Notification): boolean => type === "restriction.imposed";
    await until(() => areTold(notices.map(({ told }) => told.filter(isLimit).length)), { what: "the notice" });
    const sent = [socket, farSocket].flatMap(({ told }) =>
      told.filter(({ name }) => name === "notification").map(({ payload }) => payload),
    );
    const got = notices.flatMap(({ told }) => told.map(({ notification }) => notification));
    const byId = (some: readonly unknown[]): string[] => some.map((one) => JSON.stringify(one, Object.keys(one as object).sort())).sort();
    await until(() => [socket, farSocket].some(({ told }) => told.some(({ name }) => name === "notification")));
    expect(byId(got)).toEqual(byId(sent));
    for (const told of profiles) expect(["news,mine", ...(hasRedis ? [] : ["news", "mine", ""])]).toContain(biosOf(told).join());
    expect(hers.map(({ told }) => told.length)).toEqual([hasRedis || (hers[0]?.told.length ?? 0) > 0 ? 1 : 0, 0]);
    for (const subscriber of subscribers) subscriber[Symbol.dispose]();
  }, 60_000);

  it("tell nothing to whom settings or blocks forbid it, from the beginning or in the middle", async () => {
    const { database, one, other } = pair();
    const { fay, gus, hal, ida, una } = await newcomers(["fay", "gus", "hal", "ida", "una"]);
    // Fay blocked Gus before; Hal later; Ida may see.
    await one.http.post(`/api/users/${gus.id}/block`, undefined, fay.accessToken);
    const watchers = {
      gus: await other.subscriber(gus.accessToken),
      hal: await other.subscriber(hal.accessToken),
      ida: await other.subscriber(ida.accessToken),
    };
    const of = { of: [fay.id] };
    const told = Object.fromEntries(
      Object.entries(watchers).map(([name, watcher]) => [
        name,
        {
          status: watcher.subscribe<Status>(STATUS, of),
          profile: watcher.subscribe<Profile>(PROFILE, of),
          own: watcher.subscribe(NOTIFICATION),
        },
      ]),
    ) as unknown as Record<keyof typeof watchers, { status: Subscription<Status>; profile: Subscription<Profile> }>;
    await until(() => Object.values(told).every(({ status }) => status.told.length === 1));
    using device = await one.socket(fay.accessToken);
    await until(() => ["hal", "ida"].every((name) => statusesOf(told[name as "hal"].status, fay).includes("online")));

    await one.http.post(`/api/users/${hal.id}/block`, undefined, fay.accessToken);
    await device.ask("presence:set", { status: "away" });
    await patch(pair(), fay, "/api/users/me", { bio: "after the block" });
    await until(() => statusesOf(told.ida.status, fay).includes("away"));
    if (hasRedis) await until(() => biosOf(told.ida.profile).includes("after the block"));
    const { ida: watching } = watchers;
    const probe = watching.subscribe<Status>(STATUS, { of: [una.id] });
    await probe.tells();
    await patch(pair(), fay, "/api/users/me/privacy", { lastSeen: "nobody", profile: "nobody" });
    // A process that tells what came after it has read it.
    using tells = await one.socket(una.accessToken);
    await until(() => statusesOf(probe, una).includes("online"));
    await device.ask("presence:set", { status: "online" });
    await patch(pair(), fay, "/api/users/me", { bio: "for nobody" });
    await isDelivered(database);
    await tells.ask("presence:set", { status: "away" });
    await until(() => statusesOf(probe, una).includes("away"));
    const again = watching.subscribe<Status>(STATUS, { of: [fay.id] });
    await again.tells();
    expect(statusesOf(again, fay)).toEqual(["offline"]);

    expect(statusesOf(told.gus.status, fay)).toEqual(["offline"]);
    expect(statusesOf(told.hal.status, fay)).toEqual(["offline", "online"]);
    expect(statusesOf(told.ida.status, fay).filter((status) => status !== "offline")).toEqual(["online", "away"]);
    expect([told.gus, told.hal].map(({ profile }) => profile.told)).toEqual([[], []]);
    expect(biosOf(told.ida.profile)).not.toContain("for nobody");
    for (const watcher of Object.values(watchers)) watcher[Symbol.dispose]();
  }, 60_000);

  it("end everywhere with the session, the password, a ban", async () => {
    const { one, other, moderator } = pair();
    const { jan, kim, lea } = await newcomers(["jan", "kim", "lea"]);
    const both = async ({ accessToken }: SignedIn): Promise<Subscriber[]> => [
      await one.subscriber(accessToken),
      await other.subscriber(accessToken),
    ];
    const end = async (subscribers: readonly Subscriber[], act: () => Promise<{ status: number }>): Promise<Set<string>> => {
      for (const subscriber of subscribers) await subscriber.subscribe<Status>(STATUS, { of: [moderator.id] }).tells();
      expect((await act()).status).toBeLessThan(300);
      const doneMs = performance.now();
      const closed = await Promise.all(subscribers.map((subscriber) => subscriber.closes()));
      for (const { atMs } of closed) expect(atMs - doneMs).toBeLessThan(LATEST_MS);
      return new Set(closed.map(({ code, reason }) => `${code} ${reason}`));
    };
    const elsewhere = await logIn(one.http, kim.username);
    using stays = await other.subscriber(elsewhere.accessToken);
    expect(await end(await both(jan), () => one.http.post("/api/auth/logout", undefined, jan.accessToken))).toEqual(
      new Set(["4401 session.revoked"]),
    );
    const newPassword = { currentPassword: kim.password, newPassword: "another battery" };
    expect(await end(await both(kim), () => one.http.post("/api/auth/change-password", newPassword, elsewhere.accessToken))).toEqual(
      new Set(["4401 session.revoked"]),
    );
    await stays.subscribe<Status>(STATUS, { of: [kim.id] }).tells();
    const ban = `/api/moderation/users/${lea.id}/restrictions`;
    expect(await end(await both(lea), () => one.http.post(ban, { kind: "ban", reason: "spam" }, moderator.accessToken))).toEqual(
      new Set(["4403 account.restricted"]),
    );
    const short = await logIn(one.http, lea.username);
    for (const { accessToken } of [lea, short]) await expect(other.subscriber(accessToken)).rejects.toThrow("4403 account.restricted");
    await expect(other.subscriber(jan.accessToken)).rejects.toThrow("4401 session.revoked");
  }, 60_000);

  it("left no error in either log", () => {
    expect([...pair().one.errors(), ...pair().other.errors()]).toEqual([]);
  });
}

describe("subscriptions", () => {
  const stack = new AsyncDisposableStack();
  let pair: Pair;
  beforeAll(async () => {
    pair = await startPair(stack);
  }, 90_000);
  afterAll(() => stack.disposeAsync());

  it("are refused without a token, with a forged one and with an ended one, and over HTTP", async () => {
    const { one } = pair;
    const owner = await registerPerson(one.http, "owner");
    const forge = createTokenForge(SIGNING_KEYS, "http://localhost:3002");
    const seconds = Math.floor(Date.now() / 1000);
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    using entered = await one.subscriber(forge.token(owner));
    expect(entered.connections).toBe(1);
    const refusal = (token?: string): Promise<string> =>
      one.subscriber(token).then(
        () => "let in",
        (error: unknown) => (error as Error).message,
      );
    expect({
      none: await refusal(),
      nonsense: await refusal("nonsense"),
      "another key": await refusal(forge.token(owner, { key: privateKey })),
      ended: await refusal(forge.token(owner, { claims: { iat: seconds - 100, exp: seconds - 10 } })),
      "a refresh token": await refusal(owner.refreshToken),
    }).toEqual({
      none: "refused: 4401 token.missing",
      nonsense: "refused: 4401 token.invalid",
      "another key": "refused: 4401 token.invalid",
      ended: "refused: 4403 token.expired",
      "a refresh token": "refused: 4401 token.invalid",
    });
    const { status, body } = await one.http.graphql(NOTIFICATION, owner.accessToken);
    expect([status, body.errors?.[0]?.extensions.code]).toEqual([400, "graphql.subscription_over_http"]);
  });

  it("refuse what the use case refuses", async () => {
    const { one } = pair;
    const { accessToken, id } = await registerPerson(one.http, "asker");
    using asker = await one.subscriber(accessToken);
    const refusal = (of: readonly unknown[]): Promise<string> => asker.subscribe(STATUS, { of }).refusal();
    expect(await refusal([])).toBe("input.invalid");
    expect(await refusal(["x"])).toBe("input.invalid");
    expect(await refusal([7])).toBe("input.invalid");
    expect(await refusal(Array.from({ length: 501 }, () => id))).toBe("input.invalid");
    const own = asker.subscribe<Status>(STATUS, { of: [id, id] });
    await own.tells(({ userStatus: { status } }) => status === "online");
  });

  suite(() => pair, false, "1");

  it("are told to go elsewhere when their process ends, and go", async () => {
    const { one, other, database } = pair;
    const leaving = await startApiProcess({ database });
    const { accessToken } = await registerPerson(one.http, "mover");
    using waits = await leaving.subscriber(accessToken);
    using silent = await RawSubscriber.open(leaving.url);
    const told = waits.subscribe<Status>(STATUS, { of: [pair.moderator.id] });
    await told.tells();
    const stopped = leaving.stop();
    const { code, reason } = await waits.closes();
    expect([code, reason]).toEqual([1012, "server.draining"]);
    expect(await silent.closes()).toBe("1012 server.draining");
    expect((await stopped).code).toBe(0);
    using again = await other.subscriber(accessToken);
    await again.subscribe<Status>(STATUS, { of: [pair.moderator.id] }).tells();
  }, 90_000);
});

describeWith("redis-server", "subscriptions with Redis", (path) => {
  const stack = new AsyncDisposableStack();
  let pair: Pair;
  beforeAll(async () => {
    const redis = stack.use(await startRedis(path));
    pair = await startPair(stack, { REDIS_URL: redis.url });
  }, 90_000);
  afterAll(() => stack.disposeAsync());

  suite(() => pair, true, "2");
});
