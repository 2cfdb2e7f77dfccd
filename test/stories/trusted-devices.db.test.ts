/** Trusted devices over HTTP: in the body and as a cookie alike, and what admins do to them. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { generateSync } from "otplib";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import {
  logIn,
  makeStaff,
  onDatabase,
  registerPerson,
  startApiProcess,
  type ApiProcess,
  type SignedIn,
  type SignedInBody,
} from "../kit/service.ts";

const APP = "https://app.example.com";
const NAME = "__Host-device";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let admin: SignedIn;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  const env = { PUBLIC_URL: "https://accounts.example.com", CORS_ORIGINS: APP, MFA_REQUIRED_ROLES: "moderator", TRUSTED_DEVICE_DAYS: "7" };
  api = stack.use(await startApiProcess({ database, env }));
  await makeStaff(database, await registerPerson(api.http, "admin1"), "admin");
  admin = await logIn(api.http, "admin1");
});
afterAll(() => stack.disposeAsync());

type Body = SignedInBody &
  ProblemBody & { readonly deviceToken?: string; readonly trustedUntil?: string; readonly mfa?: { readonly challenge: string } };
const cookieMode = { "x-session-mode": "cookie", origin: APP };

const login = (person: SignedIn, more: { body?: object; headers?: Readonly<Record<string, string>> } = {}): Promise<Answer<Body>> =>
  api.http.send<Body>("POST", "/api/auth/login", {
    body: { emailOrUsername: person.username, password: person.password, ...more.body },
    headers: more.headers ?? {},
  });

/** Somebody with an authenticator app, and the next codes of it. */
async function withApp(username: string): Promise<SignedIn & { readonly codes: readonly string[] }> {
  const person = await registerPerson(api.http, username);
  const { secret } = (await api.http.post<{ secret: string }>("/api/auth/mfa/totp", undefined, person.accessToken)).body;
  const now = Math.floor(Date.now() / 1000);
  const [first = "", ...codes] = [-30, 0, 30].map((later) => generateSync({ secret, epoch: now + later }));
  expect((await api.http.post("/api/auth/mfa/totp/confirm", { code: first }, person.accessToken)).status).toBe(200);
  return { ...person, codes };
}

