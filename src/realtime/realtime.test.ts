import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo, type Socket as TcpSocket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { io, type Socket } from "socket.io-client";
import { z } from "zod";
import { account, type Actor, type Gate, type Throttle } from "#src/kernel/actor";
import { delay, systemClock } from "#src/kernel/clock";
import type { SessionId, UserId } from "#src/kernel/ids";
import type { LogFields } from "#src/kernel/log";
import { Problem, problem } from "#src/kernel/problem";
import { describeWith } from "../../test/kit/requires.ts";
import { startRedis, type Redis } from "../../test/kit/redis.ts";
import { until } from "../../test/kit/until.ts";
import { createRealtime, type Realtime, type RealtimeOptions } from "./realtime.ts";
import { serverEvent, socketEvent, type ConnectionListener } from "./socket-event.ts";

const tokenMissing = problem("token.missing", 401, "An access token is needed");
const tokenInvalid = problem("token.invalid", 401, "The access token is not valid");
const tokenExpired = problem("token.expired", 401, "The access token has expired");
const accountRestricted = problem("account.restricted", 403, "The account is restricted");
const accessDenied = problem("access.denied", 403, "This needs a role");
const rateLimited = problem("rate.limited", 429, "Too many tries");
const serviceAway = problem("test.service_away", 503, "Not just now");

const notice = { kind: "ban", reason: "spam", message: null, startsAt: "2026-01-01T00:00:00.000Z", expiresAt: null };

function id(kind: "user" | "session", name: string): string {
  const digits = Buffer.from(name).toString("hex").padStart(12, "0").slice(-12);
  return `0190a000-0000-7000-8000-${kind === "user" ? "1" : "2"}${digits.slice(1)}`;
}
const userId = (name: string): UserId => id("user", name) as UserId;
const sessionId = (name: string): SessionId => id("session", name) as SessionId;

/** What the gate says of each token: `ann`, `ann/phone` and `ann/phone/2` are tokens of one account. */
class TestGate {
  readonly refusals = new Map<string, Problem>();
  readonly ends = new Map<string, Date>();
  calls = 0;

  readonly ask: Gate = async (token, access) => {
    this.calls += 1;
    if (access.kind === "anyone") return undefined;
    if (token === undefined) throw new Problem(tokenMissing);
    const [user = "", session = "first"] = token.split("/");
    const refusal = this.refusals.get(token) ?? this.refusals.get(user);
    if (refusal !== undefined) throw refusal;
    if (!/^[a-z]+[0-9]*$/.test(user)) throw new Problem(tokenInvalid);
    const tokenExpiresAt = this.ends.get(token) ?? new Date("2099-01-01");
    if (tokenExpiresAt <= systemClock.now()) throw new Problem(tokenExpired);
    if (access.role === "moderator") throw new Problem(accessDenied);
    const actor: Actor = {
      userId: userId(user),
      sessionId: sessionId(`${user}${session}`),
      role: "user",
      restricted: false,
      limited: new Set(),
      tokenExpiresAt,
    };
    return actor;
  };
}

interface Deps {
  readonly said: string[];
}

const throttle = { name: "test.say", limit: 1_000, windowSeconds: 60 };
const answer = z.strictObject({ text: z.string() });
const events = [
  socketEvent({
    name: "say",
    summary: "Says something",
    payload: z.strictObject({ text: z.string().max(40_000) }),
    answer,
    needs: account,
    throttle,
    problems: [],
    handle: async (deps: Deps, _socket, { text }) => {
      if (text === "crash") throw new TypeError("select secret from somewhere");
      if (text === "slow") await systemTurn();
      deps.said.push(text);
      return { text };
    },
  }),
  socketEvent({
    name: "moderate",
    summary: "For moderators",
    payload: z.strictObject({}),
    answer,
    needs: { kind: "account", role: "moderator" },
    throttle,
    problems: [],
    handle: async () => ({ text: "" }),
  }),
  socketEvent({
    name: "rare",
    summary: "Rarely",
    payload: z.strictObject({}),
    answer,
    needs: account,
    throttle: { name: "test.rare", limit: 2, windowSeconds: 60 },
    problems: [],
    handle: async () => ({ text: "" }),
  }),
  socketEvent({
    name: "enter",
    summary: "Enters a room",
    payload: z.strictObject({ room: z.string() }),
    answer,
    needs: account,
    throttle,
    problems: [],
    handle: async (_deps: Deps, socket, { room }) => {
      await socket.join(`watch:${room}`);
      return { text: room };
    },
  }),
];
const news = serverEvent("test:news", "News", z.object({ text: z.string() }));

function systemTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface Node {
  readonly realtime: Realtime;
  readonly server: Server;
  readonly port: number;
  readonly deps: Deps;
  readonly gate: TestGate;
  readonly log: { readonly level: string; readonly fields: LogFields; readonly message: string }[];
  readonly cuts: [string, number][];
}

let closers: (() => Promise<unknown> | void)[] = [];
beforeEach(() => {
  closers = [];
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
});

async function startNode(options: Partial<RealtimeOptions<Deps>> = {}, gate = new TestGate()): Promise<Node> {
  const server = createServer((_request, response) => response.end("plain"));
  const deps: Deps = { said: [] };
  const counts = new Map<string, number>();
  const count: Throttle = (action, who) => {
    const key = `${action.name} ${who.actor?.userId}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if ((counts.get(key) ?? 0) > action.limit) throw new Problem(rateLimited, { retryAfterSeconds: 30 });
  };
  const log: Node["log"] = [];
  const write = (level: string) => (fields: LogFields, message: string) => void log.push({ level, fields, message });
  const cuts: Node["cuts"] = [];
  const realtime = createRealtime<Deps>({
    server,
    events,
    connections: [],
    deps,
    gate: gate.ask,
    throttle: count,
    clientOf: () => ({ address: "127.0.0.1", addressKey: "127.0.0.1", userAgent: "", locale: "en" }),
    allowsOrigin: (origin) => origin === "https://app.example.com",
    clock: systemClock,
    log: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") },
    production: false,
    observe: { cut: (reason, n) => void cuts.push([reason, n]) },
    ...options,
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => {
    await realtime.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { realtime, server, port: (server.address() as AddressInfo).port, deps, gate, log, cuts };
}

interface Client {
  readonly socket: Socket;
  readonly received: [string, unknown][];
  readonly ended: () => string | undefined;
  readonly ask: (event: string, ...args: unknown[]) => Promise<Answer>;
}
interface Answer {
  readonly ok: boolean;
  readonly data?: unknown;
  readonly error?: {
    readonly code: string;
    readonly status: number;
    readonly errors?: { path: string }[];
    readonly [member: string]: unknown;
  };
}

function open(node: { readonly port: number }, token: unknown, more: object = {}): Client {
  const socket = io(`http://127.0.0.1:${node.port}`, {
    auth: { token },
    transports: ["websocket"],
    reconnection: false,
    forceNew: true,
    ...more,
  });
  const received: [string, unknown][] = [];
  let ended: string | undefined;
  socket.onAny((event: string, payload: unknown) => received.push([event, payload]));
  socket.on("disconnect", (reason) => (ended = reason));
  closers.push(() => void socket.disconnect());
  return {
    socket,
    received,
    ended: () => ended,
    ask: (event, ...args) => socket.timeout(5_000).emitWithAck(event, ...args) as Promise<Answer>,
  };
}

async function connected(node: { readonly port: number }, token: string, more: object = {}): Promise<Client> {
  const client = open(node, token, more);
  await new Promise<void>((resolve, reject) => {
    client.socket.once("connect", resolve);
    client.socket.once("connect_error", reject);
  });
  return client;
}

async function refusal(
  node: { readonly port: number },
  token: unknown,
  more: object = {},
): Promise<{ message: string; data?: { code: string; [member: string]: unknown } }> {
  const { socket } = open(node, token, more);
  return await new Promise((resolve, reject) => {
    socket.once("connect", () => reject(new Error("was let in")));
    socket.once("connect_error", resolve as (error: Error) => void);
  });
}

