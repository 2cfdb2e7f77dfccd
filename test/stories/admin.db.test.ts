import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { generateSync } from "otplib";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { Answer, ProblemBody } from "../kit/http-client.ts";
import { startService } from "../kit/process.ts";
import {
  logIn,
  makeStaff,
  onDatabase,
  registerPeople,
  startApiProcess,
  startWorkerProcess,
  type ApiProcess,
  type SignedIn,
} from "../kit/service.ts";
import { until } from "../kit/until.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let admin: SignedIn;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  const [first, worker] = await Promise.all([startApiProcess({ database }), startWorkerProcess({ database })]);
  api = stack.use(first);
  stack.use(worker);
  const { chief } = await registerPeople(api.http, ["chief"]);
  await makeStaff(database, chief, "admin");
  admin = await logIn(api.http, "chief");
}, 60_000);
afterAll(() => stack.disposeAsync());

const reason = "asked for by telephone";
const ask = <Body = ProblemBody>(method: string, path: string, body?: unknown, token = admin.accessToken): Promise<Answer<Body>> =>
  api.http.send<Body>(method, `/api/admin/users${path}`, { token, ...(body === undefined ? {} : { body }) });
const outcome = async (answer: Promise<Answer<ProblemBody>>): Promise<string> => {
  const { status, body } = await answer;
  return status < 400 ? String(status) : `${status} ${body.code}`;
};
const meStatus = async ({ accessToken }: SignedIn): Promise<number> => (await api.http.get("/api/users/me", accessToken)).status;
const newestLink = (email: string, subject: string): Promise<string> =>
  until(async () => {
    const text = "select text_body from mailbox where recipient = $1 and subject = $2 order by sent_at desc limit 1";
    const found = await onDatabase<{ text_body: string }>(database.adminUrl, text, [email, subject]);
    return /\/confirm\/([\w-]+)$/m.exec(found[0]?.text_body ?? "")?.[1];
  });

