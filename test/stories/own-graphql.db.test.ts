/** What is one's own over GraphQL, through the real process and gate: sessions, trusted devices, notices, preferences. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { encodeCursor } from "#src/kernel/page";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import { logIn, makeStaff, onDatabase, registerPerson, startApiProcess, type ApiProcess, type SignedIn } from "../kit/service.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let moderator: SignedIn;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  api = stack.use(await startApiProcess({ database }));
  await makeStaff(database, await registerPerson(api.http, "modi"), "moderator");
  moderator = await logIn(api.http, "modi");
});
afterAll(() => stack.disposeAsync());

const NOBODY = "019abc00-0000-7000-8000-000000000001";

/** Data, or the code of the one refusal. */
async function ask<Data = Record<string, never>>(who: SignedIn, text: string): Promise<Data | string> {
  const { status, body } = await api.http.graphql<Data>(text, who.accessToken);
  expect([text, status < 500]).toEqual([text, true]);
  const codes = body.errors?.map(({ extensions }) => extensions.code) ?? [];
  return codes.length > 0 || body.data === null || body.data === undefined ? codes.join(" ") : body.data;
}

const meOf = (who: SignedIn): Promise<unknown> => ask(who, "{ me { username } }");

interface Sessions {
  readonly sessions: {
    readonly edges: readonly { readonly cursor: string; readonly node: Record<string, unknown> }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

async function sessionsOf(who: SignedIn, args = ""): Promise<Sessions["sessions"]> {
  const fields = "id name device place { country city } userAgent address createdAt lastSeenAt expiresAt current byStaff";
  const answer = await ask<Sessions>(who, `{ sessions${args} { edges { cursor node { ${fields} } } pageInfo { hasNextPage endCursor } } }`);
  if (typeof answer === "string") throw new Error(answer);
  return answer.sessions;
}

describe("one's sessions over GraphQL", () => {
  it("are listed as over REST, page by page, and named", async () => {
    const ann = await registerPerson(api.http, "ann");
    const [second, third] = [await logIn(api.http, "ann"), await logIn(api.http, "ann")];
    const whole = await sessionsOf(ann);
    const rest = await api.http.get<{ data: { id: string; lastSeenAt: string }[] }>("/api/auth/sessions", ann.accessToken);
    expect(whole.edges.map(({ node }) => ({ ...node, lastSeenAt: "" }))).toEqual(rest.body.data.map((one) => ({ ...one, lastSeenAt: "" })));
    const first = await sessionsOf(ann, "(first: 2)");
    expect([first.edges.map(({ node }) => node["id"]), first.pageInfo.hasNextPage]).toEqual([[third.sessionId, second.sessionId], true]);
    const next = await sessionsOf(ann, `(first: 2, after: "${first.pageInfo.endCursor ?? ""}")`);
    expect([next.edges.map(({ node }) => [node["id"], node["current"]]), next.pageInfo.hasNextPage]).toEqual([
      [[ann.sessionId, true]],
      false,
    ]);

    const rename = (id: string, name: string): Promise<unknown> =>
      ask(ann, `mutation { renameSession(id: "${id}"${name}) { name current } }`);
    expect(await rename(second.sessionId, `, name: " My  laptop "`)).toEqual({ renameSession: { name: "My laptop", current: false } });
    expect(await rename(second.sessionId, ", name: null")).toEqual({ renameSession: { name: null, current: false } });
    expect(await rename(second.sessionId, "")).toBe("input.invalid");
    expect(await rename(second.sessionId, `, name: "${"x".repeat(51)}"`)).toBe("input.invalid");
    expect(await rename(NOBODY, `, name: "x"`)).toBe("session.not_found");
  });

  it("end one, others, this one or all, before the answer, sockets included", async () => {
    const bob = await registerPerson(api.http, "bob");
    const [phone, laptop, tablet] = [await logIn(api.http, "bob"), await logIn(api.http, "bob"), await logIn(api.http, "bob")];
    using onPhone = await api.socket(phone.accessToken);
    expect(await ask(bob, `mutation { revokeSession(id: "${phone.sessionId}") { status } }`)).toEqual({
      revokeSession: { status: "ended" },
    });
    expect(await meOf(phone)).toBe("session.revoked");
    await onPhone.closes();
    expect(await ask(bob, `mutation { revokeSession(id: "${phone.sessionId}") { status } }`)).toBe("session.not_found");

    expect(await ask(laptop, "mutation { logout { status } }")).toEqual({ logout: { status: "ended" } });
    expect(await meOf(laptop)).toBe("session.revoked");
    expect(await ask(bob, "mutation { revokeOtherSessions { sessionsRevoked } }")).toEqual({ revokeOtherSessions: { sessionsRevoked: 1 } });
    expect([await meOf(tablet), await meOf(bob)]).toEqual(["session.revoked", { me: { username: "bob" } }]);
    await logIn(api.http, "bob");
    // The one before has ended the session of the one after.
    const both = 'mutation { revokeAllSessions { sessionsRevoked } updateProfile(input: { bio: "late" }) { bio } }';
    expect(await ask(bob, both)).toBe("session.revoked");
    const [me] = await onDatabase<{ bio: string; standing: string }>(
      database.adminUrl,
      "select bio, (select count(*) from sessions s where s.user_id = u.id and revoked_at is null) as standing from users u where id = $1",
      [bob.id],
    );
    expect([me?.bio, Number(me?.standing)]).toEqual(["", 0]);
  });
});

describe("one's trusted devices over GraphQL", () => {
  it("are listed, and forgotten one by one or all", async () => {
    const cat = await registerPerson(api.http, "cat");
    const ids = [1, 2, 3].map((number) => `019abc00-0000-7000-8000-00000000000${number + 1}`);
    for (const [index, id] of ids.entries()) {
      await onDatabase(
        database.adminUrl,
        `insert into trusted_devices (id, user_id, device_hash, label, created_at, expires_at)
         values ($1, $2, sha256($3::bytea), 'Firefox on Windows', now() - make_interval(mins => $4), now() + interval '1 day')`,
        [id, cat.id, id, index],
      );
    }
    const listed = (await ask<{ trustedDevices: { id: string; device: string; lastUsedAt: null }[] }>(
      cat,
      "{ trustedDevices { id device trustedAt trustedUntil lastUsedAt } }",
    )) as { trustedDevices: object[] };
    expect(listed.trustedDevices).toMatchObject(ids.map((id) => ({ id, device: "Firefox on Windows", lastUsedAt: null })));
    const forget = `mutation { forgetTrustedDevice(id: "${ids[0] ?? ""}") { devicesForgotten } }`;
    expect(await ask(cat, forget)).toEqual({ forgetTrustedDevice: { devicesForgotten: 1 } });
    expect(await ask(cat, forget)).toBe("trusted_device.not_found");
    expect(await ask(cat, "mutation { forgetTrustedDevices { devicesForgotten } }")).toEqual({
      forgetTrustedDevices: { devicesForgotten: 2 },
    });
  });
});

describe("one's preferences over GraphQL", () => {
  it("are read whole and changed in part, with the mistakes of REST", async () => {
    const dan = await registerPerson(api.http, "dan");
    const fields =
      "language theme reducedMotion notifications { follows { app push } followRequests { app push } followAccepted { app push } }";
    const rest = async (): Promise<unknown> => (await api.http.get("/api/users/me/preferences", dan.accessToken)).body;
    expect(await ask(dan, `{ preferences { ${fields} } }`)).toEqual({ preferences: await rest() });
    const change = (input: string): Promise<unknown> => ask(dan, `mutation { updatePreferences(input: ${input}) { ${fields} } }`);
    const changed = await change(`{ theme: "dark", notifications: { follows: { push: false } } }`);
    expect(changed).toMatchObject({
      updatePreferences: {
        theme: "dark",
        notifications: { follows: { app: true, push: false }, followRequests: { app: true, push: true } },
      },
    });
    expect(changed).toEqual({ updatePreferences: await rest() });
    for (const wrong of [`{ theme: "loud" }`, `{ theme: null }`, `{ language: "xx" }`, `{ notifications: null }`])
      expect([wrong, await change(wrong)]).toEqual([wrong, "input.invalid"]);
    expect({ updatePreferences: await rest() }).toEqual(changed);
  });
});

interface Notices {
  readonly notices: {
    readonly unreadCount: number;
    readonly unreadCountIsExact: boolean;
    readonly edges: readonly { readonly cursor: string; readonly node: { readonly id: string; readonly readAt: string | null } }[];
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
  };
}

async function noticesOf(who: SignedIn, args = ""): Promise<Notices["notices"]> {
  const fields =
    "unreadCount unreadCountIsExact edges { cursor node { id type data createdAt readAt } } pageInfo { hasNextPage endCursor }";
  const answer = await ask<Notices>(who, `{ notices${args} { ${fields} } }`);
  if (typeof answer === "string") throw new Error(answer);
  return answer.notices;
}

const restrict = (userId: string, body: object): Promise<unknown> =>
  api.http.post(`/api/moderation/users/${userId}/restrictions`, { reason: "spam", ...body }, moderator.accessToken);

describe("one's notices over GraphQL", () => {
  it("are listed as over REST with how many are unread, and marked one by one or up to one", async () => {
    const eve = await registerPerson(api.http, "eve");
    for (const capability of ["upload", "post", "message"]) await restrict(eve.id, { kind: "limit", capabilities: [capability] });
    const whole = await noticesOf(eve);
    const rest = await api.http.get<{ data: object[] }>("/api/users/me/notices", eve.accessToken);
    expect(whole.edges.map(({ node }) => node)).toEqual(rest.body.data);
    expect([whole.unreadCount, whole.unreadCountIsExact, whole.edges.length]).toEqual([3, true, 3]);
    const [newest, middle, oldest] = whole.edges.map(({ node }) => node.id) as [string, string, string];
    const first = await noticesOf(eve, "(first: 1)");
    expect([first.edges[0]?.node.id, first.pageInfo.hasNextPage]).toEqual([newest, true]);
    const rests = await noticesOf(eve, `(after: "${first.pageInfo.endCursor ?? ""}")`);
    expect([rests.edges.map(({ node }) => node.id), rests.pageInfo.hasNextPage]).toEqual([[middle, oldest], false]);

    const mark = (id: string, read: boolean): Promise<unknown> =>
      ask(eve, `mutation { markNotice(id: "${id}", read: ${read}) { id readAt } }`);
    expect(await mark(newest, true)).toEqual({ markNotice: { id: newest, readAt: expect.any(String) } });
    expect((await noticesOf(eve, "(unreadOnly: true)")).edges.map(({ node }) => node.id)).toEqual([middle, oldest]);
    expect(await mark(newest, false)).toEqual({ markNotice: { id: newest, readAt: null } });
    expect(await ask(eve, `mutation { markNoticesRead(upTo: "${middle}") { marked } }`)).toEqual({ markNoticesRead: { marked: 2 } });
    expect((await noticesOf(eve, "(unreadOnly: true)")).edges.map(({ node }) => node.id)).toEqual([newest]);
    expect(await ask(eve, "mutation { markNoticesRead(upTo: null) { marked } }")).toEqual({ markNoticesRead: { marked: 1 } });
    expect((await noticesOf(eve)).unreadCount).toBe(0);
  });

  it("are read by whom a ban keeps out of everything else, who may also leave", async () => {
    const fay = await registerPerson(api.http, "fay");
    await restrict(fay.id, { kind: "ban", message: "enough" });
    const kept = await logIn(api.http, "fay");
    const [newest] = (await noticesOf(kept)).edges;
    expect(newest?.node).toMatchObject({ type: "restriction.imposed", data: { kind: "ban", message: "enough" } });
    expect(await ask(kept, `mutation { markNotice(id: "${newest?.node.id ?? ""}", read: true) { id } }`)).toHaveProperty("markNotice");
    for (const field of [
      "followRequests { totalCount }",
      "blocks { edges { cursor } }",
      "mutes { edges { cursor } }",
      "sessions { edges { cursor } }",
      "trustedDevices { id }",
      "preferences { theme }",
      "me { followers { totalCount } }",
    ])
      expect([field, await ask(kept, `{ ${field} }`)]).toEqual([field, "account.restricted"]);
    // What is beside it does not open the rest.
    expect(await ask(kept, "{ notices { unreadCount } me { followers { totalCount } } }")).toBe("account.restricted");
    expect(await ask(kept, "mutation { logout { status } }")).toEqual({ logout: { status: "ended" } });
    expect(await ask(kept, "{ notices { unreadCount } }")).toBe("session.revoked");
  });
});

describe("what is no id, length or cursor", () => {
  it("is refused by every field that takes one", async () => {
    const gus = await registerPerson(api.http, "gus");
    const foreign = encodeCursor("notices", [NOBODY]);
    const other = encodeCursor("sessions", [new Date(0).toISOString(), NOBODY]);
    const wrong = ["first: 0", "first: -1", "first: 101", `after: "x"`, `after: ""`, `after: "${"x".repeat(513)}"`].flatMap((args) => [
      `{ sessions(${args}) { edges { cursor } } }`,
      `{ notices(${args}) { edges { cursor } } }`,
    ]);
    wrong.push(`{ sessions(after: "${foreign}") { edges { cursor } } }`, `{ notices(after: "${other}") { edges { cursor } } }`);
    wrong.push(`{ sessions(after: "${encodeCursor("sessions", ["never", NOBODY])}") { edges { cursor } } }`);
    for (const id of ["1", "me", "gus", "%00", `${NOBODY} `, "x".repeat(2_000)]) {
      wrong.push(
        `mutation { markNotice(id: "${id}", read: true) { id } }`,
        `mutation { markNoticesRead(upTo: "${id}") { marked } }`,
        `mutation { renameSession(id: "${id}", name: "x") { id } }`,
        `mutation { revokeSession(id: "${id}") { status } }`,
        `mutation { forgetTrustedDevice(id: "${id}") { devicesForgotten } }`,
      );
    }
    for (const text of wrong) expect([text, await ask(gus, text)]).toEqual([text, "input.invalid"]);
    for (const field of ["sessions", "notices", "followRequests", "blocks", "mutes"])
      expect([field, await ask(gus, `{ ${field}(first: 1000000000) { edges { cursor } } }`)]).toEqual([field, "graphql.too_costly"]);
    expect(await meOf(gus)).toEqual({ me: { username: "gus" } });
  });

  it("does not bring lists within lists past the limits of depth and cost", async () => {
    const hal = await registerPerson(api.http, "hal");
    const within = (depth: number, first: number): string =>
      depth === 0 ? "{ id }" : `{ followers(first: ${first}) { edges { node ${within(depth - 1, first)} } } }`;
    expect(await ask(hal, `{ me ${within(2, 10)} }`)).toHaveProperty("me");
    expect(await ask(hal, `{ me ${within(2, 18)} }`)).toBe("graphql.too_costly");
    expect(await ask(hal, `{ me ${within(3, 1)} }`)).toBe("graphql.too_deep");
    expect(await ask(hal, `{ me { followers(first: 1000000000) { totalCount } } }`)).toBe("graphql.too_costly");
    const variables = { f: 1_000_000_000 };
    const byVariable = await api.http.graphql(
      "query q($f: Int) { me { followers(first: $f) { totalCount } } }",
      hal.accessToken,
      variables,
    );
    expect(byVariable.body.errors?.[0]?.extensions.code).toBe("graphql.too_costly");
    // Not said: twenty, each time.
    expect(await ask(hal, "{ me { followers { edges { node { following { edges { node { id } } } } } } } }")).toBe("graphql.too_costly");
  });

  it("left no error in the log", () => {
    expect(api.errors()).toEqual([]);
  });
});
