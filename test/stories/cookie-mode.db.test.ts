/** The refresh token as a cookie: taken from pages that may only, and in everything else exactly like one in the body. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { generateKeyRing } from "#src/features/sessions/key-ring";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import { rawConnection } from "../kit/http-app.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import { logIn, makeStaff, onDatabase, registerPerson, startApiProcess, type ApiProcess, type SignedInBody } from "../kit/service.ts";
import { ConnectRefused } from "../kit/socket-client.ts";
import { until } from "../kit/until.ts";

const OWN = "https://accounts.example.com";
const APP = "https://app.example.com";
const NAME = "__Host-refresh";
const PASSWORD = "correct horse battery";
const DAYS_180 = 180 * 24 * 60 * 60;

const ring = JSON.parse(generateKeyRing()) as { accessKeys: unknown[]; refreshKeys: unknown[] };
const fresh = JSON.parse(generateKeyRing()) as typeof ring;
const rotatedRing = { accessKeys: [...fresh.accessKeys, ...ring.accessKeys], refreshKeys: [...fresh.refreshKeys, ...ring.refreshKeys] };

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
/** On the same database, with newer keys before the others. */
let rotated: ApiProcess;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  const start = async (keys: object): Promise<ApiProcess> =>
    stack.use(
      await startApiProcess({
        database,
        env: { SECRET_SIGNING_KEYS: JSON.stringify(keys), PUBLIC_URL: `${OWN}/users`, CORS_ORIGINS: APP },
      }),
    );
  [api, rotated] = await Promise.all([start(ring), start(rotatedRing)]);
});
afterAll(() => stack.disposeAsync());

/** What a client keeps between two refreshes. */
interface Held {
  readonly refreshToken: string;
  readonly csrfToken: string;
  readonly accessToken: string;
}

type Body = SignedInBody & ProblemBody & { readonly csrfToken: string; readonly tokenType: string; readonly expiresIn: number };

const setCookie = (answer: Answer<unknown>): string | undefined => answer.headers["set-cookie"]?.join("\n");
const cookieValue = (answer: Answer<unknown>): string => /^__Host-refresh=([^;]*);/.exec(setCookie(answer) ?? "")?.[1] ?? "";
const cookieMode = { "x-session-mode": "cookie" };

const signIn = (path: string, body: object, headers: Readonly<Record<string, string>> = cookieMode): Promise<Answer<Body>> =>
  api.http.send<Body>("POST", path, { body, headers });

const byCookie = (
  { refreshToken, csrfToken }: Pick<Held, "refreshToken" | "csrfToken">,
  { at = api, headers = {} }: { at?: ApiProcess; headers?: Readonly<Record<string, string>> } = {},
): Promise<Answer<Body>> =>
  at.http.send<Body>("POST", "/api/auth/refresh", {
    headers: { cookie: `theme=dark; ${NAME}=${refreshToken}`, origin: APP, "x-csrf-token": csrfToken, ...headers },
  });

/** The two ways a refresh token travels. */
const MODES = {
  body: {
    signIn: async (username: string): Promise<Held> => ({ ...(await registerPerson(api.http, username)), csrfToken: "" }),
    present: (held: Held, at: ApiProcess = api) => at.http.post<Body>("/api/auth/refresh", { refreshToken: held.refreshToken }),
    held: ({ body }: Answer<Body>): Held => ({ ...body, csrfToken: "" }),
    fields: ["accessToken", "expiresIn", "refreshToken", "tokenType"],
    cleared: undefined,
  },
  cookie: {
    signIn: async (username: string): Promise<Held> => {
      const answer = await signIn("/api/auth/register", { email: `${username}@example.com`, username, password: PASSWORD });
      return MODES.cookie.held(answer);
    },
    present: (held: Held, at: ApiProcess = api) => byCookie(held, { at }),
    held: (answer: Answer<Body>): Held => ({ ...answer.body, refreshToken: cookieValue(answer) }),
    fields: ["accessToken", "csrfToken", "expiresIn", "tokenType"],
    cleared: `${NAME}=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax`,
  },
};