describe("connecting", () => {
  it("lets the bearer of a token in, by websocket and by polling", async () => {
    const node = await startNode();
    await connected(node, "ann");
    await connected(node, "bob", { transports: ["polling"] });
    expect(node.realtime.figures()).toMatchObject({ connections: 2, users: 2, redis: "off" });
  });

  it("refuses without a token, with a wrong one, and with one that is no text, and says why", async () => {
    const node = await startNode();
    expect((await refusal(node, undefined)).data).toMatchObject({ code: "token.missing", status: 401 });
    expect((await refusal(node, "!")).data?.code).toBe("token.invalid");
    for (const token of [{ a: 1 }, ["ann"], 7, ""]) expect((await refusal(node, token)).data?.code).toBe("token.missing");
    expect(node.realtime.figures().connections).toBe(0);
  });

  it("takes no token from a cookie, the query or a header", async () => {
    const node = await startNode();
    const more = { query: { token: "ann" }, extraHeaders: { cookie: "token=ann", authorization: "Bearer ann" } };
    expect((await refusal(node, undefined, more)).data?.code).toBe("token.missing");
  });

  it("tells a restricted account why", async () => {
    const node = await startNode();
    node.gate.refusals.set("ann", new Problem(accountRestricted, { extensions: { restriction: notice } }));
    expect((await refusal(node, "ann")).data).toMatchObject({ code: "account.restricted", status: 403, restriction: notice });
  });

  it("refuses pages of other origins before anything else, and lets the allowed one in", async () => {
    const node = await startNode();
    for (const transport of ["websocket", "polling"]) {
      expect(
        (await refusal(node, "ann", { transports: [transport], extraHeaders: { origin: "https://evil.example.com" } })).data,
      ).toBeUndefined();
      await connected(node, "ann", { transports: [transport], extraHeaders: { origin: "https://app.example.com" } });
    }
    const refused = node.log.find(({ fields }) => fields["kind"] === "origin.refused");
    expect(refused?.fields).toMatchObject({ securityEvent: true, reason: "https://evil.example.com" });
    const preflight = await fetch(`http://127.0.0.1:${node.port}/socket.io/?EIO=4&transport=polling`, {
      headers: { origin: "https://evil.example.com" },
    });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([403, null]);
  });

  it("throttles connecting by account", async () => {
    const node = await startNode({
      throttle: (action) => {
        if (action.name === "realtime.connect") throw new Problem(rateLimited, { retryAfterSeconds: 9 });
      },
    });
    expect((await refusal(node, "ann")).data).toMatchObject({ code: "rate.limited", retryAfterSeconds: 9 });
  });

  it("knows no other namespace and leaves other paths to the HTTP server", async () => {
    const node = await startNode();
    const other = io(`http://127.0.0.1:${node.port}/admin`, {
      auth: { token: "ann" },
      transports: ["websocket"],
      reconnection: false,
      forceNew: true,
    });
    closers.push(() => void other.disconnect());
    expect(await new Promise((resolve) => other.once("connect_error", ({ message }) => resolve(message)))).toBe("Invalid namespace");
    expect(await (await fetch(`http://127.0.0.1:${node.port}/`)).text()).toBe("plain");
  });

  it("tells listeners of a connection and of its end, with its rooms still readable", async () => {
    const seen: unknown[] = [];
    const listener: ConnectionListener<Deps> = {
      connected: (_deps, { actor }) => void seen.push(["connected", actor.userId]),
      disconnected: (_deps, socket, how) => void seen.push([how, [...socket.rooms()].filter((room) => room.startsWith("watch:"))]),
    };
    const node = await startNode({ connections: [listener] });
    const ann = await connected(node, "ann");
    await ann.ask("enter", { room: "x" });
    ann.socket.disconnect();
    await until(() => seen.length === 2);
    const bob = await connected(node, "bob");
    await node.realtime.cut({ subject: userId("bob"), sessionId: null, reason: "logged_out" });
    await until(() => bob.ended());
    expect(seen).toEqual([
      ["connected", userId("ann")],
      ["left", ["watch:x"]],
      ["connected", userId("bob")],
      ["session_over", []],
    ]);
  });

  it("cuts a connection whose session ended while it was being let in", async () => {
    const gate = new TestGate();
    // Let in by the first answer; by the time it is connected the gate knows better.
    const ask: Gate = async (token, access) => {
      const actor = await gate.ask(token, access);
      gate.refusals.set("ann", new Problem(tokenExpired));
      return actor;
    };
    const node = await startNode({ gate: ask });
    const ann = await connected(node, "ann");
    await until(() => ann.ended());
  });
});