async function trust(person: SignedIn, code: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer<Body>> {
  const challenge = (await login(person)).body.mfa?.challenge;
  return await api.http.send<Body>("POST", "/api/auth/mfa/verify", { body: { challenge, code, trustDevice: true }, headers });
}

const cookies = (answer: Answer<unknown>): readonly string[] => answer.headers["set-cookie"] ?? [];
const deviceCookie = (answer: Answer<unknown>): string => cookies(answer).find((line) => line.startsWith(`${NAME}=`)) ?? "";
const pairOf = (line: string): string => line.split(";")[0] ?? "";
const outcome = ({ status, body }: Answer<Body>): string => (status === 200 ? "ok" : body.code);

describe("in cookie mode", () => {
  it("the token of a trusted device is a cookie that no script reads, and does what it does in the body", async () => {
    const ann = await withApp("ann");
    const trusted = await trust(ann, ann.codes[0] ?? "", cookieMode);
    expect([trusted.status, trusted.body.deviceToken]).toEqual([200, undefined]);
    expect(cookies(trusted).map((line) => line.split("=")[0])).toEqual(["__Host-refresh", NAME]);
    const line = deviceCookie(trusted);
    expect(line).toMatch(/^__Host-device=[\w-]+\.[\w-]+\.[\w-]+; Max-Age=60[34]\d{3}; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
    expect(JSON.stringify(trusted.body)).not.toContain(pairOf(line).slice(NAME.length + 1));

    const again = await login(ann, { headers: { ...cookieMode, cookie: `theme=dark; ${pairOf(line)}` } });
    expect([again.status, again.body.deviceToken, again.body.trustedUntil]).toEqual([200, undefined, trusted.body.trustedUntil]);
    expect(pairOf(deviceCookie(again))).toBe(pairOf(line));

    const inBody = await login(ann, { body: { deviceToken: pairOf(line).slice(NAME.length + 1) } });
    expect([inBody.status, cookies(inBody)]).toEqual([200, []]);
  });

  it("the cookie is read for pages of ours that ask for cookie mode, alone, and for its account", async () => {
    const bob = await withApp("bob");
    const other = await withApp("carl");
    const pair = pairOf(deviceCookie(await trust(bob, bob.codes[0] ?? "", cookieMode)));
    const sent = async (who: SignedIn, headers: Readonly<Record<string, string>>): Promise<string> =>
      outcome(await login(who, { headers }));
    expect(await sent(bob, { ...cookieMode, cookie: pair })).toBe("ok");
    expect(await sent(bob, { cookie: pair })).toBe("mfa.required");
    expect(await sent(bob, { ...cookieMode, origin: "https://evil.test", cookie: pair })).toBe("csrf.refused");
    expect(await sent(bob, { ...cookieMode, cookie: `${pair}; ${NAME}=planted` })).toBe("mfa.required");
    expect(await sent(bob, { ...cookieMode, cookie: pair.replace("__Host-", "") })).toBe("mfa.required");
    expect(await sent(other, { ...cookieMode, cookie: pair })).toBe("mfa.required");
    const wrong = await login({ ...bob, password: "wrong password" }, { headers: { ...cookieMode, cookie: pair } });
    expect(outcome(wrong)).toBe("credentials.invalid");
    // Beside one of somebody else the token in the body counts.
    const carl = await trust(other, other.codes[0] ?? "");
    const both = await login(other, { body: { deviceToken: carl.body.deviceToken }, headers: { ...cookieMode, cookie: pair } });
    expect([outcome(both), both.body.trustedUntil]).toEqual(["ok", carl.body.trustedUntil]);
  });
});

describe("their owner", () => {
  it("sees them, forgets one, and all", async () => {
    const dora = await withApp("dora");
    const first = await trust(dora, dora.codes[0] ?? "");
    const second = await trust(dora, dora.codes[1] ?? "");
    const byDevice = async ({ body }: Answer<Body>): Promise<string> =>
      outcome(await login(dora, { body: { deviceToken: body.deviceToken } }));
    const list = async (): Promise<{ id: string; trustedUntil: string }[]> =>
      (await api.http.get<{ data: { id: string; trustedUntil: string }[] }>("/api/auth/trusted-devices", dora.accessToken)).body.data;
    expect((await list()).map(({ trustedUntil }) => trustedUntil)).toEqual([second.body.trustedUntil, first.body.trustedUntil]);
    const [newest] = await list();
    const remove = await api.http.send("DELETE", `/api/auth/trusted-devices/${newest?.id}`, { token: dora.accessToken });
    expect([remove.status, await byDevice(second), await byDevice(first)]).toEqual([204, "mfa.required", "ok"]);
    const all = await api.http.send("DELETE", "/api/auth/trusted-devices", { token: dora.accessToken });
    expect([all.body, await byDevice(first), await list()]).toEqual([{ devicesForgotten: 1 }, "mfa.required", []]);
  });
});

describe("an admin", () => {
  const act = async (person: SignedIn, method: string, change: string, body: object): Promise<number> =>
    (
      await api.http.send(method, `/api/admin/users/${person.id}/${change}`, {
        token: admin.accessToken,
        body: { reason: "as asked", ...body },
      })
    ).status;
  const left = async ({ id }: SignedIn): Promise<number> =>
    (await onDatabase(database.adminUrl, "select id from trusted_devices where user_id = $1", [id])).length;

  it.each([
    ["resets factors", "POST", "reset-mfa", {}],
    ["forces a new password", "POST", "force-reset", {}],
    ["changes roles", "PUT", "roles", { roles: ["user", "moderator"] }],
  ] as const)("who %s ends the trust", async (_, method, change, body) => {
    const person = await withApp(`by_${change.replace("-", "_")}`);
    await trust(person, person.codes[0] ?? "");
    expect(await left(person)).toBe(1);
    expect(await act(person, method, change, body)).toBeLessThan(300);
    expect(await left(person)).toBe(0);
  });

  it("has made somebody staff: their factor is asked for each time, whatever they wish", async () => {
    const person = await withApp("emil");
    expect(await act(person, "PUT", "roles", { roles: ["user", "moderator"] })).toBeLessThan(300);
    const { status, body } = await trust(person, person.codes[0] ?? "");
    expect([status, body.trustedUntil]).toEqual([200, undefined]);
    expect(outcome(await login(person, { body: { deviceToken: body.deviceToken } }))).toBe("mfa.required");
  });
});
