/** Moderation as people live it, against a running API: roles, limits, suspensions that end, what everybody is told. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import type { ProblemBody } from "../kit/http-client.ts";
import { ConnectRefused } from "../kit/socket-client.ts";
import {
  logIn,
  makeStaff,
  onDatabase,
  registerPeople,
  registerPerson,
  startApiProcess,
  startWorkerProcess,
  type ApiProcess,
  type SignedIn,
  type SignedInBody,
} from "../kit/service.ts";
import { until } from "../kit/until.ts";

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let api: ApiProcess;
let staff: Record<"mona" | "milo" | "ada" | "alan", SignedIn>;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  api = stack.use(await startApiProcess({ database }));
  staff = await registerPeople(api.http, ["mona", "milo", "ada", "alan"]);
  for (const [person, role] of [
    ["mona", "moderator"],
    ["milo", "moderator"],
    ["ada", "admin"],
    ["alan", "admin"],
  ] as const) {
    await makeStaff(database, staff[person], role);
    staff[person] = await logIn(api.http, person);
  }
});
afterAll(() => stack.disposeAsync());

interface RestrictionBody {
  readonly id: string;
  readonly state: string;
  readonly kind: string;
  readonly expiresAt: string | null;
  readonly liftedBy: string | null;
}

const restrict = (by: SignedIn, subject: { readonly id: string }, body: object) =>
  api.http.post<RestrictionBody & ProblemBody>(
    `/api/moderation/users/${subject.id}/restrictions`,
    { reason: "spam", ...body },
    by.accessToken,
  );

const lift = (by: SignedIn, id: string) =>
  api.http.send<RestrictionBody & ProblemBody>("DELETE", `/api/moderation/restrictions/${id}`, {
    token: by.accessToken,
    body: { note: "looked at again" },
  });

const me = (token: string) => api.http.get<ProblemBody & { readonly username?: string }>("/api/users/me", token);

/** What a token is refused with, at the latest a second after the decision. */
const refusal = (token: string, path = "/api/users/me") =>
  until(
    async () => {
      const answer = await api.http.get(path, token);
      return answer.status === 200 ? undefined : answer;
    },
    { withinMs: 1_000, what: "a refusal" },
  );

describe("who may decide about whom", () => {
  it("lets a moderator ban a user and an admin take it back", async () => {
    const bob = await registerPerson(api.http, "bob.banned");

    const banned = await restrict(staff.mona, bob, { kind: "ban", message: "Stop it." });
    expect(banned.status).toBe(201);
    expect(banned.body).toMatchObject({ kind: "ban", state: "active", expiresAt: null });
    const refused = await refusal(bob.accessToken);
    expect([refused.status, refused.body.code, refused.body.restriction?.message]).toEqual([403, "account.restricted", "Stop it."]);

    const lifted = await lift(staff.ada, banned.body.id);
    expect([lifted.status, lifted.body.state, lifted.body.liftedBy]).toEqual([200, "lifted", staff.ada.id]);
    expect((await lift(staff.ada, banned.body.id)).body.code).toBe("restriction.not_active");
    expect((await me((await logIn(api.http, bob.username)).accessToken)).status).toBe(200);
    expect((await me(bob.accessToken)).body.code).toBe("session.revoked");
  });

  it.each([
    ["a moderator on a moderator", "mona", "milo", "role.insufficient"],
    ["a moderator on an admin", "mona", "ada", "role.insufficient"],
    ["an admin on an admin", "ada", "alan", "role.insufficient"],
    ["a moderator on themselves", "mona", "mona", "restriction.own_account"],
    ["an admin on themselves", "ada", "ada", "restriction.own_account"],
  ] as const)("refuses %s", async (_, actor, subject, code) => {
    const { status, body } = await restrict(staff[actor], staff[subject], { kind: "ban" });

    expect([status, body.code]).toEqual([403, code]);
    expect((await me(staff[subject].accessToken)).status).toBe(200);
  });

  it("lets an admin restrict a moderator, who then decides nothing", async () => {
    const temp = await registerPerson(api.http, "temp.moderator");
    const carl = await registerPerson(api.http, "carl");
    await makeStaff(database, temp, "moderator");
    const moderator = await logIn(api.http, temp.username);

    const { body } = await restrict(staff.ada, temp, { kind: "ban" });
    expect((await refusal(moderator.accessToken)).body.code).toBe("account.restricted");
    expect((await restrict(moderator, carl, { kind: "ban" })).body.code).toBe("account.restricted");
    expect((await lift(moderator, body.id)).body.code).toBe("account.restricted");
    expect((await me(carl.accessToken)).status).toBe(200);
  });

  it("refuses users, and does not say more than that", async () => {
    const { dora, emil } = await registerPeople(api.http, ["dora", "emil"]);

    for (const subject of [emil, staff.ada, { id: "0190a000-0000-7000-8000-000000000000" }]) {
      const { status, body } = await restrict(dora, subject, { kind: "ban" });
      expect([status, body.code]).toEqual([403, "access.denied"]);
    }
    expect((await api.http.get(`/api/moderation/users/${emil.id}`, dora.accessToken)).body.code).toBe("access.denied");
  });
});

