/**
 * Object-level authorisation, swept from the documents that the running API gives of itself: every REST operation, every
 * GraphQL field, every socket event, asked by somebody else with the owner's ids, and by nobody. Something new has no
 * rule here, and fails until it has one.
 */

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
  type ApiProcess,
  type SignedIn,
} from "../kit/service.ts";
import { until } from "../kit/until.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
/** Whose things they are; a second session of hers; somebody else; and staff. */
let people: Record<"owner" | "ownerElsewhere" | "other" | "moderator" | "admin", SignedIn>;
/** Ids of things that are the owner's. */
let ids: { readonly notice: string; readonly restriction: string };

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  api = stack.use(await startApiProcess({ database }));
  const made = await registerPeople(api.http, ["owner", "other", "moderator1", "admin1"]);
  await makeStaff(database, made.moderator1, "moderator");
  await makeStaff(database, made.admin1, "admin");
  people = {
    owner: made.owner,
    ownerElsewhere: await logIn(api.http, "owner"),
    other: made.other,
    moderator: await logIn(api.http, "moderator1"),
    admin: await logIn(api.http, "admin1"),
  };
  const path = `/api/moderation/users/${made.owner.id}/restrictions`;
  const restriction = await api.http.post<{ id: string }>(
    path,
    { kind: "limit", capabilities: ["upload"], reason: "spam", message: "for the owner" },
    people.moderator.accessToken,
  );
  const notices = await api.http.get<{ data: { id: string }[] }>("/api/users/me/notices", made.owner.accessToken);
  ids = { restriction: restriction.body.id, notice: notices.body.data[0]?.id ?? "" };
  await api.http.send("PATCH", "/api/users/me", { token: made.owner.accessToken, body: { bio: "hello" } });
});
afterAll(() => stack.disposeAsync());

/** What only the owner and, of some of it, moderators may learn. */
const secretsOf = (owner: SignedIn): readonly string[] => [
  owner.email,
  owner.sessionId,
  people.ownerElsewhere.sessionId,
  ids.notice,
  ids.restriction,
  "for the owner",
];

function expectNothingOfTheOwner(answer: unknown): void {
  const text = JSON.stringify(answer);
  for (const secret of secretsOf(people.owner)) expect(text).not.toContain(secret);
}

const count = async (table: string, where: string): Promise<number> =>
  Number((await onDatabase<{ count: string }>(database.adminUrl, `select count(*) from ${table} where ${where}`))[0]?.count);

/** What somebody else gets. */
interface Rule {
  /** Needs no token at all; everything else is refused with `token.missing`. */
  readonly open?: true;
  /** With the owner's ids in it. */
  readonly path?: () => string;
  readonly body?: () => unknown;
  /** `200` and the like, or status and code of the refusal. */
  readonly other: string;
}

const staffOnly = "403 access.denied";
const decision = (): object => ({ kind: "ban", reason: "spam" });

