/**
 * Two people of whom one blocked the other, each asking everything there is: every documented read and write of REST, every
 * root field of GraphQL with every field below it, every subscription, every socket event, by id and by name. Nothing that comes back may hold the
 * other's id, username or name, but for what the blocker needs to take the block back.
 */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer } from "../kit/http-client.ts";
import { logIn, onDatabase, registerPeople, startApiProcess, startWorkerProcess, type ApiProcess, type SignedIn } from "../kit/service.ts";
import type { SocketClient } from "../kit/socket-client.ts";
import { until } from "../kit/until.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let people: Record<"victim" | "harasser" | "friend", SignedIn>;
let sockets: Record<"victim" | "harasser", SocketClient>;

const NAMES = { victim: "Vera Lind", harasser: "Hugo Stern" } as const;
type Side = keyof typeof NAMES;
const otherOf = (side: Side): Side => (side === "victim" ? "harasser" : "victim");

const send = (who: SignedIn, method: string, path: string, body?: unknown): Promise<Answer<unknown>> =>
  api.http.send<unknown>(method, path, { token: who.accessToken, ...(body === undefined ? {} : { body }) });

/** Everything one can have with another: follows and requests both ways, notices, mutes, watching, a friend in common. */
beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  api = stack.use(await startApiProcess({ database }));
  stack.use(await startWorkerProcess({ database }));
  people = await registerPeople(api.http, ["victim", "harasser", "friend"]);
  const { victim, harasser, friend } = people;
  for (const side of ["victim", "harasser"] as const) {
    await send(people[side], "PATCH", "/api/users/me", { displayName: NAMES[side] });
    await send(people[side], "PATCH", "/api/users/me/privacy", { email: "everyone", requireFollowApproval: true });
    await send(people[side], "POST", `/api/users/${friend.id}/follow`);
    await send(friend, "POST", `/api/users/${people[side].id}/follow`);
    await send(people[side], "POST", `/api/users/me/follow-requests/${friend.id}/accept`);
  }
  sockets = { victim: stack.use(await api.socket(victim.accessToken)), harasser: stack.use(await api.socket(harasser.accessToken)) };
  await send(harasser, "POST", `/api/users/${victim.id}/follow`);
  await send(victim, "POST", `/api/users/me/follow-requests/${harasser.id}/accept`);
  await send(victim, "POST", `/api/users/${harasser.id}/follow`);
  await send(victim, "POST", `/api/users/${harasser.id}/mute`, { notifications: false });
  await send(harasser, "POST", `/api/users/${victim.id}/mute`, { notifications: false });
  for (const side of ["victim", "harasser"] as const) await sockets[side].ask("presence:watch", { userIds: [people[otherOf(side)].id] });
  await until(async () => JSON.stringify((await send(harasser, "GET", "/api/users/me/notices")).body).includes(victim.id), {
    what: "the notice of the victim's request",
  });

  expect(await send(victim, "POST", `/api/users/${harasser.id}/block`)).toMatchObject({ status: 200, body: { status: "blocked" } });
  // Told of before the block, or of the block itself to who did it.
  await until(
    async () =>
      Number((await onDatabase<{ n: string }>(database.adminUrl, "select count(*) as n from outbox where done_at is null"))[0]?.n) === 0,
    { what: "the events of before to be delivered" },
  );
  for (const side of ["victim", "harasser"] as const) sockets[side].told.length = 0;
}, 90_000);
afterAll(() => stack.disposeAsync());

/** What must not be in an answer. What was asked for comes back in the path of a refusal, and says nothing. */
function expectNothingOf(side: Side, where: string, answer: unknown): void {
  const { instance: _, ...rest } = (typeof answer === "object" && answer !== null ? answer : { answer }) as Record<string, unknown>;
  const text = JSON.stringify(rest).toLowerCase();
  for (const secret of [people[side].id, people[side].username, people[side].email, NAMES[side]]) {
    expect({ where, has: text.includes(secret.toLowerCase()) ? secret : "nothing" }).toEqual({ where, has: "nothing" });
  }
}

interface OpenApi {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly parameters?: readonly { readonly name: string; readonly in: string }[] }>>>
  >;
}