describe("a limit", () => {
  it("takes the capability on REST and GraphQL, and nothing else", async () => {
    const { fay, gus } = await registerPeople(api.http, ["fay", "gus"]);
    using socket = await api.socket(fay.accessToken);
    await restrict(staff.mona, fay, { kind: "limit", capabilities: ["follow"], message: "Too quick." });

    const told = await socket.tells<Record<string, unknown>>("account:restricted");
    expect(told).toMatchObject({ kind: "limit", reason: "spam", message: "Too quick.", capabilities: ["follow"], expiresAt: null });
    expect(JSON.stringify(told)).not.toContain(staff.mona.id);

    const byRest = await api.http.post<ProblemBody & { capability: string }>(`/api/users/${gus.id}/follow`, undefined, fay.accessToken);
    expect([byRest.status, byRest.body.code, byRest.body.capability]).toEqual([403, "capability.limited", "follow"]);
    const byGraphql = await api.http.graphql(`mutation { follow(userId: "${gus.id}") { status } }`, fay.accessToken);
    expect([byGraphql.status, byGraphql.body.errors?.[0]?.extensions.code]).toEqual([200, "capability.limited"]);

    expect((await api.http.send("DELETE", `/api/users/${gus.id}/follow`, { token: fay.accessToken })).status).toBe(200);
    expect((await api.http.send("PATCH", "/api/users/me", { token: fay.accessToken, body: { bio: "still here" } })).status).toBe(200);
    expect((await me(fay.accessToken)).body.username).toBe("fay");
    expect((await api.http.post("/api/auth/refresh", { refreshToken: fay.refreshToken })).status).toBe(200);
    expect((await api.http.get(`/api/users/${fay.id}`, gus.accessToken)).body).toMatchObject({ username: "fay", status: "active" });
    expect((await api.http.post(`/api/users/${fay.id}/follow`, undefined, gus.accessToken)).status).toBe(200);
    expect(socket.closed).toBeUndefined();
  });
});