describe.each(["body", "cookie"] as const)("refresh by %s", (name) => {
  const mode = MODES[name];
  const codeOf = async (held: Held): Promise<string> => {
    const { status, body } = await mode.present(held);
    return status === 200 ? "ok" : body.code;
  };

  it("rotates: another token each time, and access", async () => {
    const first = await mode.signIn(`rot_${name}`);
    const answer = await mode.present(first);
    expect([answer.status, Object.keys(answer.body).sort()]).toEqual([200, mode.fields]);
    const second = mode.held(answer);
    expect(second.refreshToken).not.toBe(first.refreshToken);
    expect((await api.http.get("/api/users/me", second.accessToken)).status).toBe(200);
    expect(await codeOf(second)).toBe("ok");
  });

  it("gives the same successor when the answer was lost", async () => {
    const first = await mode.signIn(`lost_${name}`);
    const lost = mode.held(await mode.present(first));
    expect(mode.held(await mode.present(first)).refreshToken).toBe(lost.refreshToken);
    expect(await codeOf(lost)).toBe("ok");
  });

  it("gives one successor to twenty at once", async () => {
    const first = await mode.signIn(`many_${name}`);
    const answers = await Promise.all(Array.from({ length: 20 }, () => mode.present(first)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map((answer) => mode.held(answer).refreshToken)).size).toBe(1);
  });

  it("takes an older generation for theft, ends the session, and takes the cookie away", async () => {
    const first = await mode.signIn(`theft_${name}`);
    let held = first;
    for (let turn = 0; turn < 3; turn += 1) held = mode.held(await mode.present(held));
    const theft = await mode.present(first);
    expect([theft.status, theft.body.code, setCookie(theft)]).toEqual([401, "refresh.reused", mode.cleared]);
    const after = await mode.present(held);
    expect([after.status, after.body.code, setCookie(after)]).toEqual([401, "session.revoked", mode.cleared]);
  });

  it("is refused to a restricted account, whose cookie stays", async () => {
    const held = await mode.signIn(`ban_${name}`);
    const { body: me } = await api.http.get<{ id: string }>("/api/users/me", held.accessToken);
    const moderator = await registerPerson(api.http, `mod_${name}`);
    await makeStaff(database, moderator, "moderator");
    const { accessToken } = await logIn(api.http, `mod_${name}`);
    const ban = await api.http.post(`/api/moderation/users/${me.id}/restrictions`, { kind: "ban", reason: "spam" }, accessToken);
    expect(ban.status).toBe(201);
    const answer = await mode.present(held);
    expect([answer.status, answer.body.code, setCookie(answer)]).toEqual([403, "account.restricted", undefined]);
    const short = await signIn("/api/auth/login", { emailOrUsername: `ban_${name}`, password: PASSWORD });
    expect([short.status, short.body.refreshToken, short.body.csrfToken]).toEqual([200, undefined, undefined]);
    expect(setCookie(short)).toBe(MODES.cookie.cleared);
  });

  it("ends with its session, and takes the cookie away", async () => {
    const held = await mode.signIn(`out_${name}`);
    expect((await api.http.post("/api/auth/logout", undefined, held.accessToken)).status).toBe(204);
    const answer = await mode.present(held);
    expect([answer.status, answer.body.code, setCookie(answer)]).toEqual([401, "session.revoked", mode.cleared]);
  });

  it("does not notice that the server's keys were replaced", async () => {
    const first = await mode.signIn(`keys_${name}`);
    const second = mode.held(await mode.present(first));
    expect(mode.held(await mode.present(first, rotated)).refreshToken).toBe(second.refreshToken);
    const third = await mode.present(second, rotated);
    expect(third.status).toBe(200);
    expect(mode.held(third).refreshToken.split(".")[0]).not.toBe(second.refreshToken.split(".")[0]);
    expect((await mode.present(mode.held(third), rotated)).status).toBe(200);
  });

  it("takes a token that is none of ours for none", async () => {
    const held = await mode.signIn(`forged_${name}`);
    const [kid, payload] = held.refreshToken.split(".");
    const answer = await mode.present({ ...held, refreshToken: `${kid}.${payload}.${"A".repeat(43)}` });
    expect([answer.status, answer.body.code, setCookie(answer)]).toEqual([401, "refresh.invalid", mode.cleared]);
    expect(await codeOf(held)).toBe("ok");
  });
});