/** Method and path as in the OpenAPI document → what another account gets that asks for the owner's. */
const REST: Readonly<Record<string, Rule>> = {
  "POST /api/auth/register": {
    open: true,
    body: () => ({ email: people.owner.email, username: "third", password: "correct horse battery" }),
    other: "409 email.taken",
  },
  "POST /api/auth/login": {
    open: true,
    body: () => ({ emailOrUsername: "owner", password: "not the password" }),
    other: "401 credentials.invalid",
  },
  "POST /api/auth/refresh": { open: true, body: () => ({ refreshToken: "not.the.token" }), other: "401 refresh.invalid" },
  "GET /.well-known/jwks.json": { open: true, other: "200" },
  "GET /health": { open: true, other: "200" },
  "GET /health/ready": { open: true, other: "200" },
  "GET /health/services": { open: true, other: "200" },
  "GET /health/metrics": { open: true, other: "200" },
  "GET /metrics": { open: true, other: "200" },

  "GET /api/users/me": { other: "200" },
  "PATCH /api/users/me": { body: () => ({ bio: "mine" }), other: "200" },
  "GET /api/users/me/notices": { other: "200" },
  "PATCH /api/users/me/notices/{id}": {
    path: () => `/api/users/me/notices/${ids.notice}`,
    body: () => ({ read: true }),
    other: "404 notice.not_found",
  },
  "GET /api/auth/sessions": { other: "200" },
  "DELETE /api/auth/sessions/{id}": { path: () => `/api/auth/sessions/${people.owner.sessionId}`, other: "404 session.not_found" },

  "GET /api/users/{idOrUsername}": { path: () => `/api/users/${people.owner.id}`, other: "200" },
  "GET /api/users/search": { path: () => "/api/users/search?q=owner", other: "200" },
  "POST /api/users/{id}/follow": { path: () => `/api/users/${people.owner.id}/follow`, other: "200" },
  "DELETE /api/users/{id}/follow": { path: () => `/api/users/${people.owner.id}/follow`, other: "200" },
  "GET /api/users/{id}/followers": { path: () => `/api/users/${people.owner.id}/followers`, other: "200" },
  "GET /api/users/{id}/following": { path: () => `/api/users/${people.owner.id}/following`, other: "200" },

  "POST /api/moderation/users/{id}/restrictions": {
    path: () => `/api/moderation/users/${people.owner.id}/restrictions`,
    body: decision,
    other: staffOnly,
  },
  "DELETE /api/moderation/restrictions/{id}": {
    path: () => `/api/moderation/restrictions/${ids.restriction}`,
    body: () => ({ note: "x" }),
    other: staffOnly,
  },
  "GET /api/moderation/users/{id}": { path: () => `/api/moderation/users/${people.owner.id}`, other: staffOnly },
  "GET /api/websocket/info": { open: true, other: "200" },
  "GET /api/websocket/stats": { other: staffOnly },

  // Last: they end the session that asks.
  "POST /api/auth/logout": { other: "204" },
  "POST /api/auth/logout-all": { other: "401 session.revoked" },
};

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly security?: readonly object[] }>>>>;
}

async function operations(): Promise<Readonly<Record<string, { readonly isOpen: boolean }>>> {
  const { body } = await api.http.get<OpenApi>("/openapi.json");
  const found = Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, { security }]) => [`${method.toUpperCase()} ${path}`, { isOpen: security?.length === 0 }] as const,
    ),
  );
  return Object.fromEntries(found);
}

function ask(operation: string, rule: Rule, token?: string): Promise<Answer<ProblemBody>> {
  const [method = "", declared = ""] = operation.split(" ");
  return api.http.send(method, rule.path?.() ?? declared, { token, ...(rule.body === undefined ? {} : { body: rule.body() }) });
}

const outcomeOf = ({ status, body }: Answer<ProblemBody>): string => (status < 400 ? String(status) : `${status} ${body.code}`);

