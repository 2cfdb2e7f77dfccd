import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { WebSocket } from "ws";
import { z } from "zod";
import { accountOrLook, type Actor, type Gate, type Throttle } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import type { SessionId, UserId } from "#src/kernel/ids";
import type { LogFields } from "#src/kernel/log";
import { Problem, problem } from "#src/kernel/problem";
import { createRealtime, type Realtime } from "#src/realtime/realtime";
import { serverEvent } from "#src/realtime/socket-event";
import { describeWith } from "../../test/kit/requires.ts";
import { startRedis } from "../../test/kit/redis.ts";
import { RawSubscriber, Subscriber } from "../../test/kit/subscriber.ts";
import { until } from "../../test/kit/until.ts";
import { subscription, type GraphqlPart } from "./part.ts";
import { createDocuments } from "./documents.ts";
import { documentHash } from "./manifest.ts";
import { assembleSchema } from "./schema.ts";
import { openSubscriptions, type SubscriptionsOptions } from "./subscriptions.ts";

const tokenMissing = problem("token.missing", 401, "An access token is needed");
const tokenInvalid = problem("token.invalid", 401, "The access token is not valid");
const tokenExpired = problem("token.expired", 401, "The access token has expired");
const accountRestricted = problem("account.restricted", 403, "The account is restricted");
const accessDenied = problem("access.denied", 403, "This needs a role");
const rateLimited = problem("rate.limited", 429, "Too many tries");
const roomClosed = problem("test.room_closed", 409, "Nobody may in");

const actorOf = (name: string, tokenExpiresAt = new Date("2099-01-01")): Actor => ({
  userId: `0190a000-0000-7000-8000-${Buffer.from(name).toString("hex").padStart(12, "0").slice(-12)}` as UserId,
  sessionId: "0190a000-0000-7000-8000-0000000000aa" as SessionId,
  role: "user",
  restricted: false,
  limited: new Set(),
  tokenExpiresAt,
});

const news = serverEvent("test:subscribed-news", "News", z.object({ room: z.string(), text: z.string() }));

interface Deps {
  readonly began: string[];
}
type News = z.infer<typeof news.payload>;

const read = { name: "test.listen", limit: 10_000, windowSeconds: 60 };
const part: GraphqlPart<Deps> = {
  typeDefs: `
    type News { room: String!, text: String!, broken: String! }
    extend type Query { open: String }
    extend type Mutation { change: String }
    extend type Subscription { news(rooms: [String!]!, size: Int): News!, own: News!, staff: News!, crash: News!, many(limit: Int): [News!] }
  `,
  queries: { open: { needs: { kind: "anyone" }, throttle: read, resolve: () => "open" } },
  mutations: { change: { needs: { kind: "anyone" }, throttle: read, resolve: () => "changed" } },
  types: {
    News: {
      broken: () => {
        throw new TypeError("select secret from somewhere");
      },
    },
  },
  subscriptions: {
    news: subscription<Deps, News>({
      needs: accountOrLook,
      throttle: read,
      event: news,
      begin: async ({ deps }, subscriber, args) => {
        const { rooms } = args as { rooms: string[] };
        deps.began.push(rooms.join());
        if (rooms.includes("closed")) throw new Problem(roomClosed);
        for (const room of rooms) await subscriber.join(`watch:${room}`);
        return { first: rooms.map((room) => ({ room, text: "first" })), wants: ({ room }) => rooms.includes(room) };
      },
    }),
    own: subscription<Deps, News>({ needs: accountOrLook, throttle: read, event: news, begin: () => Promise.resolve({}) }),
    staff: subscription<Deps, News>({
      needs: { kind: "account", role: "moderator" },
      throttle: read,
      event: news,
      begin: () => Promise.resolve({}),
    }),
    crash: subscription<Deps, News>({
      needs: accountOrLook,
      throttle: read,
      event: news,
      begin: () => Promise.reject(new TypeError("select secret from somewhere")),
    }),
    many: subscription<Deps, News>({ needs: accountOrLook, throttle: read, event: news, begin: () => Promise.resolve({}) }),
  },
};