describe("administration", () => {
  it("lists, filters and pages accounts", async () => {
    await registerPeople(api.http, ["list0", "list1", "list2"]);
    interface Page {
      readonly data: readonly { username: string; sessions: number; hasPassword: boolean }[];
      readonly pagination: { nextCursor: string | null };
    }
    const first = (await ask<Page>("GET", "?q=LIST&limit=2")).body;
    const second = (await ask<Page>("GET", `?q=list&limit=2&cursor=${first.pagination.nextCursor}`)).body;
    expect([...first.data, ...second.data].map(({ username }) => username).sort()).toEqual(["list0", "list1", "list2"]);
    expect(second.pagination.nextCursor).toBeNull();
    expect(first.data[0]).toMatchObject({ sessions: 1, hasPassword: true });
    expect((await ask<Page>("GET", "?q=list1@example")).body.data).toHaveLength(1);
    expect((await ask<Page>("GET", "?role=admin")).body.data.map(({ username }) => username)).toEqual(["chief"]);
    expect((await ask<Page>("GET", "?status=banned")).body.data).toEqual([]);
    for (const wrong of ["?limit=0", "?limit=1000", "?status=odd", "?cursor=x", "?q=", "?other=1"]) {
      expect((await ask("GET", wrong)).status).toBe(400);
    }
    for (const odd of ["%25", "_", "'", "\\", "%F4%8F%BF%BF"]) expect((await ask("GET", `?q=${odd}`)).status).toBe(200);
  });

  it("changes roles, ends the sessions that named the old ones, and tells the one concerned", async () => {
    const { helper } = await registerPeople(api.http, ["helper"]);
    expect(await outcome(ask("PUT", `/${helper.id}/roles`, { roles: ["user", "moderator"], reason }))).toBe("200");
    expect(await meStatus(helper)).toBe(401);
    const again = await logIn(api.http, "helper");
    expect((await api.http.get("/api/websocket/stats", again.accessToken)).status).toBe(200);
    expect(await outcome(ask("PUT", `/${helper.id}/roles`, { roles: ["user", "moderator"], reason }))).toBe("200");
    expect(await meStatus(again)).toBe(200);
    expect(await outcome(ask("PUT", `/${helper.id}/roles`, { roles: ["user"], reason }, again.accessToken))).toBe("403 access.denied");
    const log = await onDatabase(database.adminUrl, "select action, actor_id, facts from audit_log where subject_id = $1", [helper.id]);
    expect(log).toEqual([
      {
        action: "account.roles_changed",
        actor_id: admin.id,
        facts: { before: ["user"], after: ["user", "moderator"], by: "admin" },
      },
    ]);
  });

  it("acts on no admin and on nobody's own account, and wants a fresh session", async () => {
    const { second, stale } = await registerPeople(api.http, ["second", "stale"]);
    await makeStaff(database, second, "admin");
    const roles = { roles: ["user"], reason };
    expect(await outcome(ask("PUT", `/${second.id}/roles`, roles))).toBe("403 role.insufficient");
    expect(await outcome(ask("PUT", `/${admin.id}/roles`, roles))).toBe("403 admin.own_account");
    expect(await outcome(ask("PUT", "/019abc00-0000-7000-8000-000000000001/roles", roles))).toBe("404 user.not_found");
    const late = await logIn(api.http, "chief");
    await onDatabase(database.adminUrl, "update sessions set created_at = now() - interval '1 hour' where id = $1", [late.sessionId]);
    expect(await outcome(ask("POST", `/${stale.id}/end-sessions`, { reason }, late.accessToken))).toBe("403 step_up.required");
    expect((await api.http.post("/api/auth/step-up", { password: late.password }, late.accessToken)).status).toBe(204);
    expect(await outcome(ask("POST", `/${stale.id}/end-sessions`, { reason }, late.accessToken))).toBe("200");
    expect(await meStatus(stale)).toBe(401);
    await onDatabase(database.adminUrl, "update users set roles = '{user}' where id = $1", [second.id]);
  });

  it("invites somebody, who sets the password by the mailed link", async () => {
    const made = await ask<{ id: string }>("POST", "", { email: "guest@example.com", username: "guest", reason });
    expect(made).toMatchObject({ status: 201, body: { hasPassword: false, emailVerified: false, sessions: 0 } });
    expect(await outcome(ask("POST", "", { email: "guest@example.com", username: "guest2", reason }))).toBe("409 email.taken");
    const token = await newestLink("guest@example.com", "You have been invited");
    expect((await api.http.post("/api/auth/reset-password", { token, password: "the first one" })).status).toBe(200);
    expect((await logIn(api.http, "guest", "the first one")).id).toBe(made.body.id);
  });

  it("forces a new password: the old one is good for nothing, at once and everywhere", async () => {
    const { leaky } = await registerPeople(api.http, ["leaky"]);
    expect(await outcome(ask("POST", `/${leaky.id}/force-reset`, { reason }))).toBe("204");
    expect(await meStatus(leaky)).toBe(401);
    await expect(logIn(api.http, "leaky")).rejects.toThrow("credentials.invalid");
    const token = await newestLink("leaky@example.com", "Please set a new password");
    expect((await api.http.post("/api/auth/reset-password", { token, password: "another battery" })).status).toBe(200);
    await logIn(api.http, "leaky", "another battery");
  });

  it("forces a new password past what somebody else had asked for by the old one", async () => {
    const { taken } = await registerPeople(api.http, ["taken"]);
    const change = { email: "thief@example.com", currentPassword: "correct horse battery" };
    expect((await api.http.post("/api/auth/change-email", change, taken.accessToken)).status).toBe(202);
    await api.http.post("/api/auth/forgot-password", { email: "taken@example.com" });
    const [moved, older] = [
      await newestLink("thief@example.com", "Confirm your new e-mail address"),
      await newestLink("taken@example.com", "Set a new password"),
    ];
    expect(await outcome(ask("POST", `/${taken.id}/force-reset`, { reason }))).toBe("204");
    expect((await api.http.post("/api/auth/verify-email", { token: moved })).body).toMatchObject({ code: "link.invalid" });
    const reset = await api.http.post("/api/auth/reset-password", { token: older, password: "another battery" });
    expect(reset.body).toMatchObject({ code: "link.invalid" });
    const token = await newestLink("taken@example.com", "Please set a new password");
    expect((await api.http.post("/api/auth/reset-password", { token, password: "another battery" })).status).toBe(200);
  });

  it("removes a lost authenticator app", async () => {
    const { lost } = await registerPeople(api.http, ["lost"]);
    expect(await outcome(ask("POST", `/${lost.id}/reset-mfa`, { reason }))).toBe("404 totp.not_found");
    const { secret } = (await api.http.post<{ secret: string }>("/api/auth/mfa/totp", undefined, lost.accessToken)).body;
    await api.http.post("/api/auth/mfa/totp/confirm", { code: generateSync({ secret }) }, lost.accessToken);
    await expect(logIn(api.http, "lost")).rejects.toThrow("mfa.required");
    await onDatabase(
      database.adminUrl,
      "insert into passkeys (id, user_id, public_key, counter, name, backed_up) values ('key', $1, '', 0, 'key', false)",
      [lost.id],
    );
    const seen = { totp: { confirmedAt: expect.any(String) }, passkeys: 1 };
    expect((await ask("GET", `/${lost.id}`)).body).toMatchObject(seen);
    for (const query of ["?q=lost", "?limit=100"])
      expect((await ask("GET", query)).body).toMatchObject({
        data: expect.arrayContaining([expect.objectContaining({ id: lost.id, ...seen })]),
      });
    expect(await outcome(ask("POST", `/${lost.id}/reset-mfa`, { reason }))).toBe("204");
    await logIn(api.http, "lost");
    expect(await meStatus(lost)).toBe(401);
  });

  it("ends one session and leaves the others", async () => {
    const { twice } = await registerPeople(api.http, ["twice"]);
    const other = await logIn(api.http, "twice");
    const listed = await ask<{ data: { id: string }[] }>("GET", `/${twice.id}/sessions`);
    expect(listed.body.data.map(({ id }) => id).sort()).toEqual([twice.sessionId, other.sessionId].sort());
    expect(await outcome(ask("POST", `/${twice.id}/sessions/${other.sessionId}/end`, { reason }))).toBe("204");
    expect([await meStatus(twice), await meStatus(other)]).toEqual([200, 401]);
    expect(await outcome(ask("POST", `/${twice.id}/sessions/${admin.sessionId}/end`, { reason }))).toBe("404 session.not_found");
  });
});