describe("REST", () => {
  it("has a rule here for every operation of the OpenAPI document, and none for what is not there", async () => {
    const documented = await operations();
    expect(Object.keys(REST).sort()).toEqual(Object.keys(documented).sort());
    expect(
      Object.entries(documented)
        .flatMap(([operation, { isOpen }]) => (isOpen ? [operation] : []))
        .sort(),
    ).toEqual(
      Object.entries(REST)
        .flatMap(([operation, { open }]) => (open === true ? [operation] : []))
        .sort(),
    );
  });

  it("refuses nobody's and nonsense tokens wherever an account is needed", async () => {
    for (const [operation, rule] of Object.entries(REST).filter(([, { open }]) => open !== true)) {
      expect([operation, outcomeOf(await ask(operation, rule))]).toEqual([operation, "401 token.missing"]);
      expect([operation, outcomeOf(await ask(operation, rule, "nonsense"))]).toEqual([operation, "401 token.invalid"]);
    }
  });

  it("gives another account nothing of the owner's, and changes nothing", async () => {
    const other = await logIn(api.http, "other");
    for (const [operation, rule] of Object.entries(REST)) {
      const answer = await (operation.endsWith("logout-all")
        ? until(async () => {
            // Logged out by the operation before; known everywhere within a second.
            const late = await ask("GET /api/users/me", { other: "" }, other.accessToken);
            return late.status === 200 ? undefined : ask(operation, rule, other.accessToken);
          })
        : ask(operation, rule, other.accessToken));
      expect([operation, outcomeOf(answer)]).toEqual([operation, rule.other]);
      // A refusal names the path that was asked for.
      expectNothingOfTheOwner({ ...answer.body, instance: undefined });
    }
    expect((await api.http.get("/api/users/me", people.owner.accessToken)).body).toMatchObject({
      username: "owner",
      email: people.owner.email,
      bio: "hello",
      followersCount: 0,
    });
    expect(await count("sessions", `user_id = '${people.owner.id}' and revoked_at is null`)).toBe(2);
    expect(await count("restrictions", `user_id = '${people.owner.id}' and lifted_at is null`)).toBe(1);
    expect(await count("notices", `user_id = '${people.owner.id}' and read_at is not null`)).toBe(0);
  });

  it("gives the owner what is hers, so that each refusal above is about who asks", async () => {
    const mine = await api.http.get<{ data: { id: string }[] }>("/api/auth/sessions", people.owner.accessToken);
    expect(mine.body.data.map(({ id }) => id).sort()).toEqual([people.owner.sessionId, people.ownerElsewhere.sessionId].sort());
    expect(
      outcomeOf(await ask("PATCH /api/users/me/notices/{id}", REST["PATCH /api/users/me/notices/{id}"] as Rule, people.owner.accessToken)),
    ).toBe("200");
    const third = await logIn(api.http, "owner");
    expect((await api.http.send("DELETE", `/api/auth/sessions/${third.sessionId}`, { token: people.owner.accessToken })).status).toBe(204);
  });

  it("gives a moderator the record of a user and the figures of sockets, and no more of a user than that", async () => {
    const token = people.moderator.accessToken;
    const record = await api.http.get<{ restrictions: { id: string }[] }>(`/api/moderation/users/${people.owner.id}`, token);
    expect([record.status, record.body.restrictions.map(({ id }) => id)]).toEqual([200, [ids.restriction]]);
    expect(JSON.stringify(record.body)).not.toContain(people.owner.email);
    expect((await api.http.send("DELETE", `/api/auth/sessions/${people.owner.sessionId}`, { token })).body.code).toBe("session.not_found");
    expect((await api.http.send("PATCH", `/api/users/me/notices/${ids.notice}`, { token, body: { read: true } })).body.code).toBe(
      "notice.not_found",
    );
    expect(JSON.stringify((await api.http.get(`/api/users/${people.owner.id}`, people.admin.accessToken)).body)).not.toContain(
      people.owner.email,
    );
  });

  it("does not tell ids that are somebody's from ids that are nobody's", async () => {
    const other = await registerPerson(api.http, "nosy");
    const nobodys = "0190a000-0000-7000-8000-000000000000";
    for (const [method, path] of [
      ["DELETE", `/api/auth/sessions/:id ${people.owner.sessionId}`],
      ["PATCH", `/api/users/me/notices/:id ${ids.notice}`],
      ["DELETE", `/api/moderation/restrictions/:id ${ids.restriction}`],
      ["GET", `/api/moderation/users/:id ${people.owner.id}`],
    ] as const) {
      const [template = "", id = ""] = path.split(" ");
      const [theirs, none] = await Promise.all(
        [id, nobodys].map((one) =>
          api.http.send(method, template.replace(":id", one), {
            token: other.accessToken,
            ...(method === "GET" ? {} : { body: method === "PATCH" ? { read: true } : { note: "x" } }),
          }),
        ),
      );
      expect(theirs && [theirs.status, theirs.body.code, theirs.body.detail]).toEqual(
        none && [none.status, none.body.code, none.body.detail],
      );
    }
  });
});