describe("a banned account", () => {
  it("is told why: on its sockets, at login, in its notices; and may do little else than log out", async () => {
    const hana = await registerPerson(api.http, "hana");
    using socket = await api.socket(hana.accessToken);
    await restrict(staff.mona, hana, { kind: "ban", reason: "harassment", message: "We talked about this." });

    const told = await socket.tells<Record<string, unknown>>("account:restricted");
    expect(told).toMatchObject({ kind: "ban", reason: "harassment", message: "We talked about this.", expiresAt: null });
    expect(JSON.stringify(told)).not.toContain(staff.mona.id);
    await socket.closes();
    expect(socket.told.at(-1)?.name).toBe("account:restricted");

    expect((await api.http.post("/api/auth/refresh", { refreshToken: hana.refreshToken })).body.code).toBe("account.restricted");
    const wrong = await api.http.post("/api/auth/login", { emailOrUsername: "hana", password: "not the password" });
    expect([wrong.status, wrong.body.code]).toEqual([401, "credentials.invalid"]);
    const login = await api.http.post<SignedInBody & { expiresIn: number }>("/api/auth/login", {
      emailOrUsername: "hana",
      password: hana.password,
    });
    expect(login.status).toBe(200);
    expect(login.body.restriction?.kind).toBe("ban");
    expect(login.body.refreshToken).toBeUndefined();
    expect(login.body.expiresIn).toBe(900);
    await mayDoLittle(login.body.accessToken);
  });

  async function mayDoLittle(token: string): Promise<void> {
    const notices = await api.http.get<{ data: { id: string; type: string; data: { kind: string; message: string } }[] }>(
      "/api/users/me/notices",
      token,
    );
    expect(notices.status).toBe(200);
    expect(notices.body.data[0]).toMatchObject({ type: "restriction.imposed", data: { kind: "ban", message: "We talked about this." } });
    expect(JSON.stringify(notices.body)).not.toContain(staff.mona.id);
    expect(
      (await api.http.send("PATCH", `/api/users/me/notices/${notices.body.data[0]?.id}`, { token, body: { read: true } })).status,
    ).toBe(200);

    for (const [method, path] of [
      ["GET", "/api/users/me"],
      ["PATCH", "/api/users/me"],
      ["GET", "/api/users/search?q=a"],
      ["GET", "/api/users/fay"],
      ["GET", "/api/auth/sessions"],
    ] as const) {
      const { status, body } = await api.http.send(method, path, { token, ...(method === "PATCH" ? { body: {} } : {}) });
      expect([path, status, body.code]).toEqual([path, 403, "account.restricted"]);
    }
    const graphql = await api.http.graphql("{ me { id } }", token);
    expect([graphql.status, graphql.body.errors?.[0]?.extensions.code]).toEqual([200, "account.restricted"]);
    await expect(api.socket(token)).rejects.toBeInstanceOf(ConnectRefused);
    expect((await api.http.post("/api/auth/logout", undefined, token)).status).toBe(204);
    expect((await refusal(token, "/api/users/me/notices")).body.code).toBe("session.revoked");
  }

  it("is unavailable to others and in no search", async () => {
    const { ivan, jane } = await registerPeople(api.http, ["ivan", "jane"]);
    await restrict(staff.mona, ivan, { kind: "ban" });

    expect((await api.http.get("/api/users/ivan", jane.accessToken)).body).toEqual({
      id: ivan.id,
      username: "ivan",
      status: "unavailable",
    });
    const found = await api.http.get<{ data: unknown[] }>("/api/users/search?q=ivan", jane.accessToken);
    expect(found.body.data).toEqual([]);
    expect((await api.http.post(`/api/users/${ivan.id}/follow`, undefined, jane.accessToken)).body.code).toBe("user.unavailable");
  });
});

