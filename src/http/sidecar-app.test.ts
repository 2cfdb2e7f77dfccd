import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { systemClock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { Problem, problem } from "#src/kernel/problem";
import { Secret } from "#src/kernel/secret";
import { rawConnection, type LogLine } from "../../test/kit/http-app.ts";
import { until } from "../../test/kit/until.ts";
import { internalRoute } from "./internal-route.ts";
import { createServer } from "./server.ts";
import { createSidecarApp, type SidecarAppOptions } from "./sidecar-app.ts";
import type { Deliver } from "./sidecar-events.ts";

const TOKEN = "what-daprd-shows-us";
const HIDDEN = "/events/0123456789abcdef/users.v1";
const token = { "dapr-api-token": TOKEN };
const controller = { ...token, "dapr-caller-app-id": "user-service-controller" };

const thingGone = problem("test.thing_gone", 410, "The thing is gone");

interface Things {
  readonly calls: unknown[];
}

const routes = [
  internalRoute({
    method: "put",
    path: "/internal/things/:id",
    summary: "Sets a thing",
    params: z.object({ id: z.string().max(20) }),
    query: z.object({ dry: z.enum(["yes"]).optional() }),
    body: z.object({ size: z.number() }),
    answers: { 200: { description: "As it is", body: z.object({ id: z.string(), by: z.string(), size: z.number() }) } },
    problems: [thingGone],
    callers: ["user-service-controller"],
    handle: async (deps: Things, { params, query, body, caller }) => {
      deps.calls.push({ params, query, body, caller });
      if (params.id === "gone") throw new Problem(thingGone);
      if (params.id === "broken") throw new Error("a secret of ours");
      if (params.id === "slow") await new Promise(() => {});
      return { status: 200, body: { id: params.id, by: caller, size: body.size, ...(params.id === "leaky" ? { password: "x" } : {}) } };
    },
  }),
  internalRoute({
    method: "get",
    path: "/internal/restrictions",
    summary: "Lists them",
    answers: { 200: { description: "All", body: z.array(z.string()) } },
    problems: [],
    callers: ["user-service-controller", "social-service"],
    handle: async (deps: Things, { caller, query }) => {
      deps.calls.push({ caller, query });
      return { status: 200, body: [] };
    },
  }),
];

interface Served extends AsyncDisposable {
  readonly port: number;
  readonly lines: readonly LogLine[];
  readonly refusals: () => unknown[];
  readonly requests: readonly { readonly route: string; readonly status: number }[];
  readonly calls: readonly unknown[];
  readonly events: unknown[];
  readonly ask: (method: string, path: string, headers?: OutgoingHttpHeaders, body?: string | Buffer) => Promise<Reply>;
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

async function serve(
  options: Partial<SidecarAppOptions<Things>> = {},
  deliver: Deliver = () => Promise.resolve("SUCCESS"),
): Promise<Served> {
  const lines: LogLine[] = [];
  const requests: { route: string; status: number }[] = [];
  const deps: Things = { calls: [] };
  const events: unknown[] = [];
  const noting: Deliver = (event) => {
    events.push(event);
    return deliver(event);
  };
  const app = createSidecarApp<Things>({
    appToken: new Secret(TOKEN),
    events: { subscriptionDocument: () => [{ topic: "users.v1", route: HIDDEN }], deliveries: () => new Map([[HIDDEN, noting]]) },
    routes,
    deps,
    clock: systemClock,
    log: linesTo(lines),
    metrics: { httpRequest: (one) => void requests.push(one), unexpectedError: () => "fingerprint" },
    production: false,
    ...options,
  });
  const served = createServer(app.listener);
  const port = await served.listen(0, "127.0.0.1");
  return {
    port,
    lines,
    requests,
    calls: deps.calls,
    events,
    refusals: () => lines.filter(({ fields }) => fields["kind"] === "sidecar.refused").map(({ fields }) => fields["reason"]),
    ask: (method, path, headers = {}, body) => ask(port, { method, path, headers, body }),
    [Symbol.asyncDispose]: async () => {
      served.server.closeAllConnections();
      await served.drain(0);
    },
  };
}

function linesTo(lines: LogLine[]): Log {
  const at = (level: LogLine["level"]) => (fields: LogLine["fields"], message: string) => void lines.push({ level, fields, message });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: string | Buffer | undefined;
}

function ask(port: number, { method, path, headers, body }: Asked): Promise<Reply> {
  return new Promise((resolve, reject) => {
    // Node says no length for methods that seldom have a body.
    const length = "transfer-encoding" in headers ? {} : { "content-length": Buffer.byteLength(body ?? "") };
    const json = body === undefined ? {} : { "content-type": "application/json", ...length };
    const sent = request({ host: "127.0.0.1", port, method, path, headers: { ...json, ...headers }, agent: false }, (answer) => {
      void answer.toArray().then((chunks: Buffer[]) => {
        const text = Buffer.concat(chunks).toString("utf8");
        const isJson = /json/.test(answer.headers["content-type"] ?? "");
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: isJson && text !== "" ? JSON.parse(text) : text });
      }, reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const codeOf = (reply: Reply): unknown => [reply.status, (reply.body as { readonly code?: string }).code];

describe("the sidecar listener", () => {
  it("answers daprd's probe, which carries no token, and nothing else without one", async () => {
    await using served = await serve();
    expect((await served.ask("GET", "/healthz")).status).toBe(200);
    expect(served.refusals()).toEqual([]);
    for (const path of ["/dapr/subscribe", "/dapr/config", HIDDEN, "/internal/restrictions", "/", "/healthz?x", "/nothing"]) {
      expect(codeOf(await served.ask("GET", path, { "dapr-app-id": "us" }))).toEqual([401, "sidecar.token_invalid"]);
    }
    expect(served.refusals()).toEqual(Array(7).fill("token"));
  });

  it.each([
    ["an empty one", ""],
    ["a wrong one", "what-daprd-shows-u5"],
    ["the beginning of it", "what-daprd"],
    ["more than it", `${TOKEN}x`],
    ["it and another", [TOKEN, "x"]],
    ["another and it", ["x", TOKEN]],
    ["it twice", [TOKEN, TOKEN]],
    ["a very long one", "x".repeat(8_000)],
  ])("refuses %s for a token", async (_what, value) => {
    await using served = await serve();
    const reply = await served.ask("GET", "/internal/restrictions", { ...controller, "dapr-api-token": value });
    expect(codeOf(reply)).toEqual([401, "sidecar.token_invalid"]);
    expect(served.refusals()).toEqual(["token"]);
    expect(served.calls).toEqual([]);
    expect(JSON.stringify(served.lines)).not.toContain("what-daprd");
  });

  it("breaks on nothing that is thrown at it", async () => {
    await using served = await serve();
    const pick = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)] as T;
    const parts = [
      "internal",
      "things",
      "restrictions",
      "events",
      "dapr",
      "subscribe",
      "..",
      ".",
      "",
      "%2e",
      "%",
      "a;b",
      "\u00e9",
      "%00",
      "a".repeat(300),
    ];
    const callers = ["user-service-controller", "", "x,y", ["a", "b"], "\u00e9", "x".repeat(5_000)];
    const bodies = [
      undefined,
      "",
      "{",
      '{"size":1}',
      '{"__proto__":{"size":1}}',
      "null",
      "[".repeat(60_000),
      '"\\ud800"',
      Buffer.from([0xff, 0]),
    ];
    for (let i = 0; i < 300; i += 1) {
      const path = encodeURI(`/${Array.from({ length: 1 + (i % 4) }, () => pick(parts)).join("/")}`).replaceAll("%25", "%");
      const headers = {
        ...token,
        ...(i % 3 === 0 ? {} : { "dapr-caller-app-id": pick(callers) }),
        "content-type": pick(["application/json", "x", ""]),
      };
      const { status } = await served.ask(pick(["GET", "PUT", "POST", "HEAD", "DELETE"]), path, headers, pick(bodies));
      expect({ path, status, isServed: status < 500 }).toEqual({ path, status, isServed: true });
    }
    expect(served.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("keeps the trace of who asks in its refusals and its log", async () => {
    await using served = await serve();
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const reply = await served.ask("GET", "/internal/x", { ...controller, traceparent });
    expect(reply.body).toMatchObject({ traceId: "0af7651916cd43dd8448eb211c80319c" });
    expect(served.lines[0]?.fields).toMatchObject({ traceId: "0af7651916cd43dd8448eb211c80319c", actorId: "user-service-controller" });
  });

  it.each([
    "/internal/things/a%2Fb",
    "/internal/things/%2e%2e",
    "/internal/things/a%25b",
    "/internal/things/a%5cb",
    "/internal/things/a%0ab",
    "/internal/things/%C3%A9",
    "/internal/things/..",
    "/internal%2frestrictions",
    "/public%2F..%2Finternal/restrictions",
    "/public/../internal/restrictions",
    "/public/%2e%2e/internal/restrictions",
    "/internal/./restrictions",
    "/internal/restrictions/.",
    "/internal/restrictions/..",
    "/internal//restrictions",
    "//internal/restrictions",
    "/%252e%252e/internal",
    "/internal%23/restrictions",
    "/internal%3Fx/restrictions",
    "/internal\\restrictions",
    "/internal%5Crestrictions",
    "/internal/restrictions%00",
    "/internal/restrictions%0d%0a",
    "/internal/restrictions%7F",
    "/internal/%C3%A9",
    "/internal/%zz",
    "/internal/%",
    "/INTERNAL/restrictions",
    "/internal./restrictions",
    "/internal;x=y/restrictions",
    "/internal/restrictions;x=y",
    "/internal/restrictions/",
    "/internal/Restrictions",
    "/internal",
    "/api/users/me",
    "http://elsewhere/internal/restrictions",
    "*",
  ])("refuses the path %s and says so", async (path) => {
    await using served = await serve();
    for (const method of ["GET", "PUT"]) expect([400, 404]).toContain((await served.ask(method, path, controller, '{"size":1}')).status);
    expect(served.calls).toEqual([]);
    expect(served.refusals()).toHaveLength(2);
  });

  it("refuses characters that are none of a path", async () => {
    await using served = await serve();
    const head = `dapr-api-token: ${TOKEN}\r\ndapr-caller-app-id: user-service-controller\r\nhost: x\r\nconnection: close\r\n\r\n`;
    for (const path of ["/internal/\u00e9", "/internal/\u0001", "/internal/\t"]) {
      using raw = await rawConnection(served.port);
      raw.socket.write(Buffer.from(`GET ${path} HTTP/1.1\r\n${head}`, "latin1"));
      expect(await raw.closed).toMatch(/^HTTP\/1\.1 400 /);
    }
    expect(served.calls).toEqual([]);
  });
});

describe("what daprd asks", () => {
  const daprd = { ...token, "dapr-app-id": "user-service" };

  it("is told the subscriptions and its configuration", async () => {
    await using served = await serve();
    expect((await served.ask("GET", "/dapr/subscribe", daprd)).body).toEqual([{ topic: "users.v1", route: HIDDEN }]);
    expect((await served.ask("GET", "/dapr/config", daprd)).body).toEqual({});
    expect(served.refusals()).toEqual([]);
  });

  it.each<[string, OutgoingHttpHeaders]>([
    ["an app's name", { "dapr-caller-app-id": "stranger" }],
    ["an empty name", { "dapr-caller-app-id": "" }],
    ["a namespace", { "dapr-caller-namespace": "default" }],
    ["who it is for", { "dapr-callee-app-id": "user-service" }],
    ["a trace, as all that is invoked", { traceparent: "00-00000000000000000000000000000000-0000000000000000-00" }],
    ["two app ids", { "dapr-app-id": ["", "user-service"] }],
  ])("is told to nobody that has %s", async (_what, headers) => {
    await using served = await serve();
    for (const path of ["/dapr/subscribe", "/dapr/config"]) {
      const reply = await served.ask("GET", path, { ...daprd, ...headers });
      expect(codeOf(reply)).toEqual([403, "sidecar.caller_refused"]);
      expect(JSON.stringify(reply.body)).not.toContain("0123456789abcdef");
    }
    expect(served.refusals()).toHaveLength(2);
  });

  it("is told to nobody without an app id, and by GET only", async () => {
    await using served = await serve();
    expect((await served.ask("GET", "/dapr/subscribe", token)).status).toBe(403);
    expect((await served.ask("POST", "/dapr/subscribe", daprd)).status).toBe(405);
  });
});

describe("an event", () => {
  it.each(["SUCCESS", "RETRY", "DROP"] as const)("is handed on, and %s is answered in daprd's words", async (outcome) => {
    await using served = await serve({}, () => Promise.resolve(outcome));
    const type = { ...token, "content-type": "application/cloudevents+json; charset=utf-8" };
    const reply = await served.ask("POST", HIDDEN, type, JSON.stringify({ id: "1", text: "ő" }));
    expect([reply.status, reply.body]).toEqual([200, { status: outcome }]);
    expect(served.events).toEqual([{ id: "1", text: "ő" }]);
    expect(served.refusals()).toEqual([]);
  });

  it("is tried again when its handling fails, or takes too long", async () => {
    await using failing = await serve({}, () => Promise.reject(new Error("not now")));
    expect((await failing.ask("POST", HIDDEN, token, "{}")).body).toEqual({ status: "RETRY" });
    await using slow = await serve({ deadlineMs: 50 }, () => new Promise(() => {}));
    expect((await slow.ask("POST", HIDDEN, token, "{}")).body).toEqual({ status: "RETRY" });
  });

  it.each([
    ["no JSON", "{", "{"],
    ["nothing", "", ""],
    ["bytes that are no UTF-8", Buffer.from([0x7b, 0xff]), "{\ufffd"],
    ["too deep", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
    ["a NUL", '{"a":"\\u0000"}', { a: "\0" }],
    ["a number", "1", 1],
  ])("is handed on as it came when it is %s", async (_what, body, expected) => {
    await using served = await serve({}, () => Promise.resolve("DROP"));
    const reply = await served.ask("POST", HIDDEN, { ...token, "content-type": "text/plain" }, body);
    expect([reply.status, reply.body]).toEqual([200, { status: "DROP" }]);
    expect(served.events).toEqual([expected]);
  });

  it("is dropped when it is too large, said or not, and somebody is told", async () => {
    await using served = await serve({ maxEventBytes: 1_000 });
    const body = JSON.stringify("x".repeat(200_000));
    for (const headers of [token, { ...token, "transfer-encoding": "chunked" }]) {
      expect((await served.ask("POST", HIDDEN, headers, body)).body).toEqual({ status: "DROP" });
    }
    expect(served.events).toEqual([]);
    expect(served.lines.map(({ level }) => level)).toEqual(["error", "error"]);
    await using usual = await serve();
    expect((await usual.ask("POST", HIDDEN, token, JSON.stringify("x".repeat(1_000_000)))).body).toEqual({ status: "SUCCESS" });
  });

  it.each<[string, OutgoingHttpHeaders]>([
    ["named", { "dapr-caller-app-id": "stranger" }],
    ["named as we are", { "dapr-caller-app-id": "user-service" }],
    ["named with nothing", { "dapr-caller-app-id": "" }],
    ["named twice", { "dapr-caller-app-id": ["", "user-service"] }],
    ["of a namespace", { "dapr-caller-namespace": "default" }],
    ["calling somebody", { "dapr-callee-app-id": "user-service" }],
  ])("is refused from an app that is %s", async (_what, headers) => {
    await using served = await serve();
    expect(codeOf(await served.ask("POST", HIDDEN, { ...token, ...headers }, "{}"))).toEqual([403, "sidecar.caller_refused"]);
    expect(served.events).toEqual([]);
    expect(served.refusals()).toEqual(["invocation"]);
  });

  it("is refused at a path that only looks like one, in a way that daprd would not take for DROP", async () => {
    await using served = await serve();
    for (const path of ["/events/users.v1", "/events/x/users.v1", `${HIDDEN}.dead`, `${HIDDEN}/`, HIDDEN.toUpperCase(), "/events/"]) {
      expect([403, 404]).toContain((await served.ask("POST", path, token, "{}")).status);
    }
    expect((await served.ask("POST", "/events/users.v1", token, "{}")).status).toBe(403);
    for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) expect((await served.ask(method, HIDDEN, token)).status).toBe(403);
    expect(served.events).toEqual([]);
  });

  it("leaves no trace of the hidden part of its path in log or metrics", async () => {
    await using served = await serve({}, () => Promise.reject(new Error("not now")));
    await served.ask("POST", HIDDEN, token, "{}");
    await served.ask("GET", HIDDEN, token);
    await until(() => served.requests.length === 2);
    expect(served.requests[0]).toMatchObject({ route: "/events/:topic", status: 200 });
    expect(JSON.stringify([served.lines, served.requests])).not.toContain("0123456789abcdef");
  });
});

describe("an internal route", () => {
  it("gets parsed input without what it does not know, and its caller", async () => {
    await using served = await serve();
    const reply = await served.ask("PUT", "/internal/things/a%3Ab?dry=yes&later=1", controller, '{"size":1,"colour":"red"}');
    expect([reply.status, reply.body]).toEqual([200, { id: "a:b", by: "user-service-controller", size: 1 }]);
    const listed = await served.ask("GET", "/internal/restrictions?new=1", { ...controller, "dapr-caller-app-id": "social-service" });
    expect(listed.status).toBe(200);
    expect(served.calls).toEqual([
      { params: { id: "a:b" }, query: { dry: "yes" }, body: { size: 1 }, caller: "user-service-controller" },
      { caller: "social-service", query: undefined },
    ]);
    expect(served.refusals()).toEqual([]);
  });

  it.each<[string, string | string[] | undefined]>([
    ["nobody", undefined],
    ["an empty name", ""],
    ["another app", "social-service"],
    ["a stranger before the one", ["stranger", "user-service-controller"]],
    ["the one before a stranger", ["user-service-controller", "stranger"]],
    ["the one twice", ["user-service-controller", "user-service-controller"]],
    ["the one and nothing", ["", "user-service-controller"]],
    ["a list", "user-service-controller,stranger"],
    ["a list of one", "user-service-controller,"],
    ["capitals", "User-Service-Controller"],
    ["a namespace in the name", "user-service-controller.default"],
    ["more than the name", "user-service-controllers"],
  ])("refuses %s", async (_what, caller) => {
    await using served = await serve();
    const headers = caller === undefined ? token : { ...token, "dapr-caller-app-id": caller };
    const reply = await served.ask("PUT", "/internal/things/a", headers, '{"size":1}');
    expect(codeOf(reply)).toEqual([403, "sidecar.caller_refused"]);
    expect(served.calls).toEqual([]);
    expect(served.refusals()).toHaveLength(1);
  });

  it("wants the namespace where it is known", async () => {
    await using served = await serve({ callerNamespace: "prod" });
    const inNamespace = (namespace: string | string[]): Promise<Reply> =>
      served.ask("GET", "/internal/restrictions", { ...controller, "dapr-caller-namespace": namespace });
    expect((await inNamespace("prod")).status).toBe(200);
    for (const wrong of ["default", "", "prod,default"]) expect((await inNamespace(wrong)).status).toBe(403);
    expect((await inNamespace(["default", "prod"])).status).toBe(403);
    expect((await served.ask("GET", "/internal/restrictions", controller)).status).toBe(403);
  });

  it.each([
    ["a body that is no JSON", "a", "{", [400, "body.malformed"]],
    ["a wrong body", "a", '{"size":"1"}', [400, "input.invalid"]],
    ["a body that is too large", "a", `{"size":1,"x":"${"x".repeat(70_000)}"}`, [413, "body.too_large"]],
    ["a parameter that is too long", "x".repeat(30), '{"size":1}', [400, "input.invalid"]],
    ["what the use case refuses", "gone", '{"size":1}', [410, "test.thing_gone"]],
    ["an error", "broken", '{"size":1}', [500, "service.internal_error"]],
    ["an answer that is not as declared", "leaky", '{"size":1}', [500, "service.internal_error"]],
    ["an answer that does not come", "slow", '{"size":1}', [503, "service.deadline_passed"]],
  ])("tells %s as a problem", async (_what, id, body, expected) => {
    await using served = await serve({ deadlineMs: 1_000 });
    const reply = await served.ask("PUT", `/internal/things/${id}`, controller, body);
    expect(codeOf(reply)).toEqual(expected);
    expect(reply.headers["content-type"]).toBe("application/problem+json");
    expect(JSON.stringify(reply.body)).not.toContain("secret");
    expect(served.refusals()).toEqual([]);
  });

  it("answers its own methods only", async () => {
    await using served = await serve();
    for (const method of ["GET", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"])
      expect(codeOf(await served.ask(method, "/internal/things/a", controller))).toEqual([405, "method.not_allowed"]);
    expect(served.calls).toEqual([]);
  });

  it("is declared below /internal/, and for somebody", async () => {
    const [route] = routes;
    if (route === undefined) throw new Error("no route");
    await expect(serve({ routes: [{ ...route, path: "/api/things/:id" }] })).rejects.toThrow(/not below/);
    await expect(serve({ routes: [{ ...route, callers: [] }] })).rejects.toThrow(/nobody/);
    await expect(serve({ routes: [route, route] })).rejects.toThrow(/two routes/);
  });
});