describe("events", () => {
  it("answers with data", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    expect(await ann.ask("say", { text: "hello" })).toEqual({ ok: true, data: { text: "hello" } });
  });

  it("does without an acknowledgement, and handles events of one connection in their order", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    ann.socket.emit("say", { text: "slow" });
    ann.socket.emit("say", { text: "quick" });
    await until(() => node.deps.said.length === 2);
    expect(node.deps.said).toEqual(["slow", "quick"]);
  });

  it("refuses what does not fit, with a stable code and the path", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    const refused = async (...args: unknown[]): Promise<unknown> => {
      const { ok, error } = await ann.ask("say", ...args);
      expect([ok, error?.code, error?.status]).toEqual([false, "input.invalid", 400]);
      return error?.errors?.[0]?.path;
    };
    expect(await refused({})).toBe("payload.text");
    expect(await refused({ text: 7 })).toBe("payload.text");
    expect(await refused({ text: "a\0b" })).toBe("payload.text");
    expect(await refused({ text: "\ud800" })).toBe("payload.text");
    expect(await refused({ text: "a", extra: 1 })).toBe("payload");
    for (const args of [[], [null], ["text"], [[1]], [{ text: "a" }, { text: "b" }]]) await refused(...args);
    expect(node.deps.said).toEqual([]);
  });

  it("asks the gate at each event, and throttles each", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    expect((await ann.ask("moderate", {})).error).toMatchObject({ code: "access.denied", status: 403 });
    expect((await ann.ask("rare")).ok).toBe(true);
    expect((await ann.ask("rare")).ok).toBe(true);
    expect((await ann.ask("rare")).error).toMatchObject({ code: "rate.limited", retryAfterSeconds: 30 });
    expect(ann.ended()).toBeUndefined();
  });

  it("answers and then cuts when the gate says at an event that the session is over", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    node.gate.refusals.set("ann", new Problem(accountRestricted, { extensions: { restriction: notice } }));
    const { error } = await ann.ask("say", { text: "too late" });
    expect(error).toMatchObject({ code: "account.restricted", restriction: notice });
    await until(() => ann.ended());
    expect(ann.received).toContainEqual(["account:restricted", notice]);
    expect(node.deps.said).toEqual([]);
  });

  it("tells nothing of an unexpected error but logs it whole", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    const { error } = await ann.ask("say", { text: "crash" });
    expect(error?.code).toBe("service.internal_error");
    expect(JSON.stringify(error)).not.toMatch(/secret|TypeError/);
    expect(String(node.log.find(({ level }) => level === "error")?.fields["error"])).toContain("select secret");
  });

  it("refuses events it does not know, numbers and reserved names included, and stays well (CVE-2024-38355)", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    expect((await ann.ask("nothing:such", {})).error).toMatchObject({ code: "event.unknown", status: 404 });
    const raw = await rawSocket(node, "bob");
    for (const [number, name] of [`"error"`, `"__proto__"`, `"constructor"`, "7"].entries()) {
      raw.send(`42${number}[${name},{"text":"x"}]`);
      await until(() => raw.texts.some((text) => text.startsWith(`43${number}[`) && text.includes(`"event.unknown"`)));
    }
    raw.close();
    for (const name of ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]) {
      const hostile = await rawSocket(node, "bob");
      hostile.send(`42["${name}",{"text":"x"}]`);
      await until(() => hostile.isClosed());
    }
    expect((await ann.ask("say", { text: "still here" })).ok).toBe(true);
    expect(node.log.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("refuses binary without keeping attachments (CVE-2026-33151)", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    expect((await ann.ask("say", { text: Buffer.from("abc") })).error?.code).toBe("input.invalid");
    expect((await ann.ask("say", Buffer.alloc(1_000))).error?.code).toBe("input.invalid");
    expect((await ann.ask("say", { text: "after" })).ok).toBe(true);
    const raw = await rawSocket(node, "bob");
    raw.send(`4599999999-1["say",{"_placeholder":true,"num":0}]`);
    raw.send(`451-2["say",{"text":"${"x".repeat(10)}"}]`);
    await until(() => raw.texts.some((text) => text.startsWith("432[") && text.includes(`"ok":true`)));
    const wrong = await rawSocket(node, "bob");
    wrong.send(`45x-1["say",{}]`);
    await until(() => wrong.isClosed());
  });

  it("lets at most a hundred events of one connection wait", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    const answers = await Promise.all(Array.from({ length: 150 }, () => ann.ask("say", { text: "slow" })));
    expect(answers.filter(({ ok }) => ok).length).toBeGreaterThanOrEqual(100);
    expect(answers.filter(({ error }) => error?.code === "event.queue_full").length).toBeGreaterThan(0);
  });
});