/** Would end what asks, or are asked for nobody; and what the blocker's own lists are for. */
const NOT_ASKED = /^(POST \/api\/auth|DELETE \/api\/auth|GET \/metrics|GET \/health)/;
const OF_THE_BLOCKER = new Set([
  "GET /api/users/me/blocks",
  "GET /api/users/relationships",
  "DELETE /api/users/{id}/block",
  "POST /api/users/{id}/block",
]);
/** Names, and that they are blocked: what the blocker needs to take the block back, and nothing more. */
const BY_GRAPHQL_OF_THE_BLOCKER: Readonly<Record<string, (other: { readonly id: string; readonly username: string }) => unknown>> = {
  blocks: (other) => ({ edges: [{ node: other }] }),
  relationships: ({ id }) => [{ id, isBlocking: true, isFollowing: false, followsYou: false, muting: null }],
};
/** What is answered for an id that nobody has. */
const OF_NOBODY: Readonly<Record<string, unknown>> = { _entities: [null], users: [], relationships: [] };
/** What is refused of ids that are no people's: the other's is none of a notice or a session of one's own. */
const OTHERWISE: Readonly<Record<string, string>> = { markNotice: "notice.not_found", renameSession: "session.not_found" };
/** Changes the asker's own account, whoever the other is. */
const BODIES: Readonly<Record<string, unknown>> = {
  "PATCH /api/users/me": { bio: "changed" },
  "PATCH /api/users/me/preferences": { theme: "dark" },
  "PATCH /api/users/me/privacy": { typing: "followers" },
  "POST /api/users/{id}/mute": {},
};

const searches = (side: Side): string[] => [people[side].username, NAMES[side], NAMES[side].slice(0, 3)];

async function everyRequest(about: Side): Promise<{ readonly operation: string; readonly method: string; readonly path: string }[]> {
  const { body } = await api.http.get<OpenApi>("/openapi.json");
  const { id, username } = people[about];
  return Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { parameters = [] }]) => {
      const operation = `${method.toUpperCase()} ${path}`;
      if (NOT_ASKED.test(operation)) return [];
      const paths = path.includes("{idOrUsername}")
        ? [path.replace("{idOrUsername}", id), path.replace("{idOrUsername}", username)]
        : [path.replaceAll(/\{\w+\}/g, id)];
      const takes = (name: string): boolean => parameters.some((one) => one.name === name && one.in === "query");
      const queries = takes("q") ? searches(about).map((text) => `?q=${encodeURIComponent(text)}`) : takes("ids") ? [`?ids=${id}`] : [""];
      return paths.flatMap((one) => queries.map((query) => ({ operation, method: method.toUpperCase(), path: `${one}${query}` })));
    }),
  );
}