describe("a suspension of 3 s, with no worker running", () => {
  it("begins at once and ends by itself, and gives no session of before back", async () => {
    const kim = await registerPerson(api.http, "kim");
    using socket = await api.socket(kim.accessToken);
    const expiresAt = new Date(Date.now() + 3_000).toISOString();
    const suspended = await restrict(staff.mona, kim, { kind: "suspend", expiresAt });
    expect(suspended.status).toBe(201);

    await socket.closes();
    const during = await api.http.post<SignedInBody>("/api/auth/login", { emailOrUsername: "kim", password: kim.password });
    expect([during.body.restriction?.kind, during.body.refreshToken]).toEqual(["suspend", undefined]);
    const short = during.body.accessToken;
    const refusals = new Set<string>();
    await until(async () => {
      const { status, body } = await me(kim.accessToken);
      refusals.add(`${status} ${body.code}`);
      return body.code !== "account.restricted";
    });
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(expiresAt));
    // The old token stays dead; it only is told otherwise now.
    expect([...refusals]).toEqual(["403 account.restricted", "401 session.revoked"]);

    const after = await logIn(api.http, "kim");
    expect(after.refreshToken).toEqual(expect.any(String));
    expect((await me(after.accessToken)).status).toBe(200);
    expect((await me(short)).status).toBe(401);
    expect((await api.http.post("/api/auth/refresh", { refreshToken: kim.refreshToken })).status).toBe(401);
    using again = await api.socket(after.accessToken);
    expect(again.closed).toBeUndefined();
    await expect(api.socket(kim.accessToken)).rejects.toBeInstanceOf(ConnectRefused);
  });

  it("that was planned begins by itself, for sockets too", async () => {
    const lena = await registerPerson(api.http, "lena");
    using socket = await api.socket(lena.accessToken);
    const startsAt = new Date(Date.now() + 1_500).toISOString();
    await restrict(staff.mona, lena, { kind: "suspend", startsAt, expiresAt: new Date(Date.now() + 60_000).toISOString() });

    expect((await me(lena.accessToken)).status).toBe(200);
    const { atMs } = await socket.closes();
    expect(performance.timeOrigin + atMs).toBeGreaterThanOrEqual(Date.parse(startsAt));
    expect(performance.timeOrigin + atMs).toBeLessThan(Date.parse(startsAt) + 2_000);
    expect(socket.told.map(({ name }) => name)).toContain("account:restricted");
    expect((await me(lena.accessToken)).body.code).toBe("account.restricted");
  });
});

describe("with a worker", () => {
  it("the decision and its end reach the mailbox", async () => {
    const nora = await registerPerson(api.http, "nora");
    const { body } = await restrict(staff.mona, nora, {
      kind: "suspend",
      reason: "hate",
      message: "<b>No.</b>",
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    });
    await lift(staff.milo, body.id);
    await using _worker = await startWorkerProcess({ database });

    const lines = await until(async () => {
      const { body: page } = await api.http.get<string>("/mailbox");
      const hers = page.split("<tr>").filter((line) => line.includes("nora@example.com"));
      // With the one that asks to confirm the address.
      return hers.length < 3 ? undefined : hers;
    });
    expect(new Set(lines.map((line) => />(Your [^<]+|A [^<]+|Confirm [^<]+)</.exec(line)?.[1]))).toEqual(
      new Set(["Confirm your e-mail address", "Your account has been suspended", "A restriction of your account was lifted"]),
    );
    const link = /href="([^"]+)">Your account has been suspended/.exec(lines.join(""))?.[1] ?? "";
    const mail = await api.http.get<string>(link);
    expect(mail.status).toBe(200);
    expect(mail.body).toContain("&lt;b&gt;No.&lt;/b&gt;");
    expect(mail.body).not.toContain("mona");
    const elsewhere = await api.http.send("GET", "/mailbox", { headers: { host: "mail.example.com" } });
    expect([elsewhere.status, elsewhere.body.code]).toEqual([404, "route.not_found"]);
  });
});

describe("every decision", () => {
  it("is on the audit log, and none of them left an error in the service's log", async () => {
    const [counts] = await onDatabase<{ decisions: string; recorded: string }>(
      database.adminUrl,
      `select (select count(*) from restrictions) + (select count(*) from restrictions where lifted_at is not null) as decisions,
              (select count(*) from audit_log where action in ('restriction.imposed', 'restriction.lifted')) as recorded`,
    );
    expect(counts?.recorded).toBe(counts?.decisions);
    expect(Number(counts?.decisions)).toBeGreaterThan(6);
    expect(api.errors()).toEqual([]);
  });
});