describe("hostile wire", () => {
  it("cuts a client that sends more than 64 KB at once", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    ann.socket.emit("say", { text: "x".repeat(70_000) });
    await until(() => ann.ended());
    const polling = await fetch(`http://127.0.0.1:${node.port}/socket.io/?EIO=4&transport=polling`);
    const { sid } = JSON.parse((await polling.text()).slice(1)) as { sid: string };
    const posted = await fetch(`http://127.0.0.1:${node.port}/socket.io/?EIO=4&transport=polling&sid=${sid}`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "4".repeat(70_000),
    });
    expect(posted.status).toBe(413);
  });

  it("survives junk frames", async () => {
    const node = await startNode();
    for (const junk of [
      "",
      "9",
      "4",
      "49",
      "42",
      "42{",
      "42[]",
      "42[[]]",
      "42[null]",
      "43",
      "44",
      `42["say"`,
      "40",
      `40{"token":"x"}`,
      "x".repeat(1_000),
      '42/admin,["say"]',
    ]) {
      const raw = await rawSocket(node, "ann");
      raw.send(junk);
      raw.close();
    }
    const before = await rawSocket(node);
    before.send(`42["say",{"text":"not connected"}]`);
    await until(() => before.isClosed());
    expect((await (await connected(node, "bob")).ask("say", { text: "fine" })).ok).toBe(true);
    expect(node.deps.said).toEqual(["fine"]);
  });

  it("survives handshakes with more headers than Node keeps, the one of the upgrade last (ws CVE-2024-37890)", async () => {
    const node = await startNode();
    for (const count of [2_500, 10_000]) {
      const tcp = await tcpSocket(node);
      tcp.on("error", () => {});
      tcp.resume();
      const closed = once(tcp, "close");
      const many = "x:\r\n".repeat(count);
      tcp.end(
        `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Version: 13\r\n${many}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      );
      await closed;
    }
    expect((await (await connected(node, "ann")).ask("say", { text: "fine" })).ok).toBe(true);
  });

  it("cuts a message that comes in more tiny fragments than any honest one has", async () => {
    const node = await startNode();
    const tcp = await tcpSocket(node);
    tcp.write(
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
    await once(tcp, "data");
    // Masked frames of one byte: text first, then continuations without end.
    const first = Buffer.from([0x01, 0x81, 0, 0, 0, 0, 0x34]);
    const next = Buffer.from([0x00, 0x81, 0, 0, 0, 0, 0x78]);
    const closed = once(tcp, "close");
    tcp.on("error", () => {});
    tcp.write(Buffer.concat([first, ...Array.from({ length: 20_000 }, () => next)]));
    tcp.resume();
    await closed;
    expect((await (await connected(node, "ann")).ask("say", { text: "fine" })).ok).toBe(true);
  });

  it("closes a connection that joins nothing in ten seconds", async () => {
    const node = await startNode();
    const raw = await rawSocket(node);
    await until(() => raw.isClosed(), { withinMs: 12_000 });
  });
});

interface RawSocket {
  readonly texts: string[];
  readonly send: (text: string) => void;
  readonly close: () => void;
  readonly isClosed: () => boolean;
}

/** So many of ann's. Not all at once: what does not fit into the queue of those who wait to be accepted (511) tries again after seconds. */
async function rawSockets(node: Node, count: number): Promise<RawSocket[]> {
  const opened: RawSocket[] = [];
  while (opened.length < count) {
    const some = Math.min(100, count - opened.length);
    opened.push(...(await Promise.all(Array.from({ length: some }, () => rawSocket(node, "ann")))));
  }
  return opened;
}

/** Speaks Engine.IO by hand; joins the namespace when a token is given. */
async function rawSocket(node: Node, token?: string): Promise<RawSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${node.port}/socket.io/?EIO=4&transport=websocket`);
  const texts: string[] = [];
  socket.addEventListener("message", ({ data }) => texts.push(String(data)));
  closers.push(() => socket.close());
  await until(() => texts.length > 0);
  if (token !== undefined) {
    socket.send(`40${JSON.stringify({ token })}`);
    await until(() => texts.some((text) => text.startsWith("40")));
  }
  return { texts, send: (text) => socket.send(text), close: () => socket.close(), isClosed: () => socket.readyState === WebSocket.CLOSED };
}

async function tcpSocket(node: Node): Promise<TcpSocket> {
  const tcp = connect(node.port, "127.0.0.1");
  closers.push(() => void tcp.destroy());
  await once(tcp, "connect");
  return tcp;
}

describe("the end of sessions", () => {
  it("cuts all connections of a user, or those of one session, and says why", async () => {
    const node = await startNode();
    const phone = await connected(node, "ann/phone");
    const laptop = await connected(node, "ann/laptop");
    const bob = await connected(node, "bob");
    expect(await node.realtime.cut({ subject: userId("ann"), sessionId: sessionId("annphone"), reason: "logged_out" })).toBe(1);
    await until(() => phone.ended());
    expect(phone.received).toEqual([["session:revoked", { sessionId: sessionId("annphone"), reason: "logged_out" }]]);
    expect(laptop.ended()).toBeUndefined();
    expect(await node.realtime.cut({ subject: userId("ann"), sessionId: null, reason: "logged_out_everywhere" })).toBe(1);
    await until(() => laptop.ended());
    expect((await bob.ask("say", { text: "still here" })).ok).toBe(true);
    expect(node.cuts).toEqual([
      ["logged_out", 1],
      ["logged_out_everywhere", 1],
    ]);
  });

  it("tells a restricted account its notice, given or asked of the gate, and closes in any case", async () => {
    const node = await startNode();
    const restrict = (user: string): Promise<number> =>
      node.realtime.cut({ subject: userId(user), sessionId: null, reason: "account.restricted" });
    const ann = await connected(node, "ann");
    await node.realtime.cut({ subject: userId("ann"), sessionId: null, reason: "account.restricted", notice });
    await until(() => ann.ended());
    expect(ann.received).toEqual([["account:restricted", notice]]);
    const bob = await connected(node, "bob");
    node.gate.refusals.set("bob", new Problem(accountRestricted, { extensions: { restriction: notice } }));
    await restrict("bob");
    await until(() => bob.ended());
    expect(bob.received).toEqual([["account:restricted", notice]]);
    const cleo = await connected(node, "cleo");
    node.gate.refusals.set("cleo", new Problem(serviceAway));
    await restrict("cleo");
    await until(() => cleo.ended());
    expect(cleo.received).toEqual([["session:revoked", { sessionId: sessionId("cleofirst"), reason: "account.restricted" }]]);
  });

  it("waits a moment for the notice of whoever is restricted, for a process with much to do", async () => {
    const gate = new TestGate();
    // Timers end in the order of their times, however late: this is no race.
    const slowly: Gate = async (token, access) => {
      if (gate.refusals.has("ann")) await delay(150);
      return await gate.ask(token, access);
    };
    const node = await startNode({ gate: slowly });
    const ann = await connected(node, "ann");
    gate.refusals.set("ann", new Problem(accountRestricted, { extensions: { restriction: notice } }));
    await node.realtime.cut({ subject: userId("ann"), sessionId: null, reason: "account.restricted" });
    await until(() => ann.ended());
    expect(ann.received).toEqual([["account:restricted", notice]]);
  });

  it("looks at nothing that a connection sends once it is to be cut", async () => {
    const gate = new TestGate();
    let isAsked = false;
    // Takes its time to say what the notice is, and would let everything else pass.
    const ask: Gate = (token, access) => {
      if (isAsked || !gate.refusals.has("slow")) return gate.ask(token, access);
      isAsked = true;
      return new Promise(() => {});
    };
    const node = await startNode({ gate: ask });
    const ann = await connected(node, "ann");
    gate.refusals.set("slow", new Problem(serviceAway));
    const cut = node.realtime.cut({ subject: userId("ann"), sessionId: null, reason: "account.restricted" });
    ann.socket.emit("say", { text: "after the ban" });
    await cut;
    await until(() => ann.ended());
    expect(node.deps.said).toEqual([]);
  });

  it("cuts within a second of the moment at which the gate begins to refuse, with nobody telling", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    await connected(node, "bob");
    node.gate.refusals.set("ann", new Problem(accountRestricted, { extensions: { restriction: notice } }));
    await until(() => ann.ended(), { withinMs: 1_000 });
    expect(ann.received).toEqual([["account:restricted", notice]]);
    expect(node.realtime.figures().connections).toBe(1);
  });

  it("keeps connections while the gate cannot answer", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    node.gate.refusals.set("ann", new Problem(serviceAway));
    const { calls } = node.gate;
    await until(() => node.gate.calls > calls + 3);
    expect((await ann.ask("say", { text: "x" })).error?.code).toBe("test.service_away");
    expect(ann.ended()).toBeUndefined();
  });

  it("rechecks a user's connections on demand", async () => {
    const node = await startNode();
    const phone = await connected(node, "ann/phone");
    const laptop = await connected(node, "ann/laptop");
    node.gate.refusals.set("ann/phone", new Problem(tokenInvalid));
    await node.realtime.recheck(userId("ann"));
    await until(() => phone.ended());
    expect(phone.received).toEqual([["session:revoked", { sessionId: sessionId("annphone"), reason: "token.invalid" }]]);
    expect(laptop.ended()).toBeUndefined();
  });

  it("closes 1,000 connections of one user with loop turns between", async () => {
    const node = await startNode({ throttle: () => {} });
    const clients = await rawSockets(node, 1_000);
    let turns = 0;
    const count = (): void => {
      turns += 1;
      if (node.realtime.figures().connections > 0) setImmediate(count);
    };
    count();
    await node.realtime.cut({ subject: userId("ann"), sessionId: null, reason: "account.restricted", notice });
    expect(turns).toBeGreaterThan(5);
    expect(node.realtime.figures().connections).toBe(0);
    await until(() => clients.every((client) => client.isClosed() && client.texts.at(-2)?.includes("account:restricted")));
  });
});