/** Root field → how it is asked for with the owner's ids, and what comes back; `ok` is data. */
const GRAPHQL: Readonly<Record<string, { readonly ask: () => string; readonly other: string }>> = {
  "Query.me": { ask: () => "{ me { ...All } }", other: "ok" },
  "Query.user": { ask: () => `{ user(id: "${people.owner.id}") { ...All } }`, other: "ok" },
  "Query.searchUsers": { ask: () => `{ searchUsers(query: "owner") { data { ...All } } }`, other: "ok" },
  "Mutation.updateProfile": { ask: () => `mutation { updateProfile(input: { bio: "mine" }) { ...All } }`, other: "ok" },
  "Mutation.follow": { ask: () => `mutation { follow(userId: "${people.owner.id}") { status } }`, other: "ok" },
  "Mutation.unfollow": { ask: () => `mutation { unfollow(userId: "${people.owner.id}") { status } }`, other: "ok" },
};

/** Fields of objects that are about somebody: whether everybody may read them, or only whom they are about. */
const FIELDS: Readonly<Record<string, "everybody" | "own">> = {
  "User.id": "everybody",
  "User.username": "everybody",
  "User.displayName": "everybody",
  "User.avatarUrl": "everybody",
  "User.bio": "everybody",
  "User.status": "everybody",
  "User.profileVersion": "everybody",
  "User.createdAt": "everybody",
  "User.followersCount": "everybody",
  "User.followingCount": "everybody",
  "User.isFollowing": "everybody",
  "User.followsYou": "everybody",
  "User.social": "everybody",
  "User.email": "own",
  "SocialFigures.postsCount": "everybody",
  "SocialFigures.reactionsCount": "everybody",
  "SocialFigures.asOf": "everybody",
};

/** Objects that are about nobody. */
const PLAIN_TYPES = new Set(["FollowResult", "Pagination", "UserPage"]);

interface Introspected {
  readonly __schema: {
    readonly types: readonly {
      readonly name: string;
      readonly kind: string;
      readonly fields: readonly { readonly name: string }[] | null;
    }[];
  };
}

async function fieldsOfSchema(): Promise<Readonly<Record<string, readonly string[]>>> {
  const { body } = await api.http.graphql<Introspected>("{ __schema { types { name kind fields { name } } } }");
  const objects =
    body.data?.__schema.types.filter(({ name, kind }) => kind === "OBJECT" && !name.startsWith("__") && !PLAIN_TYPES.has(name)) ?? [];
  return Object.fromEntries(objects.map(({ name, fields }) => [name, (fields ?? []).map((field) => `${name}.${field.name}`)]));
}

describe("GraphQL", () => {
  const fieldsOf = (type: string): string[] =>
    Object.keys(FIELDS).flatMap((field) => (field.startsWith(`${type}.`) ? [field.slice(type.length + 1)] : []));
  const fragment = (): string =>
    ` fragment All on User { ${fieldsOf("User")
      .map((field) => (field === "social" ? `social { ${fieldsOf("SocialFigures").join(" ")} }` : field))
      .join(" ")} }`;
  const query = (
    field: keyof typeof GRAPHQL,
    token?: string,
  ): Promise<Answer<{ data?: unknown; errors?: { extensions: { code: string } }[] }>> => {
    const text = GRAPHQL[field]?.ask() ?? "";
    return api.http.graphql(text.includes("...All") ? text + fragment() : text, token) as never;
  };

  it("has a rule here for every root field and every field about somebody", async () => {
    const { Query = [], Mutation = [], ...objects } = await fieldsOfSchema();
    expect(Object.keys(GRAPHQL).sort()).toEqual([...Query, ...Mutation].sort());
    expect(Object.keys(FIELDS).sort()).toEqual(Object.values(objects).flat().sort());
  });

  it("refuses nobody", async () => {
    for (const field of Object.keys(GRAPHQL)) {
      expect([field, (await query(field)).body.errors?.map(({ extensions }) => extensions.code)]).toEqual([field, ["token.missing"]]);
    }
  });

  it("gives another account what everybody may read, and of her own nothing but null", async () => {
    const third = await registerPerson(api.http, "third");
    for (const [field, { other }] of Object.entries(GRAPHQL)) {
      const { body } = await query(field, third.accessToken);
      expect([field, body.errors?.[0]?.extensions.code ?? "ok"]).toEqual([field, other]);
      expectNothingOfTheOwner(body);
    }
    const seen = (await query("Query.user", third.accessToken)).body.data as { user: Record<string, unknown> };
    for (const [field, who] of Object.entries(FIELDS)) {
      const value = seen.user[field.split(".")[1] ?? ""];
      expect([field, who === "own" ? value === null : true]).toEqual([field, true]);
    }
    const own = (await query("Query.me", people.owner.accessToken)).body.data as { me: Record<string, unknown> };
    expect(own.me["email"]).toBe(people.owner.email);
    expect((await api.http.get("/api/users/me", people.owner.accessToken)).body).toMatchObject({ bio: "hello", followersCount: 0 });
  });
});

