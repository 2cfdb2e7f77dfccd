/**
 * Bad input of every kind against one running API: each a clear refusal with a stable code, the process well after each,
 * and nobody else bothered. What each kit does with it in detail is tested beside the kit.
 */

import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import jwt from "jsonwebtoken";
import { generateKeyRing } from "#src/features/sessions/key-ring";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import { rawConnection } from "../kit/http-app.ts";
import type { ProblemBody } from "../kit/http-client.ts";
import { onDatabase, registerPeople, startApiProcess, type ApiProcess, type SignedIn } from "../kit/service.ts";
import type { SocketClient } from "../kit/socket-client.ts";
import { ConnectRefused } from "../kit/socket-client.ts";
import { until } from "../kit/until.ts";

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

describe("an access token", () => {
  const stored = (JSON.parse(ring) as { accessKeys: { kid: string; pkcs8: string }[] }).accessKeys[0];
  const kid = stored?.kid ?? "";
  const privateKey = createPrivateKey({ key: Buffer.from(stored?.pkcs8 ?? "", "base64"), format: "der", type: "pkcs8" });
  const publicPem = createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString();
  const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

  interface Changes {
    readonly header?: Readonly<Record<string, unknown>>;
    readonly claims?: Readonly<Record<string, unknown>>;
    readonly key?: KeyObject;
  }

  /** As our own, with something changed. */
  function crafted({ header = {}, claims = {}, key = privateKey }: Changes): string {
    const seconds = Math.floor(Date.now() / 1000);
    const whole = {
      sub: ann.id,
      sid: ann.sessionId,
      iss: "http://localhost:3002",
      aud: ["user-service"],
      iat: seconds,
      exp: seconds + 600,
      ...claims,
    };
    const given = Object.fromEntries(Object.entries(whole).filter(([, value]) => value !== undefined));
    return jwt.sign(given, key, {
      algorithm: "ES256",
      noTimestamp: true,
      header: { alg: "ES256", typ: "at+jwt", kid, ...header } as jwt.JwtHeader,
    });
  }

  const now = (): number => Math.floor(Date.now() / 1000);
  const bad: Readonly<Record<string, () => readonly [string, string]>> = {
    "signed by a stranger": () => [crafted({ key: stranger }), "token.invalid"],
    "with alg none": () => [`${part({ alg: "none", typ: "at+jwt", kid })}.${ann.accessToken.split(".")[1]}.`, "token.invalid"],
    "with alg none and a signature": () => [
      `${part({ alg: "none", typ: "at+jwt", kid })}.${ann.accessToken.split(".").slice(1).join(".")}`,
      "token.invalid",
    ],
    "of HS256 with our public key as secret": () => {
      const signed = `${part({ alg: "HS256", typ: "at+jwt", kid })}.${ann.accessToken.split(".")[1]}`;
      return [`${signed}.${createHmac("sha256", publicPem).update(signed).digest("base64url")}`, "token.invalid"];
    },
    "for another audience": () => [crafted({ claims: { aud: "social-service" } }), "token.invalid"],
    "of another issuer": () => [crafted({ claims: { iss: "https://evil.example" } }), "token.invalid"],
    "without an end": () => [crafted({ claims: { exp: undefined } }), "token.invalid"],
    "that has expired": () => [crafted({ claims: { exp: now() - 1 } }), "token.expired"],
    "that is not valid yet": () => [crafted({ claims: { nbf: now() + 600 } }), "token.invalid"],
    "of another type": () => [crafted({ header: { typ: "JWT" } }), "token.invalid"],
    "with a kid that is a path": () => [crafted({ header: { kid: "../../../../dev/null" } }), "token.invalid"],
    "with a kid that is SQL": () => [crafted({ header: { kid: `' or 1=1 --` } }), "token.invalid"],
    "with a kid of Object's": () => [crafted({ header: { kid: "__proto__" } }), "token.invalid"],
    "that brings its own key": () => [
      crafted({ key: stranger, header: { jwk: createPublicKey(stranger).export({ format: "jwk" }) } }),
      "token.invalid",
    ],
    "that names a key set elsewhere": () => [crafted({ header: { jku: "https://evil.example/jwks.json" } }), "token.invalid"],
    "with critical extensions": () => [crafted({ header: { crit: ["exp"] } }), "token.invalid"],
    "of five parts": () => [`${ann.accessToken}.a.b`, "token.invalid"],
    "cut short": () => [ann.accessToken.slice(0, -1), "token.invalid"],
    "for another account's session": () => [crafted({ claims: { sub: bystander.id } }), "session.revoked"],
    "of a session that never was": () => [crafted({ claims: { sid: "0190a000-0000-7000-8000-000000000000" } }), "session.revoked"],
    "whose session is no id": () => [crafted({ claims: { sid: "' or 1=1 --" } }), "token.invalid"],
    "that is a refresh token": () => [ann.refreshToken, "token.invalid"],
  };

  it("of our own making is accepted, so that each lack below is the reason", async () => {
    expect((await api.http.get("/api/users/me", crafted({}))).status).toBe(200);
  });

  it.each(Object.keys(bad))("%s is refused on every way in", async (name) => {
    const [token, code] = bad[name]?.() ?? ["", ""];

    const byRest = await api.http.get("/api/users/me", token);
    expect([byRest.status, byRest.body.code]).toEqual([401, code]);
    const byGraphql = await api.http.graphql("{ me { id } }", token);
    expect(byGraphql.body.errors?.[0]?.extensions.code).toBe(code);
    const refused = (await api.socket(token).catch((error: unknown) => error)) as ConnectRefused;
    expect(refused).toBeInstanceOf(ConnectRefused);
    expect(refused.data?.code).toBe(code);
    expect(await bystanderSocket.ask("token:refresh", { accessToken: token })).toMatchObject({ ok: false, error: { code } });
  });
});