describe("the end of tokens", () => {
  const inMs = (ms: number): Date => new Date(systemClock.now().getTime() + ms);

  it("warns once a minute before the token ends and closes at its end", async () => {
    const node = await startNode();
    node.gate.ends.set("ann", inMs(1_500));
    const ann = await connected(node, "ann");
    await until(() => ann.received.length === 1, { withinMs: 1_000 });
    expect(ann.received[0]).toEqual([
      "token:expiring",
      { expiresAt: node.gate.ends.get("ann")?.toISOString(), secondsLeft: expect.any(Number) },
    ]);
    await until(() => ann.ended(), { withinMs: 3_000 });
    expect(ann.received.map(([name]) => name)).toEqual(["token:expiring", "token:expiring"]);
    expect(ann.received[1]?.[1]).toMatchObject({ secondsLeft: 0 });
    expect(systemClock.now().getTime()).toBeGreaterThanOrEqual(node.gate.ends.get("ann")?.getTime() ?? 0);
  });

  it("goes on with a newer token of the same session", async () => {
    const node = await startNode();
    node.gate.ends.set("ann/phone/1", inMs(1_200));
    node.gate.ends.set("ann/phone/2", inMs(3_600_000));
    const ann = await connected(node, "ann/phone/1");
    expect(await ann.ask("token:refresh", { accessToken: "ann/phone/2" })).toEqual({
      ok: true,
      data: { expiresAt: node.gate.ends.get("ann/phone/2")?.toISOString() },
    });
    node.gate.refusals.set("ann/phone/1", new Problem(tokenExpired));
    await until(() => inMs(0) > inMs(0) || inMs(0) > (node.gate.ends.get("ann/phone/1") ?? inMs(0)));
    const { calls } = node.gate;
    await until(() => node.gate.calls > calls + 3);
    expect((await ann.ask("say", { text: "still here" })).ok).toBe(true);
  });

  it("keeps what it was just given, whatever the gate then says of the token before", async () => {
    const gate = new TestGate();
    let lateAnswer: ((problem: Problem) => void) | undefined;
    const ask: Gate = (token, access) =>
      token === "ann/phone/1" && gate.refusals.has("slow")
        ? new Promise((_resolve, reject) => (lateAnswer = reject))
        : gate.ask(token, access);
    const node = await startNode({ gate: ask });
    const ann = await connected(node, "ann/phone/1");
    gate.refusals.set("slow", new Problem(serviceAway));
    const ofTheSweep = await until(() => lateAnswer);
    gate.refusals.delete("slow");
    expect((await ann.ask("token:refresh", { accessToken: "ann/phone/2" })).ok).toBe(true);
    ofTheSweep(new Problem(tokenExpired));
    expect((await ann.ask("say", { text: "still here" })).ok).toBe(true);
    expect(ann.ended()).toBeUndefined();
  });

  it("refuses the token of another session or person, and a bad one, and stays as it was", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann/phone");
    for (const accessToken of ["ann/laptop", "bob"]) {
      expect((await ann.ask("token:refresh", { accessToken })).error).toMatchObject({ code: "token.of_another_session", status: 403 });
    }
    expect((await ann.ask("token:refresh", { accessToken: "!" })).error?.code).toBe("token.invalid");
    expect((await ann.ask("say", { text: "still here" })).ok).toBe(true);
  });
});