describe("npm run admin", () => {
  const run = async (...args: string[]): Promise<{ readonly code: number | null; readonly output: string }> => {
    const entry = join(ROOT, "src", "main", "admin.ts");
    await using program = await startService({ entry, args, env: { DATABASE_URL: database.adminUrl } });
    const { code } = await program.exited;
    return { code, output: program.output };
  };

  it("gives roles, and leaves one admin whoever is quicker", async () => {
    const { left, right } = await registerPeople(api.http, ["left", "right"]);
    expect(await run("roles", "left", "user,admin", "--reason", "deputy")).toMatchObject({ code: 0 });
    expect(await run("roles", right.email, "user,admin", "--reason", "deputy")).toMatchObject({ code: 0 });
    await onDatabase(database.adminUrl, "update users set roles = '{user}' where id = $1", [admin.id]);
    const outcomes = await Promise.all([left.id, right.id].map((id) => run("roles", id, "user", "--reason", "both at once")));
    expect(new Set(outcomes.map(({ code }) => code))).toEqual(new Set([0, 1]));
    expect(outcomes.find(({ code }) => code === 1)?.output).toContain("admin.last");
  }, 60_000);

  it("says what is wrong and how it is used", async () => {
    expect(await run("--help")).toMatchObject({ code: 0, output: expect.stringContaining("usage: admin") });
    for (const args of [
      [],
      ["show"],
      ["odd", "left"],
      ["roles", "left"],
      ["roles", "left", "king", "--reason", "why"],
      ["end-sessions", "left"],
    ]) {
      const { code, output } = await run(...args);
      expect([args, code, output.includes("usage: admin")]).toEqual([args, 64, true]);
    }
    expect(await run("show", "nobody-at-all")).toMatchObject({ code: 1, output: "nobody is called nobody-at-all\n" });
  }, 60_000);
});
