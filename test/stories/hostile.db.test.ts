/**
 * Bad input of every kind against one running API: each a clear refusal with a stable code, the process well after each,
 * and nobody else bothered. What each kit does with it in detail is tested beside the kit; tokens, cookies, codes, GraphQL and sockets are
 * attacked in test/hostile.
 */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { generateKeyRing } from "#src/features/sessions/key-ring";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import { rawConnection, sayRaw, toldRaw } from "../kit/http-app.ts";
import type { ProblemBody } from "../kit/http-client.ts";
import { onDatabase, registerPeople, startApiProcess, type ApiProcess, type SignedIn } from "../kit/service.ts";
import type { SocketClient } from "../kit/socket-client.ts";

const ring = generateKeyRing();
const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let ann: SignedIn;
let bystander: SignedIn;
let bystanderSocket: SocketClient;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  api = stack.use(await startApiProcess({ database, env: { SECRET_SIGNING_KEYS: ring, CORS_ORIGINS: "https://app.example.com" } }));
  ({ ann, bystander } = await registerPeople(api.http, ["ann", "bystander"]));
  bystanderSocket = stack.use(await api.socket(bystander.accessToken));
});
afterAll(() => stack.disposeAsync());

let errorsTold = 0;
beforeEach(() => {
  errorsTold = api.errors().length;
});

/** Well: the same process lives, answers others, holds their sockets, and found nothing it did not expect. */
afterEach(async () => {
  expect(() => process.kill(api.pid, 0)).not.toThrow();
  expect((await api.http.get("/health")).status).toBe(200);
  expect((await api.http.get("/api/users/me", bystander.accessToken)).body).toMatchObject({ username: "bystander" });
  expect(await bystanderSocket.ask("token:refresh", { accessToken: bystander.accessToken })).toMatchObject({ ok: true });
  const errors = api.errors();
  expect(errors.slice(errorsTold)).toEqual([]);
});

const register = (body: unknown) => api.http.post("/api/auth/register", body);
const patch = (body: unknown) => api.http.send("PATCH", "/api/users/me", { token: ann.accessToken, body });
const valid = { email: "new@example.com", username: "newcomer", password: "correct horse battery" };

const MEGABYTES_10 = 10 * 1024 * 1024;

