/** What `npm start` gives a newcomer: the first requests, two at once on one folder, an orderly end, and a start after a crash. */

import { execFileSync } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { freePort } from "#src/embedded/free-port";
import { emptyDataDir, logIn, registerPerson, startStandaloneProcess, type ApiProcess, type SignedInBody } from "../kit/service.ts";
import { until } from "../kit/until.ts";

/** Far above what docs/benchmarks.md says: this only finds what hangs. */
const START_WITHIN_MS = 30_000;

const stack = new AsyncDisposableStack();
let dataDir: string;
let service: ApiProcess;
let adminPassword: string;

beforeAll(async () => {
  dataDir = await emptyDataDir();
  service = await timedStart("cold start");
}, 60_000);
afterAll(() => stack.disposeAsync());

async function timedStart(name: string): Promise<ApiProcess> {
  const beganMs = performance.now();
  const started = stack.use(await startStandaloneProcess({ dataDir, port: await freePort() }));
  const tookMs = performance.now() - beganMs;
  process.stdout.write(`${name}: ${tookMs.toFixed(0)} ms\n`);
  expect(tookMs).toBeLessThan(START_WITHIN_MS);
  return started;
}

/** Processes of PostgreSQL that serve this folder. */
function postgresOn(folder: string): readonly string[] {
  const lines = execFileSync("ps", ["-A", "-o", "stat=,command="], { encoding: "utf8" }).split("\n");
  return lines.filter((line) => !line.startsWith("Z") && line.includes("postgres") && line.includes(folder));
}

describe("a first start", () => {
  it("says where everything is, and the first admin's password", async () => {
    const { output } = service.program;
    for (const path of ["/api", "/docs", "/graphql", "/socket.io", "/mailbox", "/health/services"])
      expect(output).toContain(`http://localhost:${service.port}${path}`);
    adminPassword = /admin, password (\S+)/.exec(output)?.[1] ?? "";
    expect(adminPassword.length).toBeGreaterThanOrEqual(20);
    const admin = await logIn(service.http, "admin", adminPassword);
    expect((await service.http.get<{ roles: string[] }>("/api/users/me", admin.accessToken)).body.roles).toContain("admin");
  });

  it("keeps its secrets from everybody else", async () => {
    expect((await stat(join(dataDir, "secrets"))).mode & 0o777).toBe(0o700);
    for (const secret of ["signing-keys", "postgres-password"]) expect((await stat(join(dataDir, "secrets", secret))).mode & 0o077).toBe(0);
    expect(service.program.output.split(adminPassword)).toHaveLength(2);
  });

  it("answers the documents, the page and the health routes", async () => {
    const paths = [
      "/openapi.json",
      "/asyncapi.json",
      "/docs",
      "/mailbox",
      "/health",
      "/health/ready",
      "/health/services",
      "/health/metrics",
      "/metrics",
      "/.well-known/jwks.json",
    ];
    const statuses = await Promise.all(paths.map(async (path) => [path, (await service.http.get(path)).status]));
    expect(statuses).toEqual(paths.map((path) => [path, 200]));
  });
});