describe("pushes", () => {
  it("reach a user's connections, a room, or a room here", async () => {
    const node = await startNode();
    const phone = await connected(node, "ann/phone");
    const laptop = await connected(node, "ann/laptop");
    const bob = await connected(node, "bob");
    await bob.ask("enter", { room: "x" });
    const { pushes } = node.realtime as Realtime;
    pushes.toUser(userId("ann"), news, { text: "ann" });
    pushes.toRoom("watch:x", news, { text: "room" });
    expect(() => pushes.toRoom("watch:x", news, { text: 7 } as never)).toThrow();
    await until(() => phone.received.length === 1 && laptop.received.length === 1 && bob.received.length === 1);
    expect(phone.received).toEqual([["test:news", { text: "ann" }]]);
    expect(bob.received).toEqual([["test:news", { text: "room" }]]);
  });

  it("write to big rooms in slices with loop turns between, in order", async () => {
    const node = await startNode({ throttle: () => {} });
    const clients = await rawSockets(node, 1_200);
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    node.realtime.pushes.toUser(userId("ann"), news, { text: "first" });
    node.realtime.pushes.toUser(userId("ann"), news, { text: "second" });
    count();
    const texts = (client: RawSocket): string[] => client.texts.filter((text) => text.includes("test:news"));
    await until(() => clients.every((client) => texts(client).length === 2));
    isDone = true;
    expect(turns).toBeGreaterThanOrEqual(3);
    expect(clients.every((client) => texts(client)[0]?.includes("first"))).toBe(true);
  });

  it("cut a client that does not read", async () => {
    const node = await startNode();
    const tcp = await tcpSocket(node);
    tcp.write(
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
    await once(tcp, "data");
    const text = Buffer.from(`40{"token":"ann"}`);
    tcp.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
    await until(() => node.realtime.figures().connections === 1);
    tcp.pause();
    const big = { text: "x".repeat(20_000) };
    await until(() => {
      for (let count = 0; count < 100; count += 1) node.realtime.pushes.toUser(userId("ann"), news, big);
      return node.realtime.figures().connections === 0;
    });
    expect(node.cuts).toContainEqual(["slow", 1]);
  });
});

describe("draining", () => {
  it("hints every client, admits nobody, and closes what is left so that it comes back by itself", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    const drained = node.realtime.drain(300);
    await until(() => ann.received.length === 1);
    expect(ann.received[0]).toEqual(["server:draining", { reconnectAfterMs: expect.any(Number) }]);
    await expect(refusal(node, "bob")).resolves.toBeDefined();
    expect(ann.ended()).toBeUndefined();
    await drained;
    await until(() => ann.ended());
    expect(ann.ended()).toBe("transport close");
  });

  it("waits no longer than for the last client", async () => {
    const node = await startNode();
    const ann = await connected(node, "ann");
    const drained = node.realtime.drain(60_000);
    await until(() => ann.received.length === 1);
    ann.socket.disconnect();
    await drained;
  });
});