describe("signing in", () => {
  const person = (username: string): object => ({ email: `${username}@example.com`, username, password: PASSWORD });

  it("gives the refresh token as a cookie and nowhere else, to whoever asks for it", async () => {
    const answers = [
      await signIn("/api/auth/register", person("ann"), { ...cookieMode, origin: APP }),
      await signIn("/api/auth/login", { emailOrUsername: "ann", password: PASSWORD }, { ...cookieMode, origin: OWN }),
      await signIn("/api/auth/login", { emailOrUsername: "ann", password: PASSWORD }),
    ];
    for (const answer of answers) {
      const value = cookieValue(answer);
      expect(value).toMatch(/^[\w-]+\.[\w-]{70}\.[\w-]{43}$/);
      expect(setCookie(answer)).toBe(`${NAME}=${value}; Max-Age=${DAYS_180}; Path=/; HttpOnly; Secure; SameSite=Lax`);
      expect(answer.body.csrfToken).toMatch(/^[\w-]{43}$/);
      expect(JSON.stringify(answer.body)).not.toContain("efreshToken");
    }
  });

  it("gives it in the body to everybody else", async () => {
    const answer = await signIn("/api/auth/register", person("bob"), { origin: APP });
    expect([setCookie(answer), answer.body.csrfToken]).toEqual([undefined, undefined]);
    expect(answer.body.refreshToken).toMatch(/\./);
  });

  it.each(["https://evil.test", `${APP}.evil.test`, `${APP}, ${APP}`, "http://localhost:3000", "null", ""])(
    "in cookie mode is refused to a page of %s, before anything is done",
    async (origin) => {
      for (const path of ["/api/auth/register", "/api/auth/login", "/api/auth/mfa/verify"]) {
        const body = path.endsWith("verify") ? { challenge: "x", code: "123456" } : person("carl");
        const sent = path.endsWith("login") ? { emailOrUsername: "ann", password: PASSWORD } : body;
        const answer = await signIn(path, sent, { ...cookieMode, origin });
        expect([path, answer.status, answer.body.code, setCookie(answer)]).toEqual([path, 403, "csrf.refused", undefined]);
      }
      expect((await api.http.post("/api/auth/login", { emailOrUsername: "carl", password: PASSWORD })).status).toBe(401);
    },
  );

  it("knows no other mode", async () => {
    const answer = await signIn("/api/auth/login", { emailOrUsername: "ann", password: PASSWORD }, { "x-session-mode": "Cookie" });
    expect([answer.status, answer.body.code, answer.body.errors?.[0]?.path]).toEqual([400, "input.invalid", "headers.X-Session-Mode"]);
  });
});

