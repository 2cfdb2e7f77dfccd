/** An admin in somebody's place, against running processes: what it may do on every surface, who is told, and what ends it. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import {
  logIn,
  makeStaff,
  onDatabase,
  registerPeople,
  registerPerson,
  startApiProcess,
  startWorkerProcess,
  type ApiProcess,
  type SignedIn,
} from "../kit/service.ts";
import { until } from "../kit/until.ts";
import { IMPERSONATION, type Decision } from "./impersonation-matrix.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
/** Of the same service: what ends at one ends at the other. */
let other: ApiProcess;
let admin: SignedIn;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  const [first, second, worker] = await Promise.all([
    startApiProcess({ database }),
    startApiProcess({ database }),
    startWorkerProcess({ database }),
  ]);
  [api, other] = [stack.use(first), stack.use(second)];
  stack.use(worker);
  admin = await newAdmin("chief");
}, 90_000);
afterAll(() => stack.disposeAsync());

async function newAdmin(name: string): Promise<SignedIn> {
  const made = await registerPerson(api.http, name);
  await makeStaff(database, made, "admin");
  return await logIn(api.http, name);
}

const reason = "asked for help with their feed";

interface Begun {
  readonly accessToken: string;
  readonly expiresIn: number;
  readonly refreshToken?: string;
  readonly session: { readonly id: string; readonly expiresAt: string };
}
const ask = (userId: string, by = admin.accessToken, body: object = { reason }): Promise<Answer<Begun & ProblemBody>> =>
  api.http.post<Begun & ProblemBody>(`/api/admin/users/${userId}/impersonate`, body, by);
async function impersonated(userId: string, by = admin.accessToken): Promise<Begun> {
  const { status, body } = await ask(userId, by);
  if (status !== 201) throw new Error(`${status} ${body.code}`);
  return body;
}
const outcomeOf = ({ status, body }: Answer<ProblemBody>): string => (status < 400 ? String(status) : `${status} ${body.code}`);
const me = async (at: ApiProcess, token: string): Promise<string> => {
  const { status, body } = await at.http.get<ProblemBody>("/api/users/me", token);
  return status < 400 ? "ok" : body.code;
};

const NOBODY = "019abc00-0000-7000-8000-000000000001";
const QUERIES: Readonly<Record<string, string>> = {
  "Query.me": "{ me { id } }",
  "Query.user": `{ user(id: "${NOBODY}") { id } }`,
  "Query._entities": `{ _entities(representations: [{ __typename: "User", id: "${NOBODY}" }]) { __typename } }`,
  "Query._service": "{ _service { sdl } }",
  "Query.searchUsers": `{ searchUsers(query: "no") { data { id } } }`,
  "Query.suggestions": "{ suggestions { user { id } } }",
  "Mutation.dismissSuggestion": `mutation { dismissSuggestion(userId: "${NOBODY}") { status } }`,
  "Mutation.updateProfile": `mutation { updateProfile(input: { bio: "hers" }) { id } }`,
  "Mutation.follow": `mutation { follow(userId: "${NOBODY}") { status } }`,
  "Mutation.unfollow": `mutation { unfollow(userId: "${NOBODY}") { status } }`,
  "Query.privacy": "{ privacy { preset } }",
  "Mutation.updatePrivacy": `mutation { updatePrivacy(input: { typing: "nobody" }) { preset } }`,
  ...Object.fromEntries(
    ["block", "unblock", "mute", "unmute", "removeFollower", "acceptFollowRequest", "rejectFollowRequest"].map((name) => [
      `Mutation.${name}`,
      `mutation { ${name}(userId: "${NOBODY}") { status } }`,
    ]),
  ),
  ...Object.fromEntries(
    ["followRequests", "blocks", "mutes", "notices", "sessions"].map((name) => [
      `Query.${name}`,
      `{ ${name} { edges { cursor } pageInfo { hasNextPage } } }`,
    ]),
  ),
  "Mutation.markNotice": `mutation { markNotice(id: "${NOBODY}", read: true) { id } }`,
  "Mutation.markNoticesRead": "mutation { markNoticesRead { marked } }",
  "Query.preferences": "{ preferences { theme } }",
  "Mutation.updatePreferences": `mutation { updatePreferences(input: { theme: "dark" }) { theme } }`,
  "Mutation.renameSession": `mutation { renameSession(id: "${NOBODY}", name: "hers") { id } }`,
  "Mutation.revokeSession": `mutation { revokeSession(id: "${NOBODY}") { status } }`,
  "Mutation.revokeOtherSessions": "mutation { revokeOtherSessions { sessionsRevoked } }",
  "Mutation.revokeAllSessions": "mutation { revokeAllSessions { sessionsRevoked } }",
  "Mutation.logout": "mutation { logout { status } }",
  "Query.trustedDevices": "{ trustedDevices { id } }",
  "Mutation.forgetTrustedDevice": `mutation { forgetTrustedDevice(id: "${NOBODY}") { devicesForgotten } }`,
  "Mutation.forgetTrustedDevices": "mutation { forgetTrustedDevices { devicesForgotten } }",
};

