import { request as httpRequest } from "node:http";
import { describe, expect, it } from "@jest/globals";
import type { Middleware } from "koa";
import { z } from "zod";
import { account, anyone, type Action } from "#src/kernel/actor";
import { delay } from "#src/kernel/clock";
import { Problem, problem, serviceBusy } from "#src/kernel/problem";
import { actor, rawConnection, serveApp } from "../../test/kit/http-app.ts";
import { until } from "../../test/kit/until.ts";
import { route } from "./route.ts";

const often: Action = { name: "test.often", limit: 10_000, windowSeconds: 60 };
const rarely: Action = { name: "test.rarely", limit: 2, windowSeconds: 60 };
const teapot = problem("test.teapot", 418, "I am a teapot");
const unlisted = problem("test.unlisted", 409, "Nobody lists me");

const common = { tag: "test", summary: "For tests", problems: [teapot], throttle: often, needs: anyone } as const;
const echoBody = z.strictObject({
  name: z.string(),
  age: z.number().optional(),
  address: z.strictObject({ street: z.string(), tags: z.array(z.strictObject({ label: z.string() })).optional() }).optional(),
});
const echoed = z.object({ name: z.string() }).loose();

const echo = route({
  ...common,
  method: "post",
  path: "/api/echo",
  body: echoBody,
  answers: { 200: { description: "The body", body: echoed } },
  handle: async (_deps, { body }) => ({ status: 200, body }),
});
const me = route({
  ...common,
  method: "get",
  path: "/api/users/me",
  needs: account,
  answers: { 200: { description: "You", body: z.strictObject({ id: z.string() }) } },
  handle: async (_deps, { actor: { userId } }) => ({ status: 200, body: { id: userId } }),
});
const byName = route({
  ...common,
  method: "get",
  path: "/api/users/:name",
  params: z.strictObject({ name: z.string() }),
  query: z.strictObject({ limit: z.coerce.number().int().max(10).optional() }),
  answers: { 200: { description: "One", body: z.strictObject({ name: z.string(), limit: z.number().optional() }) } },
  handle: async (_deps, { params, query }) => ({ status: 200, body: { name: params.name, limit: query.limit } }),
});
const remove = route({
  ...common,
  method: "delete",
  path: "/api/users/:name",
  params: z.strictObject({ name: z.string() }),
  answers: { 204: { description: "Gone" } },
  handle: async () => ({ status: 204 }),
});
const routes = [echo, byName, me, remove];

const json = { "content-type": "application/json" };
const post = (url: string, body: RequestInit["body"], headers: Record<string, string> = json): Promise<Response> =>
  fetch(`${url}/api/echo`, { method: "POST", body: body as never, headers, duplex: "half" } as RequestInit);

async function code(response: Response | Promise<Response>): Promise<string> {
  const { status, code: its } = (await (await response).json()) as { status: number; code: string };
  return `${status} ${its}`;
}

async function errors(response: Response): Promise<{ path: string; message: string }[]> {
  expect(response.status).toBe(400);
  return ((await response.json()) as { errors: { path: string; message: string }[] }).errors;
}