describe("a page that would use somebody's cookie", () => {
  let held: Held;
  let other: Held;
  beforeAll(async () => {
    [held, other] = await Promise.all([MODES.cookie.signIn("dora"), MODES.cookie.signIn("emil")]);
  });

  it.each<[string, () => Readonly<Record<string, string>>]>([
    ["of another origin", () => ({ origin: "https://evil.test" })],
    ["of a sandbox", () => ({ origin: "null" })],
    ["of another port of this machine", () => ({ origin: "http://localhost:3000" })],
    ["of a neighbouring origin", () => ({ origin: "https://sub.accounts.example.com" })],
    ["of our origin over http", () => ({ origin: "http://accounts.example.com" })],
    ["with the path of PUBLIC_URL as origin", () => ({ origin: `${OWN}/users` })],
    ["without a token", () => ({ "x-csrf-token": "" })],
    ["with a token of another session", () => ({ "x-csrf-token": other.csrfToken })],
    ["with a cut token", () => ({ "x-csrf-token": held.csrfToken.slice(0, -1) })],
    ["with the session's id as token", () => ({ "x-csrf-token": "0190c7a0-0000-7000-8000-000000000002" })],
  ])("%s is refused before the token is used, and the cookie stays", async (_, headers) => {
    const answer = await byCookie(held, { headers: headers() });
    expect([answer.status, answer.body.code, setCookie(answer)]).toEqual([403, "csrf.refused", undefined]);
    expect(answer.headers["access-control-allow-credentials"]).toBe("origin" in headers() ? undefined : "true");
  });

  it("is refused without any origin or without any token header", async () => {
    const cookie = `${NAME}=${held.refreshToken}`;
    for (const headers of [
      { cookie, "x-csrf-token": held.csrfToken },
      { cookie, origin: APP },
    ]) {
      const answer = await api.http.send("POST", "/api/auth/refresh", { headers });
      expect([answer.status, answer.body.code]).toEqual([403, "csrf.refused"]);
    }
  });

  it("leaves a line in the security stream, and the session as it was: no refused request has used the token", async () => {
    const refused = (): readonly Readonly<Record<string, unknown>>[] => api.logged('"kind":"csrf.refused"');
    const reasons = (): string => [...new Set(refused().map(({ reason }) => String(reason)))].toSorted().join();
    await until(() => reasons() === "no_token,origin,token", { what: "a line for each reason" });
    expect(JSON.stringify(refused())).not.toContain(held.csrfToken);
    let next = held;
    for (let turn = 0; turn < 3; turn += 1) next = MODES.cookie.held(await byCookie(next));
    expect(next.refreshToken).toMatch(/\./);
  });

  it("may not name the session by a forged cookie: what is not ours is not even looked up", async () => {
    const answer = await byCookie({ refreshToken: "x.y.z", csrfToken: held.csrfToken });
    expect([answer.status, answer.body.code]).toEqual([401, "refresh.invalid"]);
  });
});