describeWith("redis-server", "with Redis", (path) => {
  const pair = async (redis: Redis): Promise<[Node, Node]> => [
    await startNode({ redisUrl: redis.url }),
    await startNode({ redisUrl: redis.url }),
  ];
  const bothUp = (nodes: readonly Node[]): Promise<unknown> =>
    until(() => nodes.every(({ realtime }) => realtime.figures().redis === "up"));

  it("reaches connections of other processes, each once", async () => {
    await using redis = await startRedis(path);
    const nodes = await pair(redis);
    await bothUp(nodes);
    const [one, other] = [await connected(nodes[0], "ann/phone"), await connected(nodes[1], "ann/laptop")];
    // The first reads of a new process begin a little after it is up.
    await until(() => {
      nodes[0].realtime.pushes.toUser(userId("ann"), news, { text: "warm" });
      return other.received.length > 0;
    });
    nodes[0].realtime.pushes.toUser(userId("ann"), news, { text: "once" });
    const onces = (client: Client): number => client.received.filter(([, payload]) => (payload as { text: string }).text === "once").length;
    await until(() => onces(one) > 0 && onces(other) > 0);
    nodes[0].realtime.pushes.toRoomHere(`user:${userId("ann")}`, news, { text: "here" });
    await until(() => one.received.at(-1)?.[1]);
    expect([onces(one), onces(other)]).toEqual([1, 1]);
    expect(await nodes[0].realtime.checkRedis?.()).toMatchObject({ state: "up" });
    await Promise.all(nodes.map(({ realtime }) => realtime.close()));
  });

  it("serves its own connections, admits and cuts while Redis is gone, says so, and goes on when it is back", async () => {
    await using redis = await startRedis(path);
    const nodes = await pair(redis);
    await bothUp(nodes);
    redis.program.signal("SIGKILL");
    await until(() => nodes[0].realtime.figures().redis === "down");
    const ann = await connected(nodes[0], "ann");
    nodes[0].realtime.pushes.toUser(userId("ann"), news, { text: "local" });
    await until(() => ann.received.length === 1);
    expect(await nodes[0].realtime.checkRedis?.()).toMatchObject({ state: "degraded" });
    expect(nodes[0].realtime.figures().pushesMissed).toBeGreaterThan(0);
    await nodes[0].realtime.cut({ subject: userId("ann"), sessionId: null, reason: "logged_out" });
    await until(() => ann.ended());
    await using back = await startRedis(path, redis.port);
    await bothUp(nodes);
    const bob = await connected(nodes[1], "bob");
    await until(() => {
      nodes[0].realtime.pushes.toUser(userId("bob"), news, { text: "back" });
      return bob.received.length > 0;
    });
    expect(back.port).toBe(redis.port);
    await Promise.all(nodes.map(({ realtime }) => realtime.close()));
  });

  it("is not held up by a Redis that is frozen", async () => {
    await using redis = await startRedis(path);
    const nodes = await pair(redis);
    await bothUp(nodes);
    redis.program.signal("SIGSTOP");
    const ann = await connected(nodes[0], "ann");
    nodes[0].realtime.pushes.toUser(userId("ann"), news, { text: "local" });
    await until(() => ann.received.length === 1, { withinMs: 500 });
    redis.program.signal("SIGCONT");
  });

  it("starts and closes while there is no Redis", async () => {
    const node = await startNode({ redisUrl: "redis://127.0.0.1:1" });
    const ann = await connected(node, "ann");
    expect((await ann.ask("say", { text: "fine" })).ok).toBe(true);
    await node.realtime.close();
  });
});