describe("a body", () => {
  it.each([
    ["malformed JSON", `{"email": `, 400, "body.malformed"],
    ["a trailing comma", `{"email":"a@example.com",}`, 400, "body.malformed"],
    ["two documents", `{}{}`, 400, "body.malformed"],
    ["bytes that are no UTF-8", Buffer.from([0x22, 0xff, 0xfe, 0x22]), 400, "body.malformed"],
    ["nothing", "", 400, "input.invalid"],
    ["an array", "[]", 400, "input.invalid"],
    ["null", "null", 400, "input.invalid"],
    ["10 MB", JSON.stringify({ ...valid, email: "x".repeat(MEGABYTES_10) }), 413, "body.too_large"],
    ["10,000 levels of arrays", "[".repeat(10_000) + "]".repeat(10_000), 400, "body.malformed"],
    ["6,000 levels of objects", `${`{"a":`.repeat(6_000)}1${"}".repeat(6_000)}`, 400, "body.malformed"],
    [
      "a member __proto__",
      `{"__proto__":{"roles":["admin"]},"email":"p@example.com","username":"proto","password":"correct horse battery"}`,
      400,
      "input.invalid",
    ],
    ["a member constructor", `{"constructor":{"prototype":{"x":1}}}`, 400, "input.invalid"],
    ["a number too large for anything", `{"email":1e999}`, 400, "input.invalid"],
  ])("of %s is refused", async (_, body, status, code) => {
    const answer = await register(body);

    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.headers["content-type"]).toBe("application/problem+json");
  });

  it("has every wrong type told with its path", async () => {
    const { status, body } = await register({ email: 7, username: { $ne: "" }, password: ["x"] });

    expect([status, body.code]).toEqual([400, "input.invalid"]);
    expect(body.errors?.map(({ path }) => path).sort()).toEqual(["body.email", "body.password", "body.username"]);
  });

  it("has unknown fields refused with a hint, and none of them changes anything", async () => {
    const { status, body } = await patch({ display_name: "x", roles: ["admin"], status: "active", id: bystander.id });

    expect([status, body.code]).toEqual([400, "input.invalid"]);
    expect(body.errors?.map(({ path }) => path).sort()).toEqual(["body.display_name", "body.id", "body.roles", "body.status"]);
    expect(body.errors?.find(({ path }) => path === "body.display_name")?.message).toContain("displayName");
    expect((await api.http.get("/api/users/me", ann.accessToken)).body).toMatchObject({ roles: ["user"], displayName: "ann" });
  });

  it.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-7",
    "application/xml",
  ])("that says %s is refused", async (type) => {
    const answer = await api.http.send("POST", "/api/auth/register", { body: JSON.stringify(valid), headers: { "content-type": type } });
    expect([answer.status, answer.body.code]).toEqual([415, "body.type_unsupported"]);
  });

  it.each([
    ["NUL", "a\u0000b"],
    ["a lone surrogate", "a\ud800b"],
    ["a reversed pair", "\udc00\ud800"],
    ["a mark that turns text around", "gnp.\u202egpj"],
    ["a control character", "bell\u0007"],
    ["nothing that can be seen", "\u200b\u2060"],
  ])("with %s in a name is refused", async (_, displayName) => {
    const byRest = await patch({ displayName });
    expect([byRest.status, byRest.body.code]).toEqual([400, "input.invalid"]);
    const byGraphql = await api.http.graphql("mutation($n: String) { updateProfile(input: { displayName: $n }) { id } }", ann.accessToken, {
      n: displayName,
    });
    expect(byGraphql.body.errors?.[0]?.extensions.code).toBe("input.invalid");
  });
});

describe("a username", () => {
  it.each([
    ["Cyrillic look-alikes", "\u0430nn"],
    ["full-width letters", "\uff41nn"],
    ["a dotless i", "f\u0131n"],
    ["a zero-width joiner", "an\u200dn"],
    ["reserved", "admin"],
    ["reserved, in other case", "AdMiN"],
    ["a path segment", "search"],
    ["two dots", "a..b"],
    ["a dot at its end", "ann."],
    ["a slash", "ann/../bob"],
    ["too short", "an"],
    ["too long", "a".repeat(31)],
    ["a line break at its end", "ann\n"],
  ])("that is %s is refused", async (_, username) => {
    const { status, body } = await register({ ...valid, username });

    expect([status, body.code]).toEqual([400, "input.invalid"]);
    expect(new Set(body.errors?.map(({ path }) => path))).toEqual(new Set(["body.username"]));
  });

  it("and an address differing in case only are taken", async () => {
    expect((await register({ ...valid, username: "ANN" })).body.code).toBe("username.taken");
    expect((await register({ ...valid, email: "ANN@EXAMPLE.COM" })).body.code).toBe("email.taken");
  });
});