/** What the gate says of each token: `ann` is Ann's. */
class TestGate {
  readonly refusals = new Map<string, Problem>();
  readonly ends = new Map<string, Date>();

  readonly ask: Gate = async (token, access) => {
    if (access.kind === "anyone") return undefined;
    if (token === undefined) throw new Problem(tokenMissing);
    const refusal = this.refusals.get(token);
    if (refusal !== undefined) throw refusal;
    if (!/^[a-z]+$/.test(token)) throw new Problem(tokenInvalid);
    const ends = this.ends.get(token);
    if (ends !== undefined && ends <= systemClock.now()) throw new Problem(tokenExpired);
    if (access.role === "moderator") throw new Problem(accessDenied);
    return actorOf(token, ends);
  };
}

interface Node {
  readonly url: string;
  readonly realtime: Realtime;
  readonly gate: TestGate;
  readonly deps: Deps;
  readonly close: () => void;
  readonly log: { readonly level: string; readonly fields: LogFields }[];
  readonly cuts: [string, number][];
}

let closers: (() => unknown)[] = [];
beforeEach(() => {
  closers = [];
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
});

interface NodeOptions extends Partial<Pick<SubscriptionsOptions<Deps>, "introspection" | "documents" | "timings" | "throttle">> {
  readonly redisUrl?: string;
}