describe("a Cookie header", () => {
  const send = (cookie: string, body?: object): Promise<Answer<Body>> =>
    api.http.send<Body>("POST", "/api/auth/refresh", {
      headers: { cookie, origin: APP, "x-csrf-token": "A".repeat(43) },
      ...(body === undefined ? {} : { body }),
    });

  it.each<[string, string, object | undefined, string]>([
    ["with two of the name", `${NAME}=a; ${NAME}=b`, undefined, "400 input.invalid"],
    ["with one of the name twice", `${NAME}=a; ${NAME}=a`, undefined, "400 input.invalid"],
    ["beside a token in the body", `${NAME}=a`, { refreshToken: "b" }, "400 input.invalid"],
    ["with the name of development", "refresh=a", undefined, "400 input.invalid"],
    ["with the name in another case", "__host-refresh=a", undefined, "400 input.invalid"],
    ["with an empty value", `${NAME}=`, undefined, "401 refresh.invalid"],
    ["with a quoted value", `${NAME}="a.b.c"`, undefined, "401 refresh.invalid"],
    ["with 8 KB", `${NAME}=${"a".repeat(8_192)}`, undefined, "401 refresh.invalid"],
    ["with 8 KB of semicolons", ";".repeat(8_192), undefined, "400 input.invalid"],
    ["of a library's making", `theme=%7B%22a%22%3A1%7D; ${NAME}=a.b.c; _ga=GA1.2`, undefined, "401 refresh.invalid"],
  ])("%s is refused", async (_, cookie, body, expected) => {
    const answer = await send(cookie, body);
    expect(`${answer.status} ${answer.body.code}`).toBe(expected);
  });

  it.each(["\u0000", "\u0001", "\u007f", "\u00ff"])("with the character %j leaves the process well", async (character) => {
    using raw = await rawConnection(
      api.port,
      `POST /api/auth/refresh HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: ${APP}\r\nX-CSRF-Token: a\r\nCookie: ${NAME}=a${character}b\r\nContent-Length: 0\r\n\r\n`,
    );
    expect(await raw.closed).toMatch(/^HTTP\/1.1 (400|401) /);
    expect((await api.http.get("/health")).status).toBe(200);
  });

  it("is no way to be somebody on any other door", async () => {
    const { refreshToken, accessToken } = await MODES.cookie.signIn("finn");
    const cookie = [NAME, "refresh", "access", "accessToken", "token", "Authorization", "session"]
      .flatMap((name) => [`${name}=${accessToken}`, `${name}=${refreshToken}`])
      .join("; ");
    const headers = { cookie, origin: APP };
    const rest = await api.http.send("GET", "/api/users/me", { headers });
    expect([rest.status, rest.body.code]).toEqual([401, "token.missing"]);
    const out = await api.http.send("POST", "/api/auth/logout", { headers });
    expect([out.status, out.body.code]).toEqual([401, "token.missing"]);
    const graphql = await api.http.send<{ errors: { extensions: { code: string } }[] }>("POST", "/graphql", {
      headers,
      body: { query: "{ me { id } }" },
    });
    expect(graphql.body.errors[0]?.extensions.code).toBe("token.missing");
    await expect(api.socket()).rejects.toBeInstanceOf(ConnectRefused);
    const socket = await fetch(`${api.url}/socket.io/?EIO=4&transport=polling`, { headers });
    const { sid } = JSON.parse((await socket.text()).slice(1)) as { sid: string };
    const at = `${api.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;
    await fetch(at, { method: "POST", body: "40", headers });
    expect(await (await fetch(at, { headers })).text()).toMatch(/^44.*token\.missing/);
  });
});

describe("the cookie", () => {
  it("lasts as long as its session, whoever makes the successor and whoever gets it again", async () => {
    const held = await MODES.cookie.signIn("ivan");
    const shorten =
      "update sessions set expires_at = now() + interval '100 seconds' where user_id = (select id from users where username = 'ivan')";
    await onDatabase(database.adminUrl, shorten);
    for (const answer of [await byCookie(held), await byCookie(held)]) {
      const maxAge = Number(/Max-Age=(\d+);/.exec(setCookie(answer) ?? "")?.[1]);
      expect(maxAge).toBeGreaterThan(80);
      expect(maxAge).toBeLessThanOrEqual(100);
    }
  });
});

describe("logging out", () => {
  it("takes the cookie away in cookie mode, and only then", async () => {
    for (const path of ["/api/auth/logout", "/api/auth/logout-all"]) {
      const name = path.endsWith("all") ? "gina" : "hugo";
      const [held, second] = [await MODES.cookie.signIn(name), await logIn(api.http, name)];
      const plain = await api.http.send("POST", path, { token: held.accessToken });
      expect(setCookie(plain)).toBeUndefined();
      const token = path.endsWith("all") ? (await logIn(api.http, name)).accessToken : second.accessToken;
      const answer = await api.http.send("POST", path, { token, headers: cookieMode });
      expect([answer.status < 300, setCookie(answer)]).toEqual([true, MODES.cookie.cleared]);
    }
  });
});

describe("a browser", () => {
  it("is told that it may send cookies by exact origins only", async () => {
    const preflight = (origin: string) =>
      api.http.send("OPTIONS", "/api/auth/refresh", { headers: { origin, "access-control-request-method": "POST" } });
    const allowed = await preflight(APP);
    expect(allowed.headers).toMatchObject({ "access-control-allow-credentials": "true", "access-control-allow-origin": APP });
    expect(allowed.headers["access-control-allow-headers"]).toContain("X-CSRF-Token, X-Session-Mode");
    const foreign = await preflight("https://evil.test");
    expect(foreign.headers["access-control-allow-origin"]).toBeUndefined();
    expect(foreign.headers["access-control-allow-credentials"]).toBeUndefined();
  });
});