/** Socket event → what another account sends with the owner's ids, and what it is told. */
const SOCKETS: Readonly<Record<string, { readonly payload: () => object; readonly other: string }>> = {
  "token:refresh": { payload: () => ({ accessToken: people.owner.accessToken }), other: "token.of_another_session" },
  "presence:watch": { payload: () => ({ userIds: [people.owner.id] }), other: "ok" },
  "presence:unwatch": { payload: () => ({ userIds: [people.owner.id] }), other: "ok" },
  "presence:set": { payload: () => ({ status: "away" }), other: "ok" },
  "activity:ping": { payload: () => ({}), other: "ok" },
};

describe("sockets", () => {
  it("have a rule here for every event that clients may send", async () => {
    const { body } = await api.http.get<{ operations: Record<string, { action: string; channel: { $ref: string } }> }>("/asyncapi.json");
    const taken = Object.entries(body.operations).flatMap(([name, { action, channel }]) =>
      action === "receive" && channel.$ref.endsWith("/sockets") ? [name.replace(/^receive\./, "").replace(".", ":")] : [],
    );
    expect(taken.sort()).toEqual(Object.keys(SOCKETS).sort());
  });

  it("give another account nothing of the owner's, neither when it asks nor when things happen to her", async () => {
    const fourth = await registerPerson(api.http, "fourth");
    const owner = await logIn(api.http, "owner");
    using theirs = await api.socket(fourth.accessToken);
    using hers = await api.socket(owner.accessToken);
    for (const [event, { payload, other }] of Object.entries(SOCKETS)) {
      const ack = await theirs.ask(event, payload());
      expect([event, ack.ok ? "ok" : ack.error.code]).toEqual([event, other]);
      expectNothingOfTheOwner(ack);
    }
    const path = `/api/moderation/users/${people.owner.id}/restrictions`;
    await api.http.post(
      path,
      { kind: "limit", capabilities: ["post"], reason: "spam", message: "for the owner" },
      people.moderator.accessToken,
    );
    await hers.tells("account:restricted");
    await hers.tells("notification");
    await api.http.post("/api/auth/logout", undefined, owner.accessToken);
    await hers.closes();
    // She was told all of it; whatever went astray would be here before what is asked for now.
    await api.http.post(`/api/users/${fourth.id}/follow`, undefined, people.other.accessToken);
    await theirs.tells("user:followed");
    // Whether she is online is for those who watch her; it was asked for above.
    expect(new Set(theirs.told.map(({ name }) => name).filter((name) => name !== "user:status"))).toEqual(new Set(["user:followed"]));
    expectNothingOfTheOwner(theirs.told);
  });

  it("left no error in the log", () => {
    expect(api.errors()).toEqual([]);
  });
});