async function doors(): Promise<string[]> {
  const { paths } = (await api.http.get<{ paths: Record<string, Record<string, { security?: object[] }>> }>("/openapi.json")).body;
  const rest = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { security }]) => (security?.length === 0 ? [] : [`${method.toUpperCase()} ${path}`])),
  );
  interface Schema {
    readonly __schema: {
      readonly types: readonly { readonly name: string; readonly fields: readonly { readonly name: string }[] | null }[];
    };
  }
  const { types } = (await api.http.graphql<Schema>("{ __schema { types { name fields { name } } } }")).body.data?.__schema ?? {
    types: [],
  };
  const fields = types
    .filter(({ name }) => name === "Query" || name === "Mutation" || name === "Subscription")
    .flatMap(({ name, fields: of }) => (of ?? []).map((field) => `${name}.${field.name}`));
  const { operations } = (
    await api.http.get<{ operations: Record<string, { action: string; channel: { $ref: string } }> }>("/asyncapi.json")
  ).body;
  const events = Object.entries(operations).flatMap(([name, { action, channel }]) =>
    action === "receive" && channel.$ref.endsWith("/sockets") ? [`socket ${name.replace(/^receive\./, "").replace(".", ":")}`] : [],
  );
  return [...rest, ...fields, ...events];
}

/** The code that it was refused with, whatever for. */
function knock(door: string, token: string): Promise<string | undefined> {
  if (door.startsWith("socket ")) return knockBySocket(door.slice("socket ".length), token);
  if (door.startsWith("Subscription.")) return knockBySubscription(door, token);
  const query = QUERIES[door];
  if (query === undefined) return knockByRest(door, token);
  return api.http.graphql(query, token).then(({ body }) => body.errors?.[0]?.extensions.code);
}

const SUBSCRIPTIONS: Readonly<Record<string, string>> = {
  "Subscription.userStatus": `subscription { userStatus(userIds: "${NOBODY}") { seq } }`,
  "Subscription.profileUpdated": `subscription { profileUpdated(userIds: "${NOBODY}") { bio } }`,
  "Subscription.notification": "subscription { notification { id } }",
};

/** One that is let in says so by telling, or by being silent until a later one tells, which the database is asked for. */
async function knockBySubscription(door: string, token: string): Promise<string | undefined> {
  using subscriber = await api.subscriber(token);
  const asked = subscriber.subscribe(SUBSCRIPTIONS[door] ?? "");
  const later = subscriber.subscribe(SUBSCRIPTIONS["Subscription.userStatus"] ?? "");
  await until(() => later.told.length > 0 || later.refused !== undefined);
  return asked.refused?.[0];
}

async function knockBySocket(name: string, token: string): Promise<string | undefined> {
  using socket = await api.socket(token);
  const payloads: Readonly<Record<string, object>> = { "token:refresh": { accessToken: token }, "presence:set": { status: "online" } };
  const answer = await socket.ask(name, payloads[name] ?? (name.startsWith("presence:") ? { userIds: [NOBODY] } : {}));
  return answer.ok ? undefined : answer.error.code;
}

const SEARCHES: Readonly<Record<string, string>> = {
  "/api/users": `?ids=${NOBODY}`,
  "/api/users/relationships": `?ids=${NOBODY}`,
  "/api/users/search": "?q=nobody",
};

async function knockByRest(door: string, token: string): Promise<string | undefined> {
  const [method = "", declared = ""] = door.split(" ");
  const path = declared.replaceAll(/\{\w+\}/g, NOBODY) + (SEARCHES[declared] ?? "");
  const body = method === "GET" || method === "DELETE" ? {} : { body: {} };
  const answer = await api.http.send<ProblemBody | undefined>(method, path, { token, ...body });
  return answer.status < 400 ? undefined : answer.body?.code;
}