describe("a request", () => {
  /** Says it, and gives the first line and the code of what comes back. */
  async function say(text: string): Promise<string> {
    using connection = await rawConnection(api.port, text);
    await until(() => connection.received().includes("\r\n\r\n") || connection.socket.closed, { withinMs: 5_000, what: "an answer" });
    await until(
      () => /"code":"[^"]+"/.test(connection.received()) || connection.socket.closed || /^HTTP\/1.1 20/.test(connection.received()),
    );
    const [, status = "closed"] = /^HTTP\/1\.1 (\d+)/.exec(connection.received()) ?? [];
    return [status, ...(/"code":"([^"]+)"/.exec(connection.received())?.slice(1) ?? [])].join(" ");
  }

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
    expect(await say(text.replace("TOKEN", ann.accessToken))).toBe(expected);
  });

  it("that stops in the middle keeps nobody else waiting", async () => {
    using _slow = await rawConnection(
      api.port,
      "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    );
    using _slower = await rawConnection(api.port, "GET /health HTTP/1.1\r\nHos");
    expect((await api.http.get("/health")).status).toBe(200);
  });

  it("of another origin is not told that it may", async () => {
    for (const origin of ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"]) {
      const answer = await api.http.send("GET", "/health", { headers: { origin } });
      expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
      const preflight = await api.http.send("OPTIONS", "/api/users/me", { headers: { origin, "access-control-request-method": "PATCH" } });
      expect(preflight.headers["access-control-allow-origin"]).toBeUndefined();
      const upgrade = await api.http.send("GET", "/socket.io/?EIO=4&transport=polling", { headers: { origin } });
      expect(upgrade.status).toBe(403);
    }
    const allowed = await api.http.send("GET", "/health", { headers: { origin: "https://app.example.com" } });
    expect(allowed.headers["access-control-allow-origin"]).toBe("https://app.example.com");
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

  it("finds people only by what begins their names, whatever LIKE or regular expressions mean", async () => {
    for (const q of ["%", "_", "a%n", "\\", ".*", "a'--", "%00", "ann\\"]) {
      const { status, body } = await api.http.get<{ data: { username: string }[] }>(
        `/api/users/search?q=${encodeURIComponent(q)}`,
        ann.accessToken,
      );
      expect([q, status, body.data]).toEqual([q, 200, []]);
    }
  });
});

describe("a GraphQL document", () => {
  const nest = (depth: number): string => `{ ${"a { ".repeat(depth)}b${" }".repeat(depth)} }`;
  const many = (count: number, one: (index: number) => string): string => Array.from({ length: count }, (_, index) => one(index)).join(" ");
  const circle = "{ me { ...A } } fragment A on User { ...B } fragment B on User { ...A }";
  const doubling = `{ me { ...F0 } } ${many(20, (index) => `fragment F${index} on User { ...F${index + 1} ...F${index + 1} }`)} fragment F20 on User { id }`;

  it.each([
    ["a depth bomb", nest(200), "graphql.too_deep"],
    ["an alias flood", `{ ${many(100, (index) => `a${index}: me { id }`)} }`, "graphql.too_many_aliases"],
    ["a flood of root fields", `{ ${"me { id } ".repeat(100)} }`, "graphql.too_many_fields"],
    ["too many tokens", `{ ${"a ".repeat(3_000)} }`, "graphql.too_many_tokens"],
    ["200 KB of nothing", `{ me { id } } #${"x".repeat(60_000)}`, "graphql.document_too_long"],
    ["the overlap rule's worst", `{ me { ${many(400, () => "id")} ${many(400, () => "username")} } }`, "graphql.too_many_fields"],
    ["fragments in a circle", circle, /^graphql\.(too_deep|document_invalid)$/],
    ["fragments that double", doubling, /^graphql\.too_/],
    ["directives without end", `{ me { id ${"@include(if: true) ".repeat(400)} } }`, "graphql.too_many_tokens"],
    ["a syntax error", "{ me { id ", "graphql.syntax_error"],
    ["an unknown field", "{ me { passwordHash } }", "graphql.document_invalid"],
    ["a subscription", "subscription { userStatus { id } }", "graphql.document_invalid"],
    [
      "a page too large",
      `{ searchUsers(query: "a", pagination: { limit: 5000 }) { data { id } } }`,
      /^(graphql\.too_costly|input\.invalid)$/,
    ],
    ["NUL in a literal", `{ user(username: "a\\u0000") { id } }`, "input.invalid"],
    ["half a surrogate pair in a literal", `{ user(username: "a\\ud800") { id } }`, /^(input\.invalid|graphql\.syntax_error)$/],
    ["somebody else's argument type", `{ user(id: { ne: 1 }) { id } }`, "graphql.document_invalid"],
  ])("with %s is refused", async (_, query, code) => {
    const beganMs = performance.now();
    const { status, body } = await api.http.graphql(query, ann.accessToken);

    expect(status).toBeLessThan(500);
    const codes = body.errors?.map(({ extensions }) => extensions.code) ?? [];
    expect(codes[0]).toMatch(typeof code === "string" ? new RegExp(`^${code.replaceAll(".", "\\.")}$`) : code);
    expect(JSON.stringify(body)).not.toMatch(/stacktrace|node_modules/);
    expect(performance.now() - beganMs).toBeLessThan(2_000);
  });

  it.each([
    ["a batch", JSON.stringify([{ query: "{ me { id } }" }, { query: "{ me { id } }" }]), {}, "400 graphql.batch_refused"],
    ["10 MB", JSON.stringify({ query: "x".repeat(MEGABYTES_10) }), {}, "413 graphql.body_too_large"],
    ["variables that are none", JSON.stringify({ query: "{ me { id } }", variables: "x" }), {}, "400 graphql.request_invalid"],
    ["members it does not know", JSON.stringify({ query: "{ me { id } }", admin: true }), {}, "400 graphql.request_invalid"],
    [
      "a charset of its own",
      JSON.stringify({ query: "{ me { id } }" }),
      { "content-type": `application/json; charset=${"x".repeat(5_000)}` },
      "415 graphql.unsupported_media_type",
    ],
    ["a form", "query=%7Bme%7Bid%7D%7D", { "content-type": "application/x-www-form-urlencoded" }, "415 graphql.unsupported_media_type"],
    ["malformed JSON", "{", {}, "400 graphql.request_invalid"],
  ])("sent as %s is refused", async (_, body, headers, expected) => {
    const answer = await api.http.send<{ errors: { extensions: { code: string } }[] }>("POST", "/graphql", {
      token: ann.accessToken,
      body,
      headers,
    });

    expect(`${answer.status} ${answer.body.errors[0]?.extensions.code}`).toBe(expected);
  });

  it("that changes something is not taken by GET, nor any that a page could send unasked", async () => {
    const mutation = encodeURIComponent(`mutation { follow(userId: "${bystander.id}") { status } }`);
    const answer = await api.http.get<{ errors: { extensions: { code: string } }[] }>(`/graphql?query=${mutation}`, ann.accessToken);
    expect([answer.status, answer.body.errors[0]?.extensions.code]).toEqual([405, "graphql.mutation_by_get"]);
    const simple = await api.http.get<{ errors: { extensions: { code: string } }[] }>("/graphql?query=%7Bme%7Bid%7D%7D", ann.accessToken);
    expect([simple.status, simple.body.errors[0]?.extensions.code]).toEqual([400, "graphql.csrf_refused"]);
    expect((await api.http.get<{ followersCount: number }>("/api/users/me", bystander.accessToken)).body.followersCount).toBe(0);
  });
});

describe("a socket", () => {
  it.each([
    ["an event nobody knows", ["no:such", {}], "event.unknown"],
    ["an event with a name of Object's", ["__proto__", {}], "event.unknown"],
    ["the event constructor", ["constructor", {}], "event.unknown"],
    ["no payload", ["token:refresh"], "input.invalid"],
    ["a wrong type", ["token:refresh", { accessToken: 7 }], "input.invalid"],
    ["an unknown field", ["token:refresh", { accessToken: "x", userId: "y" }], "input.invalid"],
    ["two payloads", ["token:refresh", {}, {}], "input.invalid"],
    ["null", ["token:refresh", null], "input.invalid"],
    ["an array", ["token:refresh", []], "input.invalid"],
    ["NUL", ["token:refresh", { accessToken: "a\u0000" }], "input.invalid"],
    ["another's token", ["token:refresh", { accessToken: "BYSTANDER" }], "token.of_another_session"],
  ] as const)("that sends %s gets an answer with a code, and stays", async (_, [name, ...payload], code) => {
    using socket = await api.socket(ann.accessToken);
    const sent = payload.map((one) => JSON.parse(JSON.stringify(one).replace("BYSTANDER", bystander.accessToken)) as unknown);

    const ack = await socket.ask(name, ...sent);
    expect(ack).toMatchObject({ ok: false, error: { code } });
    expect(await socket.ask("token:refresh", { accessToken: ann.accessToken })).toMatchObject({ ok: true });
  });

  /** Engine.IO by hand: frames that no client library would send. */
  async function rawSocket(token: string): Promise<WebSocket & { readonly texts: string[] }> {
    const texts: string[] = [];
    const socket = new WebSocket(`ws://127.0.0.1:${api.port}/socket.io/?EIO=4&transport=websocket`);
    socket.addEventListener("message", ({ data }) => texts.push(String(data)));
    socket.addEventListener("error", () => {});
    await until(() => texts.some((text) => text.startsWith("0")));
    socket.send(`40${JSON.stringify({ token })}`);
    await until(() => texts.some((text) => text.startsWith("40")));
    return Object.assign(socket, { texts });
  }

  it.each([
    ["an event named error", `42["error",{"a":1}]`],
    ["an event named disconnect", `42["disconnect"]`],
    ["an event named connection", `42["connection",{}]`],
    ["an event named newListener", `42["newListener",1]`],
    ["an event without a name", `42[]`],
    ["an event whose name is an object", `42[{"toString":1}]`],
    ["no JSON", `42{{{{`],
    ["an acknowledgement of nothing", `4399999["x"]`],
    ["a placeholder without attachment", `451-["token:refresh",{"_placeholder":true,"num":0}]`],
    ["a billion attachments", `451000000000-["token:refresh",{"_placeholder":true,"num":0}]`],
    ["an attachment number that is none", `451-["token:refresh",{"_placeholder":true,"num":"__proto__"}]`],
    ["a connect to another namespace", `40/admin,{"token":"x"}`],
    ["an error packet", `44{"message":"x"}`],
    ["a packet of an unknown type", `49["x"]`],
    ["an engine packet of an unknown type", `9`],
    ["an upgrade to nothing", `5`],
    ["an empty frame", ``],
    ["70 KB", `42["token:refresh",{"accessToken":"${"x".repeat(70_000)}"}]`],
  ])("that sends %s does no harm", async (_, frame) => {
    const socket = await rawSocket(ann.accessToken);
    try {
      socket.send(frame);
      socket.send(new Uint8Array([1, 2, 3]));
      // What comes after it is answered, or the connection was closed; never silence.
      if (socket.readyState === WebSocket.OPEN) socket.send(`427["token:refresh",{"accessToken":"x"}]`);
      await until(() => socket.texts.some((text) => text.startsWith("437")) || socket.readyState === WebSocket.CLOSED, {
        withinMs: 5_000,
        what: "an answer or the end",
      });
    } finally {
      socket.close();
      await until(() => socket.readyState === WebSocket.CLOSED);
    }
  });

  it("that floods is refused before it is in anybody's way", async () => {
    using socket = await api.socket(ann.accessToken);
    const acks = await Promise.all(Array.from({ length: 300 }, () => socket.ask("token:refresh", { accessToken: ann.accessToken })));
    const codes = new Set(acks.map((ack) => (ack.ok ? "ok" : ack.error.code)));
    expect(codes).toEqual(new Set(["ok", "event.queue_full"]));
  });

  it.each([
    ["without a token", undefined, "token.missing"],
    ["with nonsense", "nonsense", "token.invalid"],
    ["with an object", { toString: "x" } as unknown as string, "token.missing"],
  ])("%s is not let in", async (_, token, code) => {
    const refused = (await api.socket(token).catch((error: unknown) => error)) as ConnectRefused;
    expect(refused.data?.code).toBe(code);
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