async function startNode({ redisUrl, ...options }: NodeOptions = {}): Promise<Node> {
  const server = createServer((_request, response) => response.end("plain"));
  const gate = new TestGate();
  const deps: Deps = { began: [] };
  const counts = new Map<string, number>();
  const count: Throttle = ({ name, limit }) => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
    if ((counts.get(name) ?? 0) > limit) throw new Problem(rateLimited, { retryAfterSeconds: 30 });
  };
  const log: Node["log"] = [];
  const write = (level: string) => (fields: LogFields) => void log.push({ level, fields });
  const cuts: Node["cuts"] = [];
  const common = {
    server,
    deps,
    gate: gate.ask,
    throttle: options.throttle ?? count,
    clientOf: () => ({ address: "127.0.0.1", addressKey: "127.0.0.1", userAgent: "", locale: "en" as const }),
    log: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") },
    production: false,
  };
  const realtime = createRealtime<Deps>({
    ...common,
    events: [],
    connections: [],
    allowsOrigin: (origin) => origin === "https://app.example.com",
    redisUrl,
    clock: systemClock,
    observe: { cut: (reason, n) => void cuts.push([reason, n]) },
  });
  const subscriptions = openSubscriptions<Deps>({
    ...common,
    path: "/graphql",
    schema: assembleSchema([part]),
    documents: createDocuments(),
    introspection: true,
    realtime,
    ...options,
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => {
    await realtime.close();
    subscriptions.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, realtime, gate, deps, close: subscriptions.close, log, cuts };
}

function subscriber(node: Node, token?: string, options: ConstructorParameters<typeof Subscriber>[2] = {}): Subscriber {
  const made = new Subscriber(node.url, token, options);
  closers.push(() => made[Symbol.dispose]());
  return made;
}

async function raw(node: Node, token?: string): Promise<RawSubscriber> {
  const made = await RawSubscriber.open(node.url, token);
  closers.push(() => made[Symbol.dispose]());
  return made;
}

const NEWS = "subscription ($rooms: [String!]!) { news(rooms: $rooms) { room text } }";
type Told = { readonly news: News };
const textsOf = (told: readonly { readonly news: News }[]): string[] => told.map(({ news: { text } }) => text);

describe("connecting", () => {
  it("lets the bearer of a token in, by the payload or by the header, beside Socket.IO", async () => {
    const node = await startNode();
    await subscriber(node, "ann").enters();
    await subscriber(node, undefined, { headers: { authorization: "Bearer bob" } }).enters();
    expect(node.realtime.figures()).toMatchObject({ connections: 2, users: 2 });
    expect(await (await fetch(`${node.url}/graphql`)).text()).toBe("plain");
    const polling = await fetch(`${node.url}/socket.io/?EIO=4&transport=polling`);
    expect(await polling.text()).toContain("sid");
  });

  it("refuses with a close code and the problem's code, and takes no cookie and no query for a token", async () => {
    const node = await startNode();
    node.gate.refusals.set("banned", new Problem(accountRestricted, { extensions: { restriction: { kind: "ban" } } }));
    node.gate.ends.set("late", new Date("2020-01-01"));
    const refusal = async (token?: string, options: ConstructorParameters<typeof Subscriber>[2] = {}): Promise<string> => {
      const { code, reason } = await subscriber(node, token, options).closes();
      return `${code} ${reason}`;
    };
    expect(await refusal()).toBe("4401 token.missing");
    expect(await refusal("!")).toBe("4401 token.invalid");
    expect(await refusal("late")).toBe("4403 token.expired");
    expect(await refusal("banned")).toBe("4403 account.restricted");
    expect(await refusal(undefined, { headers: { cookie: "token=ann; accessToken=ann" } })).toBe("4401 token.missing");
    expect(await refusal(undefined, { init: { accessToken: 7 } })).toBe("4400 input.invalid");
    expect(await refusal(undefined, { init: { accessToken: "ann", admin: true } })).toBe("4400 input.invalid");
    expect(await refusal(undefined, { init: { accessToken: "x".repeat(5_000) } })).toBe("4400 input.invalid");
    await until(() => node.realtime.figures().connections === 0);
    expect(node.log.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("refuses pages of other origins, and while draining everybody", async () => {
    const node = await startNode();
    const from = (origin: string): Subscriber => subscriber(node, "ann", { headers: { origin } });
    await from("https://app.example.com").enters();
    const refused = new RawSubscriber(node.url, "graphql-transport-ws", { origin: "https://evil.example.com" });
    const [, response] = (await once(refused.socket, "unexpected-response").catch((error: unknown) => [error])) as [
      unknown,
      { statusCode: number },
    ];
    expect(response.statusCode).toBe(403);
    expect(node.log.find(({ fields }) => fields["kind"] === "origin.refused")?.fields).toMatchObject({
      reason: "https://evil.example.com",
    });
    await node.realtime.drain(0);
    const late = new RawSubscriber(node.url);
    const [, gone] = (await once(late.socket, "unexpected-response")) as [unknown, { statusCode: number }];
    expect(gone.statusCode).toBe(503);
  });

  it("throttles by account as sockets do, with a code that clients try again after", async () => {
    const node = await startNode();
    for (let count = 0; count < 120; count += 1) (await raw(node, "ann")).socket.terminate();
    const { code, reason } = await subscriber(node, "ann").closes();
    expect([code, reason]).toEqual([1013, "rate.limited"]);
  });

  it("speaks no other protocol", async () => {
    const node = await startNode();
    expect(await new RawSubscriber(node.url, "graphql-ws").closes()).toMatch(/^(4406|1006)/);
  });
});

describe("subscribing", () => {
  it("tells what it begins with and then what is pushed, to each subscription what it asked for", async () => {
    const node = await startNode();
    const ann = await subscriber(node, "ann").enters();
    const [both, one] = [ann.subscribe<Told>(NEWS, { rooms: ["x", "y"] }), ann.subscribe<Told>(NEWS, { rooms: ["x"] })];
    await until(() => both.told.length === 2 && one.told.length === 1);
    node.realtime.pushes.toRoom("watch:x", news, { room: "x", text: "of x" });
    node.realtime.pushes.toRoom("watch:y", news, { room: "y", text: "of y" });
    await until(() => both.told.length === 4 && one.told.length === 2);
    expect([textsOf(both.told), textsOf(one.told)]).toEqual([
      ["first", "first", "of x", "of y"],
      ["first", "of x"],
    ]);
    expect(await (await fetch(`${node.url}/`)).text()).toBe("plain");
  });

  it("leaves a room with the last subscription that wants it, and all of them with the connection", async () => {
    const node = await startNode();
    const ann = await subscriber(node, "ann").enters();
    const [one, two] = [ann.subscribe<Told>(NEWS, { rooms: ["x", "y"] }), ann.subscribe<Told>(NEWS, { rooms: ["x"] })];
    await until(() => one.told.length === 2 && two.told.length === 1);
    one.stop();
    await until(() => !node.realtime.pushes.hasRoomHere("watch:y"));
    expect(node.realtime.pushes.hasRoomHere("watch:x")).toBe(true);
    two.stop();
    await until(() => !node.realtime.pushes.hasRoomHere("watch:x"));
    const three = ann.subscribe<Told>(NEWS, { rooms: ["z"] });
    await three.tells();
    ann[Symbol.dispose]();
    await until(() => node.realtime.figures().connections === 0);
    expect(node.realtime.pushes.roomsHere("")).toEqual([]);
  });

  it("tells nothing any more once the connection was taken out of the room", async () => {
    const node = await startNode();
    const ann = await subscriber(node, "ann").enters();
    const told = ann.subscribe<Told>(NEWS, { rooms: ["x", "y"] });
    await until(() => told.told.length === 2);
    node.realtime.pushes.leave(actorOf("ann").userId, "watch:x");
    await until(() => !node.realtime.pushes.hasRoomHere("watch:x"));
    node.realtime.pushes.toRoom("watch:x", news, { room: "x", text: "secret" });
    node.realtime.pushes.toRoom("watch:y", news, { room: "y", text: "open" });
    await told.tells(({ news: { text } }) => text === "open");
    expect(textsOf(told.told)).toEqual(["first", "first", "open"]);
  });

  it("refuses with the catalogue's codes, and goes on", async () => {
    const node = await startNode();
    const ann = await subscriber(node, "ann").enters();
    const code = (query: string, variables?: Record<string, unknown>): Promise<string> => ann.subscribe(query, variables).refusal();
    expect({
      query: await code("{ open }"),
      mutation: await code("mutation { change }"),
      staff: await code("subscription { staff { text } }"),
      refused: await code(NEWS, { rooms: ["closed"] }),
      crash: await code("subscription { crash { text } }"),
      unknown: await code("subscription { nothing }"),
      two: await code("subscription { own { text } news(rooms: []) { text } }"),
      introspection: await code("subscription { __schema { types { name } } }"),
      skipped: await code("subscription { own @skip(if: true) { text } }"),
      "skipped in a fragment": await code("subscription { ...A } fragment A on Subscription { ... { own @include(if: false) { text } } }"),
      "a skipped fragment": await code("subscription { ...A @skip(if: true) } fragment A on Subscription { own { text } }"),
      "a circle": await code("subscription { ...A } fragment A on Subscription { ...B } fragment B on Subscription { ...A }"),
      "skipped by a variable": await code("subscription ($a: Boolean = true) { own @skip(if: $a) { text } }"),
      syntax: await code("subscription {"),
      variable: await code(NEWS, { rooms: 7 }),
      "no variable": await code(NEWS),
      nul: await code(NEWS, { rooms: ["a\0b"] }),
      long: await code(`subscription { own { text } } #${"x".repeat(10_000)}`),
      deep: await code(`subscription { own { ${"text ".repeat(301)} } }`),
      costly: await code("subscription { many(limit: 2000) { text } }"),
      none: await code("subscription A { own { text } } subscription B { own { text } }"),
    }).toEqual({
      query: "graphql.subscriptions_only",
      mutation: "graphql.subscriptions_only",
      staff: "access.denied",
      refused: "test.room_closed",
      crash: "service.internal_error",
      unknown: "graphql.document_invalid",
      two: "graphql.document_invalid",
      introspection: "graphql.document_invalid",
      skipped: "graphql.document_invalid",
      "skipped in a fragment": "graphql.document_invalid",
      "a skipped fragment": "graphql.document_invalid",
      "a circle": "graphql.document_invalid",
      "skipped by a variable": "graphql.document_invalid",
      syntax: "graphql.syntax_error",
      variable: "input.invalid",
      "no variable": "input.invalid",
      nul: "input.invalid",
      long: "graphql.document_too_long",
      deep: "graphql.too_many_fields",
      costly: "graphql.too_costly",
      none: "graphql.operation_unknown",
    });
    const told = ann.subscribe<Told>(NEWS, { rooms: ["x"] });
    await told.tells();
    expect(ann.closed).toBeUndefined();
    expect(node.deps.began).toEqual(["closed", "x"]);
    expect(node.log.filter(({ level }) => level === "error")).toHaveLength(1);
  });

  it("tells of an error in an event without its words, and goes on", async () => {
    const node = await startNode();
    const ann = await raw(node, "ann");
    ann.send({ id: "1", type: "subscribe", payload: { query: "subscription { own { text broken } }" } });
    await until(() => {
      node.realtime.pushes.toUser(actorOf("ann").userId, news, { room: "", text: "a" });
      return ann.texts.length > 2;
    });
    expect(ann.texts[1]).toContain("service.internal_error");
    expect(ann.texts.join()).not.toMatch(/secret|TypeError/);
  });

  it("hints at names only where the schema is shown", async () => {
    const hint = async (introspection: boolean): Promise<string> => {
      const ann = await raw(await startNode({ introspection }), "ann");
      ann.send({ id: "1", type: "subscribe", payload: { query: "subscription { owns { text } }" } });
      return await until(() => ann.texts[1]);
    };
    expect(await hint(true)).toContain("Did you mean");
    expect(await hint(false)).not.toContain("Did you mean");
  });

  it("runs nothing but trusted documents where these are all there is", async () => {
    const manifest = new Map([[documentHash(NEWS), NEWS]]);
    const ann = await raw(await startNode({ documents: createDocuments({ manifest, only: true }) }), "ann");
    ann.send({ id: "other", type: "subscribe", payload: { query: `${NEWS} `, variables: { rooms: ["a"] } } });
    expect(await until(() => ann.texts[1])).toContain("graphql.document_untrusted");
    ann.send({ id: "trusted", type: "subscribe", payload: { query: NEWS, variables: { rooms: [1] } } });
    // It came as far as its variables.
    expect(await until(() => ann.texts[2])).toContain("input.invalid");
    const extensions = { persistedQuery: { version: 1, sha256Hash: documentHash("another") } };
    ann.send({ id: "forged", type: "subscribe", payload: { query: NEWS, extensions, variables: { rooms: ["a"] } } });
    expect(await until(() => ann.texts[3])).toContain("graphql.hash_mismatch");
  });

  it("takes 20 at once of a connection, also when a thousand come together", async () => {
    const node = await startNode({ throttle: () => {} });
    const ann = await raw(node, "ann");
    for (let id = 0; id < 1_000; id += 1)
      ann.send({ id: String(id), type: "subscribe", payload: { query: NEWS, variables: { rooms: [String(id)] } } });
    await until(() => ann.texts.length === 1 + 1_000, { what: "an answer to each" });
    expect(ann.texts.filter((text) => text.includes("graphql.too_many_subscriptions"))).toHaveLength(980);
    expect(node.realtime.pushes.roomsHere("watch:")).toHaveLength(20);
    ann.send({ id: "0", type: "complete" });
    await until(() => node.realtime.pushes.roomsHere("watch:").length === 19);
    ann.send({ id: "again", type: "subscribe", payload: { query: NEWS, variables: { rooms: ["again"] } } });
    await until(() => node.realtime.pushes.hasRoomHere("watch:again"));
    ann.socket.terminate();
    await until(() => node.realtime.pushes.roomsHere("").length === 0);
  });

  it("throttles subscribing, good or bad", async () => {
    const node = await startNode();
    const ann = await raw(node, "ann");
    for (let id = 0; id < 241; id += 1) ann.send({ id: String(id), type: "subscribe", payload: { query: "nonsense" } });
    await until(() => ann.texts.length === 242);
    expect(ann.texts.at(-1)).toContain("rate.limited");
  });

  it("keeps nothing of an id that is used again while it ends", async () => {
    const node = await startNode({ throttle: () => {} });
    const ann = await raw(node, "ann");
    for (let count = 0; count < 200; count += 1) {
      ann.send({ id: "1", type: "subscribe", payload: { query: NEWS, variables: { rooms: [String(count)] } } });
      ann.send({ id: "1", type: "complete" });
    }
    ann.send({ type: "ping" });
    await until(() => ann.texts.includes(`{"type":"pong"}`));
    expect(node.realtime.pushes.roomsHere("watch:").length).toBeLessThanOrEqual(20);
    ann.socket.terminate();
    await until(() => node.realtime.pushes.roomsHere("").length === 0);
  });
});

describe("the end", () => {
  const ends = async (act: (node: Node) => unknown, withinMs = 30_000): Promise<string> => {
    const node = await startNode();
    const ann = await subscriber(node, "ann").enters();
    await ann.subscribe<Told>(NEWS, { rooms: ["x"] }).tells();
    await act(node);
    const { code, reason } = await ann.closes(withinMs);
    expect(node.realtime.figures().connections).toBe(0);
    return `${code} ${reason}`;
  };
  const cut = (reason: string, notice?: unknown) => (node: Node) =>
    node.realtime.cut({ subject: actorOf("ann").userId, sessionId: null, reason, ...(notice === undefined ? {} : { notice }) });

  it("is that of sockets: revoked, banned, with or without a notice, expired, refused by the gate, draining", async () => {
    expect(await ends(cut("logged_out"))).toBe("4401 session.revoked");
    expect(await ends(cut("account.restricted", { kind: "ban" }))).toBe("4403 account.restricted");
    expect(await ends(cut("account.restricted"))).toBe("4403 account.restricted");
    expect(await ends(({ gate }) => gate.refusals.set("ann", new Problem(tokenInvalid)), 1_000)).toBe("4401 token.invalid");
    expect(
      await ends(({ gate }) => gate.refusals.set("ann", new Problem(accountRestricted, { extensions: { restriction: {} } })), 1_000),
    ).toBe("4403 account.restricted");
    expect(await ends(({ realtime }) => void realtime.drain(10_000))).toBe("1012 server.draining");
    const node = await startNode();
    node.gate.ends.set("ann", new Date(systemClock.now().getTime() + 700));
    const ann = await subscriber(node, "ann").enters();
    const { code, reason } = await ann.closes(3_000);
    expect([code, reason]).toEqual([4403, "token.expired"]);
  });

  it("leaves nothing to be told after it", async () => {
    const node = await startNode();
    const ann = await raw(node, "ann");
    ann.send({ id: "1", type: "subscribe", payload: { query: "subscription { own { text } }" } });
    ann.send({ id: "2", type: "subscribe", payload: { query: NEWS, variables: { rooms: ["x"] } } });
    await until(() => ann.texts.length === 2);
    const done = cut("account.restricted", { kind: "ban" })(node);
    node.realtime.pushes.toUser(actorOf("ann").userId, news, { room: "x", text: "after" });
    node.realtime.pushes.toRoom("watch:x", news, { room: "x", text: "after" });
    ann.send({ id: "3", type: "subscribe", payload: { query: NEWS, variables: { rooms: ["late"] } } });
    await done;
    expect(await ann.closes()).toBe("4403 account.restricted");
    expect([ann.texts.length, node.deps.began]).toEqual([2, ["x"]]);
  });

  it("brings clients back by themselves after draining and an expired token, and not after a revoked session", async () => {
    const node = await startNode();
    const ann = await subscriber(node, "ann", { retries: 3 }).enters();
    await node.realtime.cut({ subject: actorOf("ann").userId, sessionId: null, reason: "logged_out" });
    await ann.closes();
    const bob = await subscriber(node, "bob", { retries: 3 }).enters();
    node.gate.ends.set("bob", new Date(systemClock.now().getTime() + 500));
    // The sweep looks at what the gate says now; the next token is longer good.
    await until(() => bob.closed);
    expect(bob.closed?.reason).toBe("token.expired");
    node.gate.ends.delete("bob");
    await until(() => bob.connections === 2);
    expect(ann.connections).toBe(1);
  });

  it("closes at the end of the process whoever is left, the silent ones too", async () => {
    const node = await startNode();
    const [silent, ann] = [await raw(node), await subscriber(node, "ann").enters()];
    await node.realtime.close();
    node.close();
    expect(await silent.closes()).toBe("1012 server.draining");
    expect((await ann.closes()).code).toBe(1012);
  });
});

describe("hostile clients", () => {
  it("are closed for what the protocol does not have, and leave no trace", async () => {
    const node = await startNode();
    const after = async (token: string | undefined, send: (client: RawSubscriber) => void): Promise<string> => {
      const client = await raw(node, token);
      send(client);
      return await client.closes();
    };
    const init = { type: "connection_init", payload: { accessToken: "ann" } };
    const own = { type: "subscribe", payload: { query: "subscription { own { text } }" } };
    expect({
      garbage: await after(undefined, ({ socket }) => socket.send("garbage")),
      "an array": await after("ann", ({ socket }) => socket.send("[]")),
      "no type": await after("ann", ({ socket }) => socket.send("{}")),
      "a type of ours": await after("ann", (client) => client.send({ type: "connection_ack" })),
      "a next": await after("ann", (client) => client.send({ id: "1", type: "next", payload: {} })),
      "no query": await after("ann", (client) => client.send({ id: "1", type: "subscribe", payload: {} })),
      binary: await after("ann", ({ socket }) => socket.send(Buffer.from(JSON.stringify(own)))),
      "not UTF-8": await after("ann", ({ socket }) => socket.send(Buffer.from([0xff, 0xfe]), { binary: false })),
      huge: await after("ann", ({ socket }) => socket.send("x".repeat(70_000))),
      "too early": await after(undefined, (client) => client.send({ id: "1", ...own })),
      "two inits": await after("ann", (client) => client.send(init)),
      "two inits at once": await after(undefined, (client) => {
        client.send(init);
        client.send(init);
      }),
      "an id twice": await after("ann", (client) => {
        client.send({ id: "a", ...own });
        client.send({ id: "a", ...own });
      }),
      "a long id twice": await after("ann", (client) => {
        client.send({ id: "é".repeat(5_000), ...own });
        client.send({ id: "é".repeat(5_000), ...own });
      }),
    }).toEqual({
      garbage: "4400 Invalid message received",
      "an array": "4400 Invalid message received",
      "no type": "4400 Invalid message received",
      "a type of ours": "4400 Invalid message received",
      "a next": "4400 Invalid message received",
      "no query": "4400 Invalid message received",
      binary: "4400 message.binary",
      "not UTF-8": expect.stringMatching(/^1007/),
      huge: expect.stringMatching(/^1009/),
      "too early": "4401 Unauthorized",
      "two inits": "4429 Too many initialisation requests",
      "two inits at once": "4429 Too many initialisation requests",
      "an id twice": "4409 Subscriber for a already exists",
      "a long id twice": expect.stringMatching(/^4409 Subscriber for é+$/),
    });
    await until(() => node.realtime.figures().connections === 0);
    expect(node.realtime.pushes.roomsHere("")).toEqual([]);
    expect(node.log.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("may use names of Object's as ids, unknown fields not, and variables not without end", async () => {
    const node = await startNode();
    const ann = await raw(node, "ann");
    for (const id of ["__proto__", "constructor", "toString"])
      ann.send({ id, type: "subscribe", payload: { query: NEWS, variables: { rooms: [id] } } });
    await until(() => ann.texts.length === 4);
    ann.texts.length = 0;
    ann.send({ id: "1", type: "subscribe", payload: { query: NEWS, persisted: true } });
    expect(await until(() => ann.texts[0])).toContain("graphql.request_invalid");
    ann.socket.send(
      `{"id":"2","type":"subscribe","payload":{"query":"subscription { own { text } }","variables":{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}}}`,
    );
    expect(await until(() => ann.texts[1])).toContain("input.invalid");
    ann.socket.send(`{"type":"ping","payload":{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}}`);
    expect(await until(() => ann.texts[2])).toBe(`{"type":"pong"}`);
    expect(node.log.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("are closed when they say nothing, at first or ever after", async () => {
    const node = await startNode({ timings: { initMs: 500, keepAliveMs: 300 } });
    expect(await (await raw(node)).closes()).toBe("4408 Connection initialisation timeout");
    const dead = await raw(node, "ann");
    const alive = await raw(node, "bob");
    dead.socket.pause();
    await until(() => node.realtime.figures().connections === 1);
    expect(alive.closed).toBeUndefined();
  });

  it.each([
    ["events", 1],
    ["pongs of both kinds", 0],
  ])(
    "do not make memory grow by not reading %s",
    async (_what, isPushed) => {
      const node = await startNode();
      const ann = await raw(node, "ann");
      ann.send({ id: "1", type: "subscribe", payload: { query: "subscription { own { text } }" } });
      await until(() => node.realtime.figures().connections === 1);
      ann.socket.pause();
      const text = "x".repeat(isPushed === 1 ? 20_000 : 60_000);
      await until(
        () => {
          for (let count = 0; count < 100; count += 1) {
            if (isPushed === 1) node.realtime.pushes.toUser(actorOf("ann").userId, news, { room: "", text });
            else if (ann.socket.readyState === WebSocket.OPEN) ann.socket.ping("x".repeat(120));
          }
          for (let count = 0; isPushed === 0 && count < 5_000 && ann.socket.readyState === WebSocket.OPEN; count += 1)
            ann.send({ type: "ping" });
          return node.realtime.figures().connections === 0;
        },
        { withinMs: 30_000 },
      );
      if (isPushed === 1) expect(node.cuts).toContainEqual(["slow", 1]);
      await (await subscriber(node, "bob").enters()).subscribe<Told>(NEWS, { rooms: ["x"] }).tells();
    },
    40_000,
  );
});

describeWith("redis-server", "with Redis", (path) => {
  it("tells what another process pushes, and ends where another process says so", async () => {
    await using redis = await startRedis(path);
    const [one, other] = [await startNode({ redisUrl: redis.url }), await startNode({ redisUrl: redis.url })];
    await until(() => [one, other].every(({ realtime }) => realtime.figures().redis === "up"));
    const ann = await subscriber(other, "ann").enters();
    const told = ann.subscribe<Told>(NEWS, { rooms: ["x", "y"] });
    await until(() => told.told.length === 2);
    // The first reads of a new process begin a little after it is up.
    await until(() => {
      one.realtime.pushes.toRoom("watch:x", news, { room: "x", text: "far" });
      return textsOf(told.told).includes("far");
    });
    one.realtime.pushes.leave(actorOf("ann").userId, "watch:x");
    await until(() => !other.realtime.pushes.hasRoomHere("watch:x"));
    const { length } = told.told.filter(({ news: { room } }) => room === "x");
    one.realtime.pushes.toRoom("watch:x", news, { room: "x", text: "secret" });
    one.realtime.pushes.toRoom("watch:y", news, { room: "y", text: "open" });
    await told.tells(({ news: { text } }) => text === "open");
    expect(told.told.filter(({ news: { room } }) => room === "x")).toHaveLength(length);
    await Promise.all([one, other].map(({ realtime }) => realtime.close()));
  });
});

describe("the schema", () => {
  it("has no subscription without a guard", () => {
    const typeDefs = "type Thing { id: ID } extend type Query { open: String } extend type Subscription { own: Thing, other: Thing }";
    const own = subscription<unknown, News>({ needs: accountOrLook, throttle: read, event: news, begin: () => Promise.resolve({}) });
    const queries = { open: { needs: { kind: "anyone" } as const, throttle: read, resolve: () => "" } };
    expect(() => assembleSchema([{ typeDefs, queries, subscriptions: { own } }])).toThrow("Subscription.other");
    expect(() => assembleSchema([{ typeDefs, queries, subscriptions: { own, other: own, third: own } }])).toThrow("Subscription.third");
  });
});