describe("a request", () => {
  const get = (path: string, headers = ""): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;

  it.each([
    ["that is no HTTP", "400 request.malformed", "\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n"],
    [
      "with both a length and chunks",
      "400 request.malformed",
      "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    [
      "with two lengths",
      "400 request.malformed",
      "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    ],
    ["with a header of 20 KB", "431 request.headers_too_large", get("/health", `X-Long: ${"x".repeat(20_000)}\r\n`)],
    ["with 10,000 headers", "431 request.headers_too_large", get("/health", "X-A: b\r\n".repeat(10_000))],
    ["with NUL in its path", "400 path.malformed", get("/api/users/a%00b")],
    ["with a broken escape", "400 path.malformed", get("/api/users/%zz")],
    ["with an overlong escape", "400 path.malformed", get("/api/users/%c0%af")],
    ["with a parameter given twice", "400 input.invalid", get("/api/users/search?q=a&q=b", "Authorization: Bearer TOKEN\r\n")],
    ["that climbs out of the path", "404 user.not_found", get("/api/users/..%2f..%2fhealth", "Authorization: Bearer TOKEN\r\n")],
    ["to a path that is not there", "404 route.not_found", get("/api/internal/users")],
    ["to the sidecar's paths", "404 route.not_found", get("/dapr/subscribe")],
    ["by TRACE", "405 method.not_allowed", "TRACE /api/users/me HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["for a forged host", "200", "GET /health HTTP/1.1\r\nHost: evil.example:fake@good.example\r\n\r\n"],
    [
      "with endless X-Forwarded-For",
      "200",
      get("/health", `X-Forwarded-For: ${",".repeat(12_000)}\r\nX-Forwarded-Host: ${" ".repeat(2_000)}\r\n`),
    ],
  ])("%s is answered %s", async (_, expected, text) => {
    expect(toldRaw(await sayRaw(api.port, text.replace("TOKEN", ann.accessToken)))).toBe(expected);
  });

  it("that stops in the middle keeps nobody else waiting", async () => {
    using _slow = await rawConnection(
      api.port,
      "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    );
    using _slower = await rawConnection(api.port, "GET /health HTTP/1.1\r\nHos");
    expect((await api.http.get("/health")).status).toBe(200);
  });

  it("never gets back what it brought: no input, SQL or stack in a refusal", async () => {
    const marker = "zzmarkerzz' union select password_hash from credentials --";
    const answers = await Promise.all([
      api.http.get(`/api/users/${encodeURIComponent(marker)}`, ann.accessToken),
      api.http.get(`/api/users/search?cursor=${encodeURIComponent(marker)}&q=a`, ann.accessToken),
      api.http.get(`/api/users/${ann.id}/followers?cursor=${encodeURIComponent(marker)}`, ann.accessToken),
      api.http.get(`/api/users/me/notices?cursor=${encodeURIComponent(marker)}`, ann.accessToken),
      api.http.get(`/api/auth/sessions?cursor=${encodeURIComponent(marker)}`, ann.accessToken),
      api.http.post("/api/auth/login", { emailOrUsername: marker, password: marker }),
      patch({ avatarUrl: marker }),
    ]);
    for (const { status, body } of answers) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      const { instance: _path, ...rest } = body as ProblemBody & { instance?: string };
      expect(JSON.stringify(rest)).not.toMatch(/zzmarker|select|node_modules|\.ts:/);
    }
  });

  it("finds people only by what their names begin with or are near to, whatever LIKE or regular expressions mean", async () => {
    const found = {
      "%": [],
      "%%%": [],
      _: [],
      ___: [],
      "a%n": [],
      "\\": [],
      ".*": [],
      "^.*$": [],
      "a'--": [],
      "%00": [],
      "ann\\": ["ann"],
    };
    for (const [q, names] of Object.entries(found)) {
      const { status, body } = await api.http.get<{ data: { username: string }[] }>(
        `/api/users/search?q=${encodeURIComponent(q)}`,
        ann.accessToken,
      );
      expect([q, status, body.data.map(({ username }) => username)]).toEqual([q, 200, names]);
    }
  });
});

describe("after all of it", () => {
  it("nothing is lost or changed: the same two people, as they were", async () => {
    const people = await onDatabase<{ username: string; roles: string[] }>(
      database.adminUrl,
      "select username, display_name, bio, roles, status from users order by 1",
    );
    expect(people).toEqual([
      { username: "ann", display_name: "ann", bio: "", roles: ["user"], status: "active" },
      { username: "bystander", display_name: "bystander", bio: "", roles: ["user"], status: "active" },
    ]);
    expect(bystanderSocket.closed).toBeUndefined();
  });
});