const usesOf = async (sessionId: string): Promise<string[]> => {
  const text =
    "select actor_id, facts ->> 'writes' as writes from audit_log where facts ->> 'sessionId' = $1 and action = 'impersonation.used' order by id";
  const found = await onDatabase<{ actor_id: string; writes: string }>(database.adminUrl, text, [sessionId]);
  expect(new Set(found.map(({ actor_id: actorId }) => actorId))).toEqual(new Set(found.length === 0 ? [] : [admin.id]));
  return found.map(({ writes }) => writes);
};

describe("what may be done in somebody's place", () => {
  it("is decided for every route, field and event that wants a token: a new one has no line, and fails here until it has", async () => {
    expect((await doors()).sort()).toEqual(Object.keys(IMPERSONATION).sort());
  });

  it("is as decided on every surface; what is written is on record under the admin's name, and nothing else is", async () => {
    const { ann } = await registerPeople(api.http, ["ann"]);
    const begun = await impersonated(ann.id);
    const found: Record<string, Decision> = {};
    const known = new Map<string, number>();
    for (const door of Object.keys(IMPERSONATION)) {
      // What leaves it has one of its own.
      const leaves = /logout$/i.test(door);
      const { accessToken, session } = leaves ? await impersonated(ann.id) : begun;
      const code = await knock(door, accessToken);
      const uses = await usesOf(session.id);
      const fresh = uses.slice(known.get(session.id) ?? 0);
      known.set(session.id, uses.length);
      found[door] = code === "impersonation.refused" ? "refused" : fresh[0] === undefined ? "look" : `write ${fresh[0]}`;
      expect([door, await me(api, accessToken)]).toEqual([door, leaves ? "session.revoked" : "ok"]);
    }
    expect(found).toEqual(IMPERSONATION);
    const entries = await onDatabase<{ actor_id: string }>(database.adminUrl, "select actor_id from audit_log where subject_id = $1", [
      ann.id,
    ]);
    expect(new Set(entries.map(({ actor_id: actorId }) => actorId))).toEqual(new Set([admin.id]));
    expect(await me(api, ann.accessToken)).toBe("ok");
  }, 90_000);

  it("is done as the user, and leaves what they have read, when they were seen and whether they are online as it was", async () => {
    const { bea, cal } = await registerPeople(api.http, ["bea", "cal"]);
    const { accessToken } = await impersonated(bea.id);
    await api.http.send("PATCH", "/api/users/me", { token: accessToken, body: { bio: "set right" } });
    await api.http.post(`/api/users/${cal.id}/follow`, undefined, accessToken);
    expect((await api.http.get("/api/users/me", bea.accessToken)).body).toMatchObject({ bio: "set right", followingCount: 1 });

    using watcher = await api.socket(cal.accessToken);
    await watcher.ask("presence:watch", { userIds: [bea.id] });
    using acting = await api.socket(accessToken);
    // Whether she was online before or is told of only then, they see it.
    await until(
      async () => {
        const ack = await acting.ask<{ statuses: { status: string }[] }>("presence:watch", { userIds: [cal.id] });
        return ack.ok && ack.data.statuses[0]?.status === "online";
      },
      { what: "who acts to see her online" },
    );
    expect(watcher.told.filter(({ name }) => name === "user:status")).toEqual([]);
    acting[Symbol.dispose]();
    await until(async () => (await onDatabase(database.adminUrl, "select 1 from last_seen where user_id = $1", [cal.id])).length > 0, {
      withinMs: 20_000,
      what: "last seen to be written",
    });
    for (const table of ["last_seen", "connections", "presence_states"]) {
      const found = await onDatabase(database.adminUrl, `select 1 from ${table} where user_id = $1 and $2 <> 'offline'`, [bea.id, table]);
      expect([table, found]).toEqual([table, []]);
    }
    const unread = await onDatabase(database.adminUrl, "select 1 from notices where user_id = $1 and read_at is not null", [bea.id]);
    expect(unread).toEqual([]);
  }, 90_000);
});