describe.each<[Side, string]>([
  ["harasser", "who was blocked"],
  ["victim", "who blocked"],
])("%s, %s", (asks) => {
  const other = otherOf(asks);

  it("learns nothing of the other by REST", async () => {
    const requests = await everyRequest(other);
    expect(requests.length).toBeGreaterThan(30);
    for (const { operation, method, path } of requests) {
      if (asks === "victim" && OF_THE_BLOCKER.has(operation)) continue;
      const answer = await send(
        people[asks],
        method,
        path,
        BODIES[operation] ?? (method === "GET" || method === "DELETE" ? undefined : {}),
      );
      expectNothingOf(other, `${operation} ${path}`, answer.body);
      if (/^\w+ \/api\/users\/(\{|me\/follow|suggestions\/)/.test(operation) && path.includes(people[other].id)) {
        expect([operation, answer.status, (answer.body as { code?: string }).code]).toEqual([operation, 404, "user.not_found"]);
      }
    }
  });

  it("has the other left out of many, like an id that nobody has", async () => {
    const nobody = "0190a000-0000-7000-8000-000000000000";
    const { id } = people[other];
    for (const path of ["/api/users", ...(asks === "victim" ? [] : ["/api/users/relationships"])]) {
      const ask = (ids: readonly string[]): Promise<Answer<unknown>> => send(people[asks], "GET", `${path}?ids=${ids.join(",")}`);
      const [about, none] = await Promise.all([ask([id.toUpperCase(), people.friend.id, id]), ask([nobody, people.friend.id])]);
      expect([about.status, about.body]).toEqual([200, none.body]);
      expect(about.body).toMatchObject({ data: [{ id: people.friend.id }] });
    }
  });

  it("finds the other in nobody's lists, whole or by what is missing", async () => {
    for (const list of ["followers", "following"]) {
      const theirs = await send(people[asks], "GET", `/api/users/${people.friend.id}/${list}`);
      expectNothingOf(other, list, theirs.body);
      expect(theirs.body).toMatchObject({ data: [{ id: people[asks].id }], pagination: { nextCursor: null } });
      expect(JSON.stringify(theirs.body)).not.toContain("total");
      expect((await send(people[asks], "GET", `/api/users/me`)).body).toMatchObject({ followersCount: 1, followingCount: 1 });
    }
    // A counter less the list says how many it leaves out: whoever blocks knows, and whoever is blocked must not.
    const counts = asks === "victim" ? { followersCount: 2, followingCount: 2 } : { followersCount: 1, followingCount: 1 };
    expect((await send(people[asks], "GET", `/api/users/${people.friend.id}`)).body).toMatchObject(counts);
    const query = `{ users(ids: ["${people.friend.id}"]) { followersCount followingCount } }`;
    expect((await send(people[asks], "POST", "/graphql", { query })).body).toEqual({ data: { users: [counts] } });
  });

  it("learns nothing of the other by GraphQL", async () => {
    const { id, username } = people[other];
    const texts = await everyField(other);
    expect(texts.length).toBeGreaterThan(12);
    for (const { field, text } of texts.filter((one) => asks !== "victim" || !/^(block|unblock)$/.test(one.field))) {
      const { body } = await api.http.graphql(text, people[asks].accessToken);
      if (asks === "victim" && field in BY_GRAPHQL_OF_THE_BLOCKER) {
        expect(body).toMatchObject({ data: { [field]: BY_GRAPHQL_OF_THE_BLOCKER[field]?.({ id, username }) } });
        continue;
      }
      expectNothingOf(other, field, body);
      if (field in OF_NOBODY) expect(body).toEqual({ data: { [field]: OF_NOBODY[field] } });
      const code = body.errors?.[0]?.extensions.code;
      const isNamed = text.includes(`userId: "${id}"`) || field === "user";
      expect([field, code]).toEqual([field, isNamed ? "user.not_found" : OTHERWISE[field]]);
      // Nothing above is refused for its size: everything was really asked.
      expect([field, body.errors?.every(({ extensions }) => !extensions.code.startsWith("graphql.")) ?? true]).toEqual([field, true]);
    }
    const between = ["followers", "following"].map((list) => `${list} { totalCount edges { node { id username } } }`).join(" ");
    const theirs = await api.http.graphql(`{ user(id: "${people.friend.id}") { ${between} } }`, people[asks].accessToken);
    const mine = { totalCount: null, edges: [{ node: { id: people[asks].id, username: people[asks].username } }] };
    expect(theirs.body).toEqual({ data: { user: { followers: mine, following: mine } } });
  });

  it("learns nothing of the other by sockets, neither by asking nor by listening", async () => {
    const { body } = await api.http.get<{ operations: Record<string, { action: string; channel: { $ref: string } }> }>("/asyncapi.json");
    const events = Object.entries(body.operations).flatMap(([name, { action, channel }]) =>
      action === "receive" && channel.$ref.endsWith("/sockets") ? [name.replace(/^receive\./, "").replace(".", ":")] : [],
    );
    expect(events).toContain("presence:watch");
    const { id } = people[other];
    const nobody = "0190a000-0000-7000-8000-000000000000";
    for (const event of events.filter((name) => name !== "token:refresh")) {
      const [about, none] = await Promise.all(
        [id, nobody].map((one) => sockets[asks].ask(event, event.startsWith("presence:set") ? { status: "online" } : { userIds: [one] })),
      );
      // As for somebody who is not there: the id is the asker's own.
      expect([event, JSON.stringify(about).replaceAll(id, nobody)]).toEqual([event, JSON.stringify(none)]);
    }
    // The other does all that others are told of; a friend is told, and this one is not.
    using friend = await api.socket(people.friend.accessToken);
    await friend.ask("presence:watch", { userIds: [id] });
    const again = await logIn(api.http, people[other].username);
    using elsewhere = await api.socket(again.accessToken);
    await sockets[other].ask("presence:set", { status: "away" });
    await elsewhere.ask("presence:set", { status: "away" });
    await send(people[other], "PATCH", "/api/users/me", { bio: `news, ${asks === "victim" ? 1 : 2}` });
    await until(() => friend.told.some(({ name }) => name === "user:profile-updated"), { what: "the friend to be told" });
    await until(
      () => friend.told.some(({ name, payload }) => name === "user:status" && (payload as { status: string }).status === "away"),
      {
        what: "the friend to see them away",
      },
    );
    await new Promise((resolve) => setTimeout(resolve, 700));
    expectNothingOf(other, "told", { told: sockets[asks].told });
    await sockets[other].ask("presence:set", { status: "online" });
  });
  it("learns nothing of the other by subscriptions, neither at first nor by listening", async () => {
    const { id } = people[other];
    const nobody = "0190a000-0000-7000-8000-000000000000";
    using asking = await api.subscriber(people[asks].accessToken);
    using friend = await api.subscriber(people.friend.accessToken);
    const fields = await everySubscription();
    expect(fields.length).toBeGreaterThanOrEqual(3);
    const [about, none, seen] = [
      fields.map((ask) => asking.subscribe(ask(id))),
      fields.map((ask) => asking.subscribe(ask(nobody))),
      fields.map((ask) => friend.subscribe(ask(id))),
    ];
    await until(() => [about, none, seen].every((some) => some.some(({ told }) => told.length > 0)), { what: "the first statuses" });
    const again = await logIn(api.http, people[other].username);
    using elsewhere = await api.socket(again.accessToken);
    await sockets[other].ask("presence:set", { status: "away" });
    await elsewhere.ask("presence:set", { status: "away" });
    await send(people[other], "PATCH", "/api/users/me", { bio: `more news, ${asks === "victim" ? 1 : 2}` });
    const friendKnows = (): string => JSON.stringify(seen.map(({ told }) => told));
    await until(() => friendKnows().includes("more news") && friendKnows().includes("away"), { what: "the friend to be told" });
    await new Promise((resolve) => setTimeout(resolve, 700));
    const tellings = (some: typeof about): string => JSON.stringify(some.map(({ told, refused }) => ({ told, refused })));
    // As for somebody who is not there: the id is the asker's own.
    expect(tellings(about).replaceAll(id, nobody)).toBe(tellings(none));
    expectNothingOf(other, "subscriptions", { told: tellings(about).replaceAll(id, nobody) });
    await sockets[other].ask("presence:set", { status: "online" });
  });
});

describe("what the blocker has", () => {
  it("is the list of blocks, and the way back, which restores nothing", async () => {
    const { victim, harasser } = people;
    expect((await send(victim, "GET", "/api/users/me/blocks")).body).toMatchObject({
      data: [{ user: { id: harasser.id, username: "harasser" }, cut: { follow: "requested", followed: "accepted" } }],
    });
    expect((await send(victim, "GET", `/api/users/relationships?ids=${harasser.id}`)).body).toMatchObject({
      data: [{ id: harasser.id, isBlocking: true, isFollowing: false, followRequested: false, followsYou: false, muting: null }],
    });
    expect((await send(victim, "DELETE", `/api/users/${harasser.id}/block`)).body).toEqual({
      status: "unblocked",
      cut: { follow: "requested", followed: "accepted" },
    });
    expect((await send(harasser, "GET", `/api/users/${victim.id}`)).body).toMatchObject({
      id: victim.id,
      isFollowing: false,
      followsYou: false,
    });
    // What was muted before is muted still.
    expect((await send(victim, "GET", "/api/users/me/mutes")).body).toMatchObject({ data: [{ user: { id: harasser.id } }] });
  });

  it("left no error in the log", () => {
    expect(api.errors()).toEqual([]);
  });
});

interface TypeRef {
  readonly kind: string;
  readonly name: string | null;
  readonly ofType?: TypeRef | null;
}
interface Field {
  readonly name: string;
  readonly type: TypeRef;
  readonly args: readonly { readonly name: string; readonly type: TypeRef }[];
}
interface Introspected {
  readonly __schema: {
    readonly types: readonly {
      readonly name: string;
      readonly kind: string;
      readonly fields: readonly Field[] | null;
      readonly possibleTypes: readonly { readonly name: string }[] | null;
    }[];
  };
}

const REF = "kind name ofType { kind name ofType { kind name ofType { kind name } } }";
const named = (type: TypeRef): TypeRef => (type.ofType ? named(type.ofType) : type);

/** Would end what asks, as with REST above. */
const NOT_ASKED_BY_GRAPHQL = /^(logout|revoke|forget)/;
/** Short, so that everything below may be asked for within the cost limit. */
const SHORT: Readonly<Record<string, string>> = { first: "first: 3", limit: "limit: 2", pagination: "pagination: { limit: 3 }" };
/** What some mutations want besides. */
const BESIDES: Readonly<Record<string, string>> = { read: "read: true", name: `name: "mine"` };
/** Objects within objects. */
const DEEPEST = 4;
/** Each subscription, by whose id it names. */
async function everySubscription(): Promise<((id: string) => string)[]> {
  const { body } = await api.http.graphql<Introspected>(
    `{ __schema { types { name kind fields { name type { ${REF} } args { name type { ${REF} } } } } } }`,
  );
  const types = new Map(body.data?.__schema.types.map((type) => [type.name, type]));
  return (types.get("Subscription")?.fields ?? []).map(({ name, args, type }) => {
    const fieldsOf = (one: TypeRef) => types.get(named(one).name ?? "")?.fields ?? [];
    const below = fieldsOf(type).map((field) => {
      const inner = fieldsOf(field.type).map((leaf) => leaf.name);
      return inner.length === 0 ? field.name : `${field.name} { ${inner.join(" ")} }`;
    });
    return (id) => `subscription { ${name}${args.length === 0 ? "" : `(${args[0]?.name}: ["${id}"])`} { ${below.join(" ")} } }`;
  });
}

/** A query or mutation for each root field and each way to name the other in its arguments, asking for everything below it. */
async function everyField(about: Side): Promise<{ readonly field: string; readonly text: string }[]> {
  const { body } = await api.http.graphql<Introspected>(
    `{ __schema { types { name kind possibleTypes { name } fields { name type { ${REF} } args { name type { ${REF} } } } } } }`,
  );
  const types = new Map(body.data?.__schema.types.map((type) => [type.name, type]));
  const below = (type: TypeRef, depth = 0): string => {
    const { fields, kind, possibleTypes } = types.get(named(type).name ?? "") ?? {};
    if (kind === "UNION") {
      const each = (possibleTypes ?? []).map(({ name }) => `... on ${name} ${below({ kind: "OBJECT", name }, depth)}`);
      return `{ __typename ${each.join(" ")} }`;
    }
    if (fields === null || fields === undefined) return "";
    const inner = fields.flatMap((field) => {
      const isObject = types.get(named(field.type).name ?? "")?.fields !== null;
      return isObject && depth >= DEEPEST ? [] : [`${field.name}${called(field)} ${below(field.type, depth + 1)}`];
    });
    return `{ ${inner.join(" ")} }`;
  };
  const called = ({ args }: Field, ...more: readonly string[]): string => {
    const given = [...more, ...args.flatMap(({ name }) => SHORT[name] ?? BESIDES[name] ?? [])];
    return given.length === 0 ? "" : `(${given.join(", ")})`;
  };
  const { id, username } = people[about];
  const argumentsFor: Readonly<Record<string, readonly string[]>> = {
    id: [`id: "${id}"`],
    ids: [`ids: ["${id}"]`],
    username: [`username: "${username}"`],
    representations: [`representations: [{ __typename: "User", id: "${id}" }]`],
    userId: [`userId: "${id}"`],
    upTo: [`upTo: "${id}"`],
    query: searches(about).map((text) => `query: ${JSON.stringify(text)}`),
    input: [`input: {}`],
  };
  return ["Query", "Mutation"].flatMap((root) =>
    (types.get(root)?.fields ?? []).flatMap((field) => {
      if (NOT_ASKED_BY_GRAPHQL.test(field.name)) return [];
      const ways = field.args.flatMap(({ name }) => argumentsFor[name] ?? []).map((way) => [way]);
      return (ways.length === 0 ? [[]] : ways).map((way) => ({
        field: field.name,
        text: `${root.toLowerCase()} { ${field.name}${called(field, ...way)} ${below(field.type)} }`,
      }));
    }),
  );
}