describe("the first requests of a newcomer", () => {
  let token: string;

  it("register, log in, read the own profile", async () => {
    const registered = await service.http.post<SignedInBody>("/api/auth/register", {
      email: "john@example.com",
      username: "johnny",
      password: "securepass",
    });
    expect([registered.status, registered.body.user.username]).toEqual([201, "johnny"]);
    const login = await service.http.post<SignedInBody & { tokenType: string; expiresIn: number }>("/api/auth/login", {
      emailOrUsername: "johnny",
      password: "securepass",
    });
    expect(login.body).toMatchObject({
      tokenType: "Bearer",
      expiresIn: 900,
      user: { email: "john@example.com" },
      session: { current: true },
    });
    token = login.body.accessToken;
    const me = await service.http.get("/api/users/me", token);
    expect(me.body).toMatchObject({ id: registered.body.user.id, username: "johnny", followersCount: 0, followingCount: 0 });
  });

  it("ask GraphQL for somebody, and search", async () => {
    const jane = await registerPerson(service.http, "janet");
    await service.http.post(`/api/users/${jane.id}/follow`, undefined, token);
    const user = await service.http.graphql(
      "query One($id: ID!) { user(id: $id) { id username displayName avatarUrl followersCount followingCount } }",
      token,
      { id: jane.id },
    );
    expect(user.body).toEqual({
      data: { user: { id: jane.id, username: "janet", displayName: "janet", avatarUrl: null, followersCount: 1, followingCount: 0 } },
    });
    const search = await service.http.graphql(
      "query Find($query: String!) { searchUsers(query: $query, pagination: { limit: 10 }) { data { id username displayName avatarUrl } pagination { total pages } } }",
      token,
      { query: "jan" },
    );
    expect(search.body).toEqual({
      data: {
        searchUsers: {
          data: [{ id: jane.id, username: "janet", displayName: "janet", avatarUrl: null }],
          pagination: { total: 1, pages: 1 },
        },
      },
    });
  });

  it("connect a socket, which is told of a follower and of who comes and goes", async () => {
    using socket = await service.socket(token);
    const me = await service.http.get<{ id: string }>("/api/users/me", token);
    const jane = await logIn(service.http, "janet");
    await service.http.post(`/api/users/${me.body.id}/follow`, undefined, jane.accessToken);
    expect(await socket.tells("user:followed")).toMatchObject({ followerId: jane.id, followeeId: me.body.id });
    expect(await socket.ask("presence:watch", { userIds: [jane.id] })).toMatchObject({
      ok: true,
      data: { statuses: [{ userId: jane.id, status: "offline" }] },
    });
    using _hers = await service.socket(jane.accessToken);
    expect(await socket.tells("user:status")).toMatchObject({ userId: jane.id, status: "online" });
  });
});

describe("a second start on the same folder", () => {
  it("serves together with the first, which may leave before it", async () => {
    const second = await timedStart("warm start beside another");
    expect(second.program.output).not.toContain("password");
    const admin = await logIn(second.http, "admin", adminPassword);
    const bob = await registerPerson(second.http, "bobby");
    using onFirst = await service.socket(bob.accessToken);
    using onSecond = await second.socket(bob.accessToken);
    expect((await service.http.get("/api/users/me", bob.accessToken)).status).toBe(200);

    const decision = await second.http.post(
      `/api/moderation/users/${bob.id}/restrictions`,
      { kind: "ban", reason: "spam" },
      admin.accessToken,
    );
    expect(decision.status).toBe(201);
    await Promise.all([onFirst.closes(1_000), onSecond.closes(1_000)]);
    expect((await service.http.get("/api/users/me", bob.accessToken)).body.code).toBe("account.restricted");

    expect(await service.stop()).toEqual({ code: 0, signal: null });
    expect(postgresOn(dataDir)).not.toEqual([]);
    expect((await second.http.get("/api/users/me", admin.accessToken)).status).toBe(200);
    expect(second.errors()).toEqual([]);
    service = second;
  }, 60_000);
});

describe("the end", () => {
  it("by kill -9 loses nothing: the next start takes over the database that was left", async () => {
    const zoe = await registerPerson(service.http, "zoe.k");
    await service.kill();
    expect(postgresOn(dataDir)).not.toEqual([]);
    service = await timedStart("start after kill -9");
    expect((await logIn(service.http, "zoe.k")).id).toBe(zoe.id);
    expect((await service.http.get("/api/users/me", zoe.accessToken)).status).toBe(200);
  }, 60_000);

  it("by SIGTERM leaves nothing running, and the next start is a warm one", async () => {
    expect(await service.stop()).toEqual({ code: 0, signal: null });
    await until(() => postgresOn(dataDir).length === 0, { withinMs: 1_000, what: "PostgreSQL to be gone" });
    expect(service.errors()).toEqual([]);

    service = await timedStart("warm start");
    expect(service.program.output).not.toMatch(/password|migrations applied/);
    expect((await logIn(service.http, "johnny", "securepass")).username).toBe("johnny");
    expect(await service.stop("SIGINT")).toEqual({ code: 0, signal: null });
    expect(postgresOn(dataDir)).toEqual([]);
  }, 60_000);
});