describe("beginning it", () => {
  it("gives a short token that names both, without a refresh token, and tells the user, not why", async () => {
    const { dan } = await registerPeople(api.http, ["dan"]);
    const { status, body } = await ask(dan.id, admin.accessToken, { reason, minutes: 3 });
    expect(status).toBe(201);
    const claims = JSON.parse(Buffer.from(body.accessToken.split(".")[1] ?? "", "base64url").toString("utf8")) as Record<string, unknown>;
    expect(claims).toMatchObject({ sub: dan.id, sid: body.session.id, act: { sub: admin.id }, roles: ["user"] });
    expect(Number(claims["exp"]) - Number(claims["iat"])).toBeLessThanOrEqual(180);
    expect(body.refreshToken).toBeUndefined();

    const notices = await api.http.get<{ data: { type: string; data: object }[] }>("/api/users/me/notices", dan.accessToken);
    expect(notices.body.data).toMatchObject([
      { type: "security.impersonated", data: { sessionId: body.session.id, expiresAt: body.session.expiresAt } },
    ]);
    const mail = await until(async () => {
      const text = "select text_body from mailbox where recipient = $1 and subject = 'One of our staff is looking at your account'";
      return (await onDatabase<{ text_body: string }>(database.adminUrl, text, [dan.email]))[0]?.text_body;
    });
    expect(mail + JSON.stringify(notices.body)).not.toContain(reason);
    expect(mail).not.toContain("chief");

    const listed = await api.http.get<{ data: object[] }>(`/api/admin/impersonations?userId=${dan.id}`, admin.accessToken);
    expect(listed.body.data).toMatchObject([
      { id: body.session.id, userId: dan.id, impersonatorId: admin.id, reason, expiresAt: body.session.expiresAt, endedAt: null },
    ]);
    const [entry] = await onDatabase(database.adminUrl, "select actor_id, action, facts from audit_log where subject_id = $1", [dan.id]);
    expect(entry).toEqual({
      actor_id: admin.id,
      action: "account.impersonated",
      facts: { sessionId: body.session.id, expiresAt: body.session.expiresAt, by: "admin" },
    });
    const sessions = await api.http.get<{ data: { id: string; byStaff: boolean; address: string }[] }>(
      "/api/auth/sessions",
      dan.accessToken,
    );
    expect(sessions.body.data.map(({ id, byStaff, address }) => [id === body.session.id, byStaff, address === ""])).toEqual([
      [true, true, true],
      [false, false, false],
    ]);
  });

  it("is refused without a reason, for longer, by others than admins, without a fresh session, and of whom it must not be", async () => {
    const made = await registerPeople(api.http, ["eve", "modi", "bossy", "banny", "gone", "erasy"]);
    const { eve, modi: mod, bossy: boss, banny: banned, gone, erasy: erased } = made;
    await makeStaff(database, mod, "moderator");
    await makeStaff(database, boss, "admin");
    await api.http.post(`/api/moderation/users/${banned.id}/restrictions`, { kind: "ban", reason: "spam" }, admin.accessToken);
    await onDatabase(database.adminUrl, "update users set status = 'deactivated' where id = $1", [gone.id]);
    await onDatabase(database.adminUrl, "update users set status = 'erased' where id = $1", [erased.id]);
    const late = await logIn(api.http, "chief");
    await onDatabase(database.adminUrl, "update sessions set created_at = now() - interval '11 minutes' where id = $1", [late.sessionId]);
    const moderator = await logIn(api.http, "modi");
    const { accessToken: acting } = await impersonated(eve.id);
    const outcomes = {
      "no reason": await ask(eve.id, admin.accessToken, {}),
      "a short one": await ask(eve.id, admin.accessToken, { reason: "123456789" }),
      "a long one": await ask(eve.id, admin.accessToken, { reason: "x".repeat(501) }),
      longer: await ask(eve.id, admin.accessToken, { reason, minutes: 16 }),
      stale: await ask(eve.id, late.accessToken),
      "by a moderator": await ask(eve.id, moderator.accessToken),
      "by a user": await ask(mod.id, eve.accessToken),
      "in somebody's place": await ask(gone.id, acting),
      oneself: await ask(admin.id),
      "of a moderator": await ask(mod.id),
      "of an admin": await ask(boss.id),
      "of nobody": await ask(NOBODY),
      "of a banned one": await ask(banned.id),
      "of a deactivated one": await ask(gone.id),
      "of an erased one": await ask(erased.id),
    };
    expect(Object.fromEntries(Object.entries(outcomes).map(([name, answer]) => [name, outcomeOf(answer)]))).toEqual({
      "no reason": "400 input.invalid",
      "a short one": "400 input.invalid",
      "a long one": "400 input.invalid",
      longer: "400 input.invalid",
      stale: "403 step_up.required",
      "by a moderator": "403 access.denied",
      "by a user": "403 access.denied",
      "in somebody's place": "403 impersonation.refused",
      oneself: "403 admin.own_account",
      "of a moderator": "403 role.insufficient",
      "of an admin": "403 role.insufficient",
      "of nobody": "404 user.not_found",
      "of a banned one": "409 impersonation.unavailable",
      "of a deactivated one": "409 impersonation.unavailable",
      "of an erased one": "409 impersonation.unavailable",
    });
  });

  it("is counted by admin, exactly, however many ask at once", async () => {
    const { fay } = await registerPeople(api.http, ["fay"]);
    const busy = await newAdmin("busy");
    const answers = await Promise.all(Array.from({ length: 25 }, () => ask(fay.id, busy.accessToken)));
    expect(answers.map(outcomeOf).sort()).toEqual([
      ...Array.from({ length: 20 }, () => "201"),
      ...Array.from({ length: 5 }, () => "429 impersonation.too_often"),
    ]);
    const refused = answers.find(({ status }) => status === 429);
    expect(Number(refused?.headers["retry-after"])).toBeGreaterThan(3_500);
    await impersonated(fay.id);
  }, 90_000);
});

