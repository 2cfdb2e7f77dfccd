/** A stolen refresh token, presented in the body and as a cookie: the same statuses, the same end, told once by notice and by mail. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import {
  logIn,
  onDatabase,
  registerPerson,
  startApiProcess,
  startWorkerProcess,
  type ApiProcess,
  type ServiceProcess,
  type SignedInBody,
} from "../kit/service.ts";
import { until } from "../kit/until.ts";

const APP = "https://app.example.com";
const PASSWORD = "correct horse battery";
const CLEARED = "__Host-refresh=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax";
const SUBJECT = "We ended one of your sessions to keep your account safe";
const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Firefox/128.0";
const GRACE_SECONDS = 10;

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let worker: ServiceProcess;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  const env = { PUBLIC_URL: "https://accounts.example.com", CORS_ORIGINS: APP, REFRESH_REUSE_GRACE_SECONDS: String(GRACE_SECONDS) };
  const [first, second] = await Promise.all([startApiProcess({ database, env }), startWorkerProcess({ database, env })]);
  [api, worker] = [stack.use(first), stack.use(second)];
}, 90_000);
afterAll(() => stack.disposeAsync());

/** What a client keeps between two refreshes. */
interface Held {
  readonly refreshToken: string;
  readonly csrfToken: string;
  readonly accessToken: string;
}

type Body = SignedInBody & ProblemBody & { readonly csrfToken?: string };

const setCookie = (answer: Answer<unknown>): string | undefined => answer.headers["set-cookie"]?.join("\n");
const heldOf = (answer: Answer<Body>): Held => ({
  accessToken: answer.body.accessToken,
  csrfToken: answer.body.csrfToken ?? "",
  refreshToken: answer.body.refreshToken ?? /^__Host-refresh=([^;]*);/.exec(setCookie(answer) ?? "")?.[1] ?? "",
});

const MODES = {
  body: {
    headers: {},
    present: ({ refreshToken }: Held) => api.http.post<Body>("/api/auth/refresh", { refreshToken }),
    cleared: undefined,
  },
  cookie: {
    headers: { "x-session-mode": "cookie", origin: APP },
    present: ({ refreshToken, csrfToken }: Held) =>
      api.http.send<Body>("POST", "/api/auth/refresh", {
        headers: { cookie: `__Host-refresh=${refreshToken}`, origin: APP, "x-csrf-token": csrfToken },
      }),
    cleared: CLEARED,
  },
};

/** Ages what is stored, in place of waiting for the grace to end. */
const afterGrace = (userId: string): Promise<unknown[]> =>
  onDatabase(
    database.adminUrl,
    `update refresh_tokens set made_at = made_at - interval '${GRACE_SECONDS + 1} seconds'
     where session_id in (select id from sessions where user_id = $1)`,
    [userId],
  );

const mailsTo = (email: string): Promise<{ text_body: string }[]> =>
  onDatabase(database.adminUrl, "select text_body from mailbox where recipient = $1 and subject = $2", [email, SUBJECT]);

describe.each(["body", "cookie"] as const)("a refresh token that was stolen, in %s mode", (name) => {
  const { headers, present, cleared } = MODES[name];
  const answerOf = (answer: Answer<Body>): readonly unknown[] => [answer.status, answer.body.code, setCookie(answer)];

  /** Somebody signed in by this mode, who also has a session elsewhere. */
  async function signedIn(
    username: string,
  ): Promise<{ readonly id: string; readonly email: string; readonly held: Held; readonly elsewhere: string }> {
    const { id, email } = await registerPerson(api.http, username);
    const elsewhere = await logIn(api.http, username);
    const body = { emailOrUsername: username, password: PASSWORD };
    const answer = await api.http.send<Body>("POST", "/api/auth/login", { body, headers: { ...headers, "user-agent": FIREFOX } });
    return { id, email, held: heldOf(answer), elsewhere: elsewhere.accessToken };
  }

  it("ends its session and nothing else when it comes after its grace, and its owner is told once, by notice and mail", async () => {
    const { id, email, held, elsewhere } = await signedIn(`ann_${name}`);
    using socket = await api.socket(held.accessToken);
    const second = heldOf(await present(held));
    const third = heldOf(await present(second));
    // Within its grace it is a lost answer.
    expect((await present(held)).status).toBe(200);
    await afterGrace(id);

    const thieves = await Promise.all(Array.from({ length: 6 }, () => present(held)));

    for (const answer of thieves) expect([401, cleared]).toEqual([answer.status, setCookie(answer)]);
    expect(thieves.map(({ body }) => body.code)).toContain("refresh.reused");
    for (const { body } of thieves) expect(["refresh.reused", "session.revoked"]).toContain(body.code);
    expect(answerOf(await present(third))).toEqual([401, "session.revoked", cleared]);
    await until(() => socket.closed);
    await until(async () => (await api.http.get("/api/users/me", third.accessToken)).body.code === "session.revoked");
    expect((await api.http.get("/api/users/me", elsewhere)).status).toBe(200);

    await until(async () => (await mailsTo(email)).length > 0);
    type Notices = { data: { type: string; data: { device: string | null } }[] };
    const { body } = await api.http.get<Notices>("/api/users/me/notices", elsewhere);
    if (!("data" in body)) throw new Error(JSON.stringify(body));
    const told = body.data.filter(({ type }) => type === "security.refresh_reuse");
    expect(told.map(({ data }) => data.device)).toEqual(["Firefox on Windows"]);
    const mails = await mailsTo(email);
    expect(mails).toHaveLength(1);
    expect(mails[0]?.text_body).toContain("Firefox on Windows");
    expect(worker.errors()).toEqual([]);
  }, 90_000);

  it("is no theft while its successor is unused, however late: the answer may have been lost", async () => {
    const { id, email, held } = await signedIn(`bob_${name}`);
    const second = heldOf(await present(held));
    await afterGrace(id);
    expect(heldOf(await present(held)).refreshToken).toBe(second.refreshToken);
    expect((await present(second)).status).toBe(200);
    expect(await mailsTo(email)).toEqual([]);
  });
});