describe("a route", () => {
  it("answers with its body, as JSON that nobody may store, under the security headers", async () => {
    await using app = await serveApp(routes);
    const response = await fetch(`${app.url}/api/users/ann?limit=3`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ name: "ann", limit: 3 });
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "content-security-policy": "default-src 'none';frame-ancestors 'none'",
      "ratelimit-limit": "10000",
      vary: "Origin",
    });
    expect(response.headers.get("x-powered-by")).toBeNull();
    expect(app.requests).toEqual([expect.objectContaining({ method: "GET", route: "/api/users/:name", status: 200 })]);
  });

  it("without parameters wins over one with, whatever their order", async () => {
    await using app = await serveApp(routes);
    const response = await fetch(`${app.url}/api/users/me`, { headers: { authorization: "Bearer good" } });
    expect(await response.json()).toEqual({ id: actor.userId });
  });

  it("tells browsers to insist on https exactly where clients come by https", async () => {
    await using plain = await serveApp(routes);
    await using secure = await serveApp(routes, { publicUrl: "https://users.example.com" });
    expect((await fetch(`${plain.url}/api/users/ann`)).headers.get("strict-transport-security")).toBeNull();
    expect((await fetch(`${secure.url}/api/users/ann`)).headers.get("strict-transport-security")).toMatch(/max-age=/);
  });

  it("answers HEAD like GET, without the body", async () => {
    await using app = await serveApp(routes);
    const response = await fetch(`${app.url}/api/users/ann`, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-length")).toBe("14");
    expect(await response.text()).toBe("");
  });

  it("answers 204 with nothing at all", async () => {
    await using app = await serveApp(routes);
    const response = await fetch(`${app.url}/api/users/ann`, { method: "DELETE" });
    expect(response.status).toBe(204);
    expect(response.headers.get("content-type")).toBeNull();
    expect(response.headers.get("content-length")).toBeNull();
  });

  it("ignores a body it does not take", async () => {
    await using app = await serveApp(routes);
    const status = await new Promise((resolve, reject) => {
      const request = httpRequest(`${app.url}/api/users/ann`, { headers: { "content-length": 5 } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on("error", reject);
      request.end("{{{{{");
    });
    expect(status).toBe(200);
  });

  it("cannot be mounted twice", async () => {
    await expect(serveApp([byName, { ...byName, path: "/api/users/:id" }])).rejects.toThrow("two routes answer GET /api/users/:id");
  });

  it("cannot be mounted with parameters that nothing checks", async () => {
    const { params: _params, ...bare } = byName;
    await expect(serveApp([bare])).rejects.toThrow("no schema");
  });
});

describe("the gate", () => {
  it.each([
    ["no token", {}, "401 test.token_missing"],
    ["another scheme", { authorization: "Basic good" }, "401 test.token_missing"],
    ["a scheme without token", { authorization: "Bearer" }, "401 test.token_missing"],
    ["two tokens", { authorization: "Bearer good good" }, "401 test.token_missing"],
    ["a wrong token", { authorization: "Bearer bad" }, "401 test.token_invalid"],
  ])("refuses %s", async (_name, headers, expected) => {
    await using app = await serveApp(routes);
    expect(await code(fetch(`${app.url}/api/users/me`, { headers: headers as Record<string, string> }))).toBe(expected);
  });

  it("takes the scheme in any case", async () => {
    await using app = await serveApp(routes);
    expect((await fetch(`${app.url}/api/users/me`, { headers: { authorization: "bEaReR good" } })).status).toBe(200);
  });

  it("finds no token in the query, and says where it belongs", async () => {
    await using app = await serveApp(routes);
    expect(await code(fetch(`${app.url}/api/users/me?access_token=good`))).toBe("401 test.token_missing");
    const [error] = await errors(await fetch(`${app.url}/api/users/me?access_token=good`, { headers: { authorization: "Bearer good" } }));
    expect(error).toEqual({ path: "query.access_token", message: expect.stringContaining("Authorization header") });
  });

  it("is asked before a body is read", async () => {
    let read = false;
    const guarded = route({
      ...common,
      method: "post",
      path: "/api/guarded",
      needs: account,
      body: z.unknown().transform(() => (read = true)),
      answers: { 204: { description: "Done" } },
      handle: async () => ({ status: 204 }),
    });
    await using app = await serveApp([guarded]);
    expect(await code(fetch(`${app.url}/api/guarded`, { method: "POST", body: "{", headers: json }))).toBe("401 test.token_missing");
    expect(read).toBe(false);
  });
});

describe("the throttle", () => {
  it("refuses with 429, Retry-After and the limits", async () => {
    await using app = await serveApp([{ ...byName, throttle: rarely }]);
    const first = await fetch(`${app.url}/api/users/ann`);
    expect(first.headers.get("ratelimit-remaining")).toBe("1");
    await fetch(`${app.url}/api/users/ann`);
    const refused = await fetch(`${app.url}/api/users/ann`);
    expect(Object.fromEntries(refused.headers)).toMatchObject({ "retry-after": "30", "ratelimit-limit": "2", "ratelimit-remaining": "0" });
    expect(await code(refused)).toBe("429 rate.limited");
  });

  it("is not fooled by X-Forwarded-For when no proxy is trusted, and follows it when one is", async () => {
    const forged = (app: { url: string }, n: number): Promise<Response> =>
      fetch(`${app.url}/api/users/ann`, { headers: { "x-forwarded-for": `198.51.100.${n}` } });
    await using direct = await serveApp([{ ...byName, throttle: rarely }]);
    await using behindOne = await serveApp([{ ...byName, throttle: rarely }], { trustedProxyHops: 1 });
    for (const n of [1, 2]) for (const app of [direct, behindOne]) expect((await forged(app, n)).status).toBe(200);
    expect((await forged(direct, 3)).status).toBe(429);
    expect((await forged(behindOne, 3)).status).toBe(200);
  });
});

describe("input", () => {
  it("has every problem listed with its path, of params, query and body together", async () => {
    await using app = await serveApp(routes);
    const listed = await errors(await post(app.url, JSON.stringify({ name: 7, age: "old", address: { tags: [{ label: 1 }] } })));
    expect(listed.map(({ path }) => path)).toEqual(["body.name", "body.age", "body.address.street", "body.address.tags[0].label"]);
    expect(listed[2]?.message).toBe("is required");
  });

  it("has unknown fields refused, with a hint", async () => {
    await using app = await serveApp(routes);
    const listed = await errors(
      await post(app.url, JSON.stringify({ name: "a", nmae: "b", Age: 1, address: { street: "s", stret: "t" } })),
    );
    expect(listed).toEqual(
      expect.arrayContaining([
        { path: "body.nmae", message: "unknown field; did you mean name?" },
        { path: "body.Age", message: "unknown field; did you mean age?" },
        { path: "body.address.stret", message: "unknown field; did you mean street?" },
      ]),
    );
  });

  it("has unknown query parameters refused, also where none is taken", async () => {
    await using app = await serveApp(routes);
    expect(await errors(await fetch(`${app.url}/api/users/ann?limt=3`))).toEqual([
      { path: "query.limt", message: "unknown field; did you mean limit?" },
    ]);
    expect(await errors(await fetch(`${app.url}/api/users/ann?a=1`, { method: "DELETE" }))).toEqual([
      { path: "query.a", message: "unknown field; none is taken here" },
    ]);
  });

  it("has a parameter given twice refused", async () => {
    await using app = await serveApp(routes);
    expect(await errors(await fetch(`${app.url}/api/users/ann?limit=1&limit=2`))).toEqual([
      { path: "query.limit", message: "is given more than once" },
    ]);
  });

  it("without a body is told like an empty one", async () => {
    await using app = await serveApp(routes);
    const response = await fetch(`${app.url}/api/echo`, { method: "POST" });
    expect(await errors(response)).toEqual([{ path: "body.name", message: "is required" }]);
  });

  it("cannot reach a prototype", async () => {
    await using app = await serveApp([{ ...echo, body: echoBody.loose() }]);
    const response = await post(app.url, '{"name":"a","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}');
    expect(response.status).toBeLessThan(500);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    await using strict = await serveApp(routes);
    const listed = await errors(await post(strict.url, '{"name":"a","__proto__":{"polluted":true}}'));
    expect(listed).toEqual([expect.objectContaining({ path: "body.__proto__" })]);
  });

  it("never comes back in a refusal's text", async () => {
    await using app = await serveApp(routes);
    const response = await post(app.url, JSON.stringify({ name: { secret: "hunter2" }, age: "hunter2" }));
    expect(await response.text()).not.toContain("hunter2");
  });
});

describe("a body", () => {
  it.each([
    ["cut JSON", '{"name":"a"', "400 body.malformed"],
    ["no JSON", "name=a", "400 body.malformed"],
    ["nothing but space", " ", "400 body.malformed"],
    ["JSON with a comment", '{"name":"a"/* */}', "400 body.malformed"],
    ["a raw control character", '{"name":"a\u0001"}', "400 body.malformed"],
    ["broken UTF-8", Buffer.from([0x22, 0xc3, 0x28, 0x22]), "400 body.malformed"],
    ["UTF-8 of a surrogate", Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), "400 body.malformed"],
    ["UTF-16", Buffer.from('{"name":"a"}', "utf16le"), "400 body.malformed"],
    ["33 levels", `${"[".repeat(33)}${"]".repeat(33)}`, "400 body.malformed"],
    ["30,000 levels", `${"[".repeat(30_000)}${"]".repeat(30_000)}`, "400 body.malformed"],
    ["a list", "[]", "400 input.invalid"],
    ["null", "null", "400 input.invalid"],
    ["a NUL", '{"name":"a\\u0000b"}', "400 input.invalid"],
    ["a NUL in a key", '{"name":"a","b\\u0000":1}', "400 input.invalid"],
    ["a lone high surrogate", '{"name":"\\ud800"}', "400 input.invalid"],
    ["a lone low surrogate, deep", '{"name":"a","address":{"street":"\\udc00x"}}', "400 input.invalid"],
    ["a number past all bounds", '{"name":"a","age":1e999}', "400 input.invalid"],
  ])("of %s is refused", async (_name, body, expected) => {
    await using app = await serveApp(routes);
    expect(await code(post(app.url, body as RequestInit["body"]))).toBe(expected);
    expect((await post(app.url, '{"name":"still here"}')).status).toBe(200);
  });

  it("of 32 levels, of escapes and of a byte order mark is taken", async () => {
    await using app = await serveApp([{ ...echo, body: z.looseObject({ name: z.string() }) }]);
    const deep = `${"[".repeat(31)}${"]".repeat(31)}`;
    const response = await post(app.url, `\ufeff{"name":"\\ud83d\\ude00","deep":${deep}}`);
    expect(response.status).toBe(200);
    expect(((await response.json()) as { name: string }).name).toBe("😀");
  });

  it.each([
    ["text/plain", "text/plain"],
    ["a form", "application/x-www-form-urlencoded"],
    ["another charset", "application/json; charset=iso-8859-1"],
    ["UTF-16", "application/json; charset=utf-16le"],
    ["a type that begins alike", "application/jsonp"],
    ["two types", "application/json, text/plain"],
    ["a long type", `application/json;${" ".repeat(5_000)}x`],
  ])("as %s is refused with 415", async (_name, type) => {
    await using app = await serveApp(routes);
    expect(await code(post(app.url, '{"name":"a"}', { "content-type": type }))).toBe("415 body.type_unsupported");
  });

  it.each(["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])("as %s is taken", async (type) => {
    await using app = await serveApp(routes);
    expect((await post(app.url, '{"name":"a"}', { "content-type": type })).status).toBe(200);
  });

  it("that is compressed is refused with 415", async () => {
    await using app = await serveApp(routes);
    expect(await code(post(app.url, '{"name":"a"}', { ...json, "content-encoding": "gzip" }))).toBe("415 body.type_unsupported");
  });

  it("of 64 KB is taken, and one byte more refused", async () => {
    await using app = await serveApp(routes);
    const ofBytes = (bytes: number): string => JSON.stringify({ name: "a".repeat(bytes - 11) });
    expect(ofBytes(65_536)).toHaveLength(65_536);
    expect((await post(app.url, ofBytes(65_536))).status).toBe(200);
    expect(await code(post(app.url, ofBytes(65_537)))).toBe("413 body.too_large");
  });

  it("of 10 MB is refused before it is read, also where no body is taken, and the answer arrives", async () => {
    await using app = await serveApp(routes);
    const large = Buffer.alloc(10 * 1024 * 1024, 0x61);
    expect(await code(post(app.url, large))).toBe("413 body.too_large");
    expect(await code(fetch(`${app.url}/api/users/ann`, { method: "DELETE", body: large }))).toBe("413 body.too_large");
    expect(await code(fetch(`${app.url}/nowhere`, { method: "POST", body: large }))).toBe("413 body.too_large");
  });

  it("without end is refused after 64 KB, the answer arrives, and the connection closes", async () => {
    await using app = await serveApp(routes);
    using connection = await rawConnection(
      app.port,
      "POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    const chunk = `4000\r\n${"a".repeat(0x4000)}\r\n`;
    for (let n = 0; n < 8; n += 1) connection.socket.write(chunk);
    await until(() => connection.received().includes("body.too_large"), { what: "the refusal" });
    expect(connection.received()).toMatch(/^HTTP\/1\.1 413 /);
    expect(connection.received()).toMatch(/\r\nConnection: close\r\n/i);
    await connection.closed;
  });

  it("too large can be sent to its end by a client that reads no answer before", async () => {
    await using app = await serveApp(routes);
    const head = "POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n";
    using connection = await rawConnection(app.port, head);
    connection.socket.pause();
    for (let n = 0; n < 40; n += 1) await new Promise<unknown>((resolve) => connection.socket.write("a".repeat(100_000), resolve));
    connection.socket.resume();
    expect(await connection.closed).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("that we would refuse is not asked for by 100-continue", async () => {
    await using app = await serveApp(routes);
    using large = await rawConnection(
      app.port,
      "POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 70000\r\nExpect: 100-continue\r\n\r\n",
    );
    await until(() => large.received().includes("body.too_large"), { what: "the refusal" });
    expect(large.received()).not.toContain("100 Continue");
    using small = await rawConnection(
      app.port,
      "POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
    );
    await until(() => small.received().includes("100 Continue"), { what: "100 Continue" });
    small.socket.write('{"name":"a"}');
    await until(() => small.received().includes("200 OK"), { what: "the answer" });
  });

  it("that is cut short harms nobody", async () => {
    await using app = await serveApp(routes);
    using connection = await rawConnection(
      app.port,
      'POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"name"',
    );
    connection.socket.destroy();
    await until(() => app.requests.length === 1, { what: "the request's end" });
    expect((await post(app.url, '{"name":"a"}')).status).toBe(200);
    expect(app.lines.filter(({ level }) => level === "error")).toEqual([]);
  });
});

describe("a path", () => {
  it.each([
    ["/nowhere", "404 route.not_found"],
    ["/api/users/ann/", "404 route.not_found"],
    ["/API/users/ann", "404 route.not_found"],
    ["/api/users/%", "400 path.malformed"],
    ["/api/users/%zz", "400 path.malformed"],
    ["/api/users/%c3%28", "400 path.malformed"],
    ["/api/users/%ed%a0%80", "400 path.malformed"],
    ["/api/users/a%00b", "400 path.malformed"],
    ["/%", "400 path.malformed"],
    ["/api/users/ann?limit=%zz", "400 path.malformed"],
    ["/api/users/ann?limit=%00", "400 input.invalid"],
    ["/api/users/..%2f..%2fetc", "200"],
    ["http://evil.test/api/users/ann", "200"],
    ["//evil.test/api/users/ann", "404 route.not_found"],
  ])("%s is answered with %s", async (path, expected) => {
    await using app = await serveApp(routes);
    using connection = await rawConnection(app.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    const answer = await connection.closed;
    const [status = "", its] = expected.split(" ");
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    if (its !== undefined) expect(answer).toContain(`"code":"${its}"`);
  });

  it("names its methods when it is asked with another", async () => {
    await using app = await serveApp(routes);
    const response = await fetch(`${app.url}/api/users/ann`, { method: "PATCH" });
    expect(response.headers.get("allow")).toBe("DELETE, GET, HEAD, OPTIONS");
    expect(await code(response)).toBe("405 method.not_allowed");
    const options = await fetch(`${app.url}/api/echo`, { method: "OPTIONS" });
    expect([options.status, options.headers.get("allow")]).toEqual([204, "POST, OPTIONS"]);
    expect(await code(fetch(`${app.url}/nowhere`, { method: "OPTIONS" }))).toBe("404 route.not_found");
  });

  it("with a forged Host changes nothing (koa CVE-2026-27959)", async () => {
    await using app = await serveApp(routes);
    using connection = await rawConnection(
      app.port,
      "GET /api/users/ann HTTP/1.1\r\nHost: evil:fake@good.test\r\nConnection: close\r\n\r\n",
    );
    const answer = await connection.closed;
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).not.toMatch(/evil|fake|good\.test/);
  });

  it("takes X-Forwarded headers of any length in its stride (koa CVE-2025-25200)", async () => {
    await using app = await serveApp(routes, { trustedProxyHops: 1 });
    const long = ", ".repeat(3_500);
    const headers = { "x-forwarded-for": `${long}1.2.3.4`, "x-forwarded-proto": "http", "x-forwarded-host": "evil.test" };
    const startedMs = performance.now();
    expect((await fetch(`${app.url}/api/users/ann`, { headers })).status).toBe(200);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});

describe("a refusal", () => {
  it("is a problem document with the caller's trace", async () => {
    const refusing = {
      ...byName,
      handle: async () => Promise.reject(new Problem(teapot, { detail: "Short and stout", extensions: { handle: 1 } })),
    };
    await using app = await serveApp([refusing]);
    const response = await fetch(`${app.url}/api/users/ann?limit=1`, {
      headers: { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" },
    });
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toEqual({
      type: "urn:videamozi:problem:test.teapot",
      title: "I am a teapot",
      status: 418,
      detail: "Short and stout",
      instance: "/api/users/ann",
      code: "test.teapot",
      traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
      handle: 1,
    });
  });

  it("says when to come again, in whole seconds", async () => {
    const busy = { ...byName, handle: async () => Promise.reject(new Problem(serviceBusy, { retryAfterSeconds: 0.2 })) };
    await using app = await serveApp([busy]);
    const response = await fetch(`${app.url}/api/users/ann`);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await code(response)).toBe("503 service.busy");
  });

  it("that the route does not list is told to us, where answers are checked", async () => {
    const surprising = { ...byName, handle: async () => Promise.reject(new Problem(unlisted)) };
    await using app = await serveApp([surprising]);
    expect(await code(fetch(`${app.url}/api/users/ann`))).toBe("409 test.unlisted");
    expect(app.lines).toContainEqual(
      expect.objectContaining({ level: "error", fields: expect.objectContaining({ code: "test.unlisted" }) }),
    );
  });
});

describe("an error nobody expected", () => {
  it("is told as 500 without a word of it, and logged whole with its trace", async () => {
    const broken = { ...byName, handle: async () => Promise.reject(new Error("select secret from users at 10.0.0.1")) };
    await using app = await serveApp([broken], { production: true });
    const response = await fetch(`${app.url}/api/users/ann`);
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(text).not.toMatch(/secret|select|10\.0\.0\.1|\.ts/);
    const { traceId, code: its } = JSON.parse(text) as { traceId: string; code: string };
    expect(its).toBe("service.internal_error");
    const [line] = app.lines;
    expect(line).toMatchObject({ level: "error", fields: { traceId, fingerprint: "fingerprint", route: "GET /api/users/:name" } });
    expect(String(line?.fields["error"])).toContain("select secret");
  });

  it("may be thrown as anything, at once or later", async () => {
    const odd = [
      () => Promise.reject(undefined),
      () => Promise.reject("text"),
      () => {
        throw new TypeError("at once");
      },
    ].map((handle, n) => ({ ...byName, path: `/odd${n}/:name`, handle: handle as never }));
    await using app = await serveApp(odd);
    for (const n of [0, 1, 2]) expect(await code(fetch(`${app.url}/odd${n}/a`))).toBe("500 service.internal_error");
  });
});

describe("an answer", () => {
  const answering = (body: unknown, status = 200): typeof byName => ({ ...byName, handle: async () => ({ status, body }) });

  it.each([
    ["a field too many", answering({ name: "a", passwordHash: "x" })],
    ["a field of another type", answering({ name: 7 })],
    ["a Date where text is declared", answering({ name: new Date(0), limit: new Date(0) })],
    ["no body where one is declared", answering(undefined)],
    ["a status that is not declared", answering({ name: "a" }, 201)],
  ])("with %s is a bug that tests and development see", async (_name, wrong) => {
    await using app = await serveApp([wrong]);
    expect(await code(fetch(`${app.url}/api/users/ann`))).toBe("500 service.internal_error");
    expect(String(app.lines[0]?.fields["error"])).toMatch(/the answer 20[01] of GET \/api\/users\/:name/);
  });

  it("of a schema that would drop a field too many is seen as well", async () => {
    const loose = {
      ...answering({ name: "a", passwordHash: "x" }),
      answers: { 200: { description: "One", body: z.object({ name: z.string() }) } },
    };
    await using app = await serveApp([loose]);
    expect(await code(fetch(`${app.url}/api/users/ann`))).toBe("500 service.internal_error");
  });

  it("is not checked in production", async () => {
    await using app = await serveApp([answering({ name: 7 })], { production: true });
    expect((await fetch(`${app.url}/api/users/ann`)).status).toBe(200);
  });
});

describe("the deadline", () => {
  it("ends a request that takes too long with 503, and its signal", async () => {
    let reason: unknown;
    const slow = {
      ...byName,
      handle: async (_deps: unknown, { signal }: { signal: AbortSignal }) => {
        await delay(60_000, signal).catch((error: unknown) => (reason = error));
        return { status: 200, body: { name: "too late" } };
      },
    };
    await using app = await serveApp([slow as typeof byName], { deadlineMs: 50 });
    const response = await fetch(`${app.url}/api/users/ann`);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await code(response)).toBe("503 service.deadline_passed");
    expect(reason).toBeInstanceOf(Problem);
  });

  it("ends a body that does not come with 408", async () => {
    await using app = await serveApp(routes, { deadlineMs: 50 });
    using connection = await rawConnection(
      app.port,
      'POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"name"',
    );
    const answer = await connection.closed;
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain("request.timed_out");
  });

  it("is not the only end of the signal: a client that goes away is another", async () => {
    let aborted = false;
    let begun = false;
    const waiting = {
      ...byName,
      handle: async (_deps: unknown, { signal }: { signal: AbortSignal }) => {
        begun = true;
        await delay(60_000, signal).catch(() => (aborted = true));
        return { status: 200, body: { name: "nobody hears" } };
      },
    };
    await using app = await serveApp([waiting as typeof byName]);
    using connection = await rawConnection(app.port, "GET /api/users/ann HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => begun);
    connection.socket.destroy();
    await until(() => aborted, { what: "the abort" });
  });
});

describe("pages of other origins", () => {
  it("are answered by the allow-list, on refusals too", async () => {
    await using app = await serveApp(routes, { corsOrigins: ["https://app.example.com"] });
    const from = (origin: string, path: string): Promise<Response> => fetch(`${app.url}${path}`, { headers: { origin } });
    for (const path of ["/api/users/ann", "/nowhere", "/openapi.json"]) {
      const good = await from("https://app.example.com", path);
      expect([good.headers.get("access-control-allow-origin"), good.headers.get("access-control-allow-credentials")]).toEqual([
        "https://app.example.com",
        "true",
      ]);
      const evil = await from("https://app.example.com.evil.test", path);
      expect(evil.headers.get("access-control-allow-origin")).toBeNull();
      expect(evil.headers.get("vary")).toBe("Origin");
      await Promise.all([good.arrayBuffer(), evil.arrayBuffer()]);
    }
  });

  it("have their preflights answered without asking a route", async () => {
    await using app = await serveApp(routes, { corsOrigins: ["https://app.example.com"] });
    const preflight = (origin: string): Promise<Response> =>
      fetch(`${app.url}/api/users/me`, { method: "OPTIONS", headers: { origin, "access-control-request-method": "PATCH" } });
    const good = await preflight("https://app.example.com");
    expect(good.status).toBe(204);
    expect(good.headers.get("access-control-allow-headers")).toContain("Authorization");
    const evil = await preflight("https://evil.test");
    expect([evil.status, evil.headers.get("access-control-allow-origin"), evil.headers.get("access-control-allow-methods")]).toEqual([
      204,
      null,
      null,
    ]);
  });
});

describe("a mount", () => {
  const own: Middleware = async (context, next) => {
    if (context.query["fail"] === "1") throw new Error("broken");
    if (context.query["pass"] === "1") return await next();
    let length = 0;
    for await (const chunk of context.req) length += (chunk as Buffer).length;
    context.body = { length };
  };

  it("reads its body itself and answers through Koa, under the security headers", async () => {
    await using app = await serveApp(routes, { mounts: [{ path: "/graphql", methods: ["GET", "POST"], middleware: own }] });
    const response = await fetch(`${app.url}/graphql`, { method: "POST", body: "a".repeat(70_000) });
    expect(await response.json()).toEqual({ length: 70_000 });
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(app.requests).toEqual([expect.objectContaining({ route: "/graphql", status: 200 })]);
  });

  it("refuses like a route when it throws, passes on, or is asked with another method", async () => {
    await using app = await serveApp(routes, { mounts: [{ path: "/page/:id", methods: ["GET"], middleware: own }] });
    expect(await code(fetch(`${app.url}/page/1?fail=1`))).toBe("500 service.internal_error");
    expect(await code(fetch(`${app.url}/page/1?pass=1`))).toBe("404 route.not_found");
    expect(await code(fetch(`${app.url}/page/1`, { method: "DELETE" }))).toBe("405 method.not_allowed");
    const refused = await fetch(`${app.url}/page/1?pass=1`);
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
  });
});