describe("its end", () => {
  const ENDS: Readonly<Record<string, (parties: { user: SignedIn; by: SignedIn; begun: Begun }) => Promise<Answer<unknown>>>> = {
    "its own logout": ({ begun }) => api.http.post("/api/auth/logout", undefined, begun.accessToken),
    "the admin's logout": ({ by }) => api.http.post("/api/auth/logout", undefined, by.accessToken),
    "the admin's new password": ({ by }) => {
      const body = { currentPassword: by.password, newPassword: "another battery" };
      return logIn(api.http, by.username).then(({ accessToken }) => api.http.post("/api/auth/change-password", body, accessToken));
    },
    "the admin who ends it": ({ by, begun }) =>
      api.http.send("DELETE", `/api/admin/impersonations/${begun.session.id}`, { token: by.accessToken }),
    "another admin": ({ begun }) => api.http.send("DELETE", `/api/admin/impersonations/${begun.session.id}`, { token: admin.accessToken }),
    "the user who ends it": ({ user, begun }) =>
      api.http.send("DELETE", `/api/auth/sessions/${begun.session.id}`, { token: user.accessToken }),
    "the user who ends all others": ({ user }) => api.http.post("/api/auth/sessions/revoke-others", undefined, user.accessToken),
    "the user's ban": ({ user }) =>
      api.http.post(`/api/moderation/users/${user.id}/restrictions`, { kind: "ban", reason: "spam" }, admin.accessToken),
  };

  it.each(Object.keys(ENDS))("comes with %s: at once, at every process, with its sockets", async (name) => {
    const index = Object.keys(ENDS).indexOf(name);
    const by = await newAdmin(`by${index}`);
    const user = await registerPerson(api.http, `user${index}`);
    const begun = await impersonated(user.id, by.accessToken);
    using here = await api.socket(begun.accessToken);
    using there = await other.socket(begun.accessToken);
    expect([await me(api, begun.accessToken), await me(other, begun.accessToken)]).toEqual(["ok", "ok"]);
    expect((await ENDS[name]?.({ user, by, begun }))?.status).toBeLessThan(300);
    const endedMs = performance.now();
    for (const socket of [here, there]) expect((await socket.closes()).atMs - endedMs).toBeLessThan(1_000);
    const code = name === "the user's ban" ? "account.restricted" : "session.revoked";
    expect([await me(api, begun.accessToken), await me(other, begun.accessToken)]).toEqual([code, code]);
    const again = await api.http.send<ProblemBody>("DELETE", `/api/admin/impersonations/${begun.session.id}`, { token: admin.accessToken });
    expect(outcomeOf(again)).toBe("404 impersonation.not_found");
  });

  it("is in the security stream with its beginning, its uses and its refusals, each with both ids", async () => {
    const events = (): readonly Readonly<Record<string, unknown>>[] => api.logged('"kind":"impersonation.');
    const kinds = ["impersonation.begun", "impersonation.ended", "impersonation.refused", "impersonation.used"];
    await until(() => [...new Set(events().map(({ kind }) => String(kind)))].toSorted().join() === kinds.join(), {
      what: "a line of each kind",
    });
    for (const { actorId, userId } of events())
      expect([typeof actorId, typeof userId, actorId === userId]).toEqual(["string", "string", false]);
  });

  it("leaves no error in the log", () => {
    expect([...api.errors(), ...other.errors()]).toEqual([]);
  });
});
