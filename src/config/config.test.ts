import { describe, expect, it } from "@jest/globals";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { ConfigError, readConfig } from "./config.ts";
import type { Setting } from "./cross-checks.ts";
import { envExample } from "./variables.ts";

function problemsOf(env: Record<string, string>, setting: Setting = "standalone"): Record<string, string> {
  try {
    readConfig(env, setting);
    return {};
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return Object.fromEntries(error.problems.map((problem) => [problem.variable, problem.message]));
  }
}

describe("configuration", () => {
  it("needs nothing on one machine", () => {
    expect(readConfig({}, "standalone")).toMatchObject({
      port: 3002,
      bindAddress: "127.0.0.1",
      publicUrl: "http://localhost:3002",
      corsOrigins: ["localhost-any-port"],
      webauthn: { rpId: "localhost", origins: ["http://localhost:3002", "localhost-any-port"] },
      bcryptCost: 12,
      rateLimits: true,
      refreshReuseGraceSeconds: 30,
      sessionLimits: { idleDays: 30, absoluteDays: 180, perUser: 0 },
    });
  });

  it("shows the schema of GraphQL everywhere but in production, unless told", () => {
    const shown = (env: Record<string, string>): boolean => readConfig(env, "controller").graphql.introspection;
    const production = { NODE_ENV: "production" };
    expect([shown({}), shown(production)]).toEqual([true, false]);
    expect([shown({ GRAPHQL_INTROSPECTION: "off" }), shown({ ...production, GRAPHQL_INTROSPECTION: "on" })]).toEqual([false, true]);
    expect(problemsOf({ GRAPHQL_INTROSPECTION: "yes" })).toHaveProperty("GRAPHQL_INTROSPECTION");
    expect(readConfig({ GRAPHQL_DOCUMENTS: "documents.json" }, "controller").graphql.documents).toBe("documents.json");
  });

  it("takes how long sessions last and how many there may be", () => {
    const given = { SESSION_IDLE_DAYS: "7", SESSION_ABSOLUTE_DAYS: "90", SESSIONS_PER_USER: "5" };
    expect(readConfig(given, "standalone").sessionLimits).toEqual({ idleDays: 7, absoluteDays: 90, perUser: 5 });
    expect(Object.keys(problemsOf({ SESSION_IDLE_DAYS: "0", SESSION_ABSOLUTE_DAYS: "1.5", SESSIONS_PER_USER: "-1" })).sort()).toEqual([
      "SESSIONS_PER_USER",
      "SESSION_ABSOLUTE_DAYS",
      "SESSION_IDLE_DAYS",
    ]);
  });

  it("takes which site passkeys are of, where its pages can be of it", () => {
    const given = { PUBLIC_URL: "https://id.example.com/", CORS_ORIGINS: "https://app.example.com,https://id.example.com" };
    const origins = ["https://id.example.com", "https://app.example.com"];
    expect(readConfig(given, "standalone").webauthn).toEqual({ rpId: "id.example.com", origins });
    expect(readConfig({ ...given, WEBAUTHN_RP_ID: "example.com" }, "standalone").webauthn).toEqual({ rpId: "example.com", origins });
    for (const WEBAUTHN_RP_ID of ["example.org", "ample.com", "https://example.com", "Example.com"]) {
      expect(problemsOf({ ...given, WEBAUTHN_RP_ID })).toHaveProperty("WEBAUTHN_RP_ID");
    }
  });

  it("takes providers to sign in through, and tells in one line what is wrong about them", () => {
    const example = {
      id: "example",
      issuer: "https://id.example.com",
      clientId: "us",
      displayName: "Example",
      redirectUris: ["https://app.example.com/signed-in"],
    };
    const taken = (...providers: object[]): unknown =>
      readConfig({ OIDC_PROVIDERS: JSON.stringify(providers) }, "standalone").oidcProviders;
    expect(taken(example)).toEqual([{ ...example, scopes: ["openid", "email", "profile"], newAccounts: false, clientAuth: "basic" }]);
    const wrong = (...providers: object[]): string | undefined =>
      problemsOf({ OIDC_PROVIDERS: JSON.stringify(providers) })["OIDC_PROVIDERS"];
    for (const issuer of ["http://127.0.0.1:4000", "http://localhost:4000", "https://login.example.com/tenant/v2.0"])
      expect(wrong({ ...example, issuer })).toBeUndefined();
    for (const redirectUri of ["http://localhost:5173/in", "com.example.app:/signed-in"])
      expect(wrong({ ...example, redirectUris: [redirectUri] })).toBeUndefined();
    for (const issuer of [
      "http://id.example.com",
      "id.example.com",
      "https://u:p@id.example.com",
      "https://id.example.com?x",
      "http://127.0.0.1.example.com",
    ])
      expect(wrong({ ...example, issuer })).toContain("0.issuer");
    for (const redirectUri of [
      "javascript:alert(1)",
      "data:text/html",
      "https://app.example.com",
      "https://app.example.com/a/../b",
      "https://a.example.com/?x",
      "http://app.example.com/",
    ])
      expect(wrong({ ...example, redirectUris: [redirectUri] })).toContain("0.redirectUris.0");
    expect(wrong({ ...example, secret: "x" })).toContain("secret");
    expect(wrong({ ...example, id: "Example" })).toContain("0.id");
    expect(wrong({ ...example, scopes: ["email"] })).toContain("openid among them");
    expect(wrong(example, { ...example, redirectUris: ["https://app.example.com/b"] })).toContain("each id stands once");
    expect(wrong(example, { ...example, id: "another" })).toContain("share a redirect URI");
    expect(problemsOf({ OIDC_PROVIDERS: "[{" })["OIDC_PROVIDERS"]).toMatch(/^must be: a JSON list of providers[^\n]*$/);
  });

  it("tells every problem at once, by the variable's name and with what would be right", () => {
    const problems = problemsOf({
      PORT: "http",
      BCRYPT_COST: "3",
      RATE_LIMITS: "maybe",
      PUBLIC_URL: "example.com",
      DATABASE_URL: "mysql://x",
      TRUSTED_PROXY_HOPS: "-1",
    });

    expect(Object.keys(problems).sort()).toEqual([
      "BCRYPT_COST",
      "DATABASE_URL",
      "PORT",
      "PUBLIC_URL",
      "RATE_LIMITS",
      "TRUSTED_PROXY_HOPS",
    ]);
    expect(problems["BCRYPT_COST"]).toContain("at least 4");
    expect(problems["DATABASE_URL"]).toContain("postgres://");
  });

  it.each([
    "postgres://svc:p@ss:w/rd#?%@127.0.0.1:5432/users",
    "postgres://svc:p%ZZd@127.0.0.1/users",
    "postgres://svc:pass#word@127.0.0.1/users",
    "postgres://svc:p@ss/word@127.0.0.1/users",
  ])("refuses the URL of a server whose password was not encoded, without repeating it: %s", (url) => {
    const problems = problemsOf({ DATABASE_URL: url, DATABASE_DIRECT_URL: url, REDIS_URL: url.replace("postgres:", "redis:") });
    expect(Object.keys(problems).sort()).toEqual(["DATABASE_DIRECT_URL", "DATABASE_URL", "REDIS_URL"]);
    for (const message of Object.values(problems)) {
      expect(message).toContain("percent-encoded");
      expect(message).not.toContain("svc");
    }
  });

  it.each(["https://u:p@a.example", "https://a.example/?x=1", "https://a.example/#f"])("refuses %s to make links from", (url) => {
    expect(problemsOf({ PUBLIC_URL: url })).toHaveProperty("PUBLIC_URL");
  });

  it.each(["postgres:///users?host=/var/run/postgresql", "postgres://svc:p%40ss%2Fw%23rd@[::1]:5432/users?sslmode=require"])(
    "takes %s",
    (url) => {
      expect(problemsOf({ DATABASE_URL: url })).toEqual({});
    },
  );

  it("refuses what is unsafe together", () => {
    expect(problemsOf({ NODE_ENV: "production", RATE_LIMITS: "off" })).toMatchObject({
      RATE_LIMITS: "must be on under NODE_ENV=production",
    });
    expect(problemsOf({ BOOTSTRAP_ADMIN_USERNAME: "root" })).toHaveProperty("BOOTSTRAP_ADMIN_*");
    expect(problemsOf({ CORS_ORIGINS: "https://app.example.com,*" })).toHaveProperty("CORS_ORIGINS");
    expect(problemsOf({}, "api")).toHaveProperty("DATABASE_URL");
    expect(problemsOf({ NODE_ENV: "production", SIDECAR: "local" }, "worker")).toHaveProperty("SIDECAR");
    expect(problemsOf({ NODE_ENV: "production", DATABASE_URL: "postgres://x/y" }, "api")).toHaveProperty("APP_API_TOKEN");
  });

  it("takes daprd where it is run beside one, and in production", () => {
    expect(readConfig({}, "standalone").sidecar).toBe("local");
    expect(readConfig({ DAPR_HTTP_PORT: "3500" }, "controller")).toMatchObject({ sidecar: "dapr", dapr: { httpPort: 3500 } });
    expect(readConfig({ NODE_ENV: "production" }, "controller").sidecar).toBe("dapr");
  });

  it("asks a process only for what it uses", () => {
    const production = { NODE_ENV: "production", DATABASE_URL: "postgres://x/y", PUBLIC_URL: "https://id.example.com" };
    expect(Object.keys(problemsOf({ ...production, PUBLIC_URL: "" }, "api"))).toEqual(["PUBLIC_URL", "APP_API_TOKEN"]);
    expect(Object.keys(problemsOf(production, "worker"))).toEqual(["SMTP_URL", "MAIL_FROM"]);
    expect(problemsOf({ ...production, APP_API_TOKEN: "sixteen letters!" }, "api")).toEqual({});
    expect(problemsOf({ ...production, PUBLIC_URL: "" }, "migrate")).toEqual({});
    expect(problemsOf({ NODE_ENV: "production" }, "controller")).toEqual({});
  });

  it("takes an empty value for an unset one", () => {
    expect(readConfig({ PORT: "", REDIS_URL: " " }, "standalone")).toMatchObject({ port: 3002, redisUrl: undefined });
  });

  it("is told whole by .env.example", async () => {
    expect(await readFile(join(import.meta.dirname, "..", "..", ".env.example"), "utf8")).toBe(envExample());
  });

  it("shows no secret", () => {
    const config = readConfig({ DATABASE_URL: "postgres://user:hunter2@db/x" }, "standalone");

    expect(JSON.stringify(config)).not.toContain("hunter2");
  });
});

describe("mail, as configured", () => {
  const smtp = { SMTP_URL: "smtp://app:pass@mail.example.com", MAIL_FROM: "no-reply@example.com" };
  const production = { NODE_ENV: "production", SIDECAR: "dapr", DATABASE_URL: "postgres://x/y", PUBLIC_URL: "https://id.example.com" };

  it("stays in the mailbox on one machine that was told of no server", () => {
    expect(readConfig({}, "standalone").smtp).toBeUndefined();
    expect(readConfig({ ...smtp, MAIL_DRIVER: "mailbox" }, "standalone").smtp).toBeUndefined();
    expect(readConfig({ DATABASE_URL: "postgres://x/y" }, "worker").smtp).toBeUndefined();
  });

  it.each([
    ["where SMTP_URL is set", smtp, "standalone"],
    ["where the driver is named", { ...smtp, MAIL_DRIVER: "smtp" }, "standalone"],
    ["in production", { ...production, ...smtp }, "worker"],
  ] as const)("goes to the server %s", (_where, env, setting) => {
    expect(readConfig(env, setting).smtp).toMatchObject({ host: "mail.example.com", from: { address: "no-reply@example.com" } });
  });

  it.each([
    ["SMTP_URL and MAIL_FROM in production", production, "worker", ["SMTP_URL", "MAIL_FROM"]],
    ["both with the driver smtp", { MAIL_DRIVER: "smtp" }, "standalone", ["SMTP_URL", "MAIL_FROM"]],
    ["MAIL_FROM with SMTP_URL", { SMTP_URL: smtp.SMTP_URL }, "standalone", ["MAIL_FROM"]],
    ["SMTP_URL with MAIL_FROM, in production", { ...production, MAIL_FROM: smtp.MAIL_FROM }, "worker", ["SMTP_URL"]],
    ["another driver in production", { ...production, ...smtp, MAIL_DRIVER: "mailbox" }, "worker", ["MAIL_DRIVER"]],
    ["all that is lacking at once", { ...production, MAIL_DRIVER: "mailbox" }, "worker", ["MAIL_DRIVER", "SMTP_URL", "MAIL_FROM"]],
    ["another driver in production, also of who sends none", { ...production, MAIL_DRIVER: "mailbox" }, "migrate", ["MAIL_DRIVER"]],
    ["nothing of who sends none", { ...production, MAIL_DRIVER: "smtp" }, "migrate", []],
    ["nothing of who sends none", { NODE_ENV: "production", MAIL_DRIVER: "smtp" }, "controller", []],
  ] as const)("wants %s", (_what, env, setting, variables) => {
    expect(Object.keys(problemsOf(env, setting))).toEqual(variables);
  });

  it.each([
    ["smtp://app:pass@mail.example.com", { host: "mail.example.com", port: 587, tls: "starttls" }, "app", "pass"],
    ["smtps://app:pass@mail.example.com/", { host: "mail.example.com", port: 465, tls: "implicit" }, "app", "pass"],
    ["smtps://app:pass@mail.example.com:587", { port: 587, tls: "implicit" }, "app", "pass"],
    ["smtp://a%40b:p%3A%2F%23%25%C3%BC@Mail.Example.com:2525", { host: "mail.example.com", port: 2525 }, "a@b", "p:/#%ü"],
    ["smtp://app:pass@localhost:1025?tls=off", { host: "localhost", port: 1025, tls: "off" }, "app", "pass"],
    ["smtp://app:pass@[::1]:1025?tls=off", { host: "::1", tls: "off" }, "app", "pass"],
    ["smtp://app:pass@127.0.0.1?tls=off", { host: "127.0.0.1", tls: "off" }, "app", "pass"],
    ["smtp://mail:1025?tls=off", { host: "mail", port: 1025, tls: "off", login: undefined }, undefined, undefined],
    ["smtp://relay.example.com", { tls: "starttls", login: undefined }, undefined, undefined],
  ])("reads %s", (SMTP_URL, server, user, password) => {
    const read = readConfig({ ...smtp, SMTP_URL }, "standalone").smtp;
    expect(read).toMatchObject(server);
    expect([read?.login?.user, read?.login?.password.reveal()]).toEqual([user, password]);
  });

  it.each([
    ["http://mail.example.com", "a URL like smtp://"],
    ["mail.example.com:587", "a URL like smtp://"],
    ["smtp://", "a URL like smtp://"],
    ["smtp://app:hunter2@mail.example.com:99999", "a URL like smtp://"],
    ["smtp://app:hunter2@mail.example.com:0", "a URL with a port"],
    ["smtp://app:hunter2@mail.example.com?tls=of", "without options but ?tls=off"],
    ["smtp://app:hunter2@mail.example.com?pool=true", "without options but ?tls=off"],
    ["smtps://localhost?tls=off", "smtps:// is TLS"],
    ["smtp://app:hunter2@mail.example.com?tls=off", "without user and password where it says ?tls=off"],
    ["smtp://app:hunter2@localhost.example.com?tls=off", "without user and password where it says ?tls=off"],
    ["smtp://app:hunter2@127.0.0.1.example.com?tls=off", "without user and password where it says ?tls=off"],
    ["smtp://app@mail.example.com", "both user and password"],
    ["smtp://:hunter2@mail.example.com", "both user and password"],
    ["smtp://app:hunter2%@mail.example.com", "percent-encoded"],
    ["smtp://app%0d%0a:hunter2@mail.example.com", "percent-encoded"],
    ["smtp://app:hunter2#@mail.example.com", "a URL like smtp://"],
    ["smtp://app:hunter2@mail.example.com/inbox", "ends with host and port"],
  ])("says what is wrong about %s, without the password", (SMTP_URL, message) => {
    const problems = problemsOf({ ...smtp, SMTP_URL });
    expect(problems["SMTP_URL"]).toContain(message);
    expect(problems["SMTP_URL"]).not.toContain("hunter2");
  });

  it.each([
    ["no-reply@example.com", { name: undefined, address: "no-reply@example.com" }],
    ["Us <no-reply@example.com>", { name: "Us", address: "no-reply@example.com" }],
    [' "Us, and others" <no-reply@example.com> ', { name: "Us, and others", address: "no-reply@example.com" }],
    ["<no-reply@example.com>", { name: undefined, address: "no-reply@example.com" }],
    ["Üs <no-reply@example.com>", { name: "Üs", address: "no-reply@example.com" }],
  ])("is from %s", (MAIL_FROM, from) => {
    expect(readConfig({ ...smtp, MAIL_FROM }, "standalone").smtp?.from).toEqual(from);
  });

  it.each([
    "us",
    "us@",
    "a@example.com, b@example.com",
    "Us <a@example.com",
    "Us <us>",
    "U\r\ns <a@example.com>",
    "a@example.com\r\nBcc: b@c.de",
  ])("is not from %j", (MAIL_FROM) => {
    expect(problemsOf({ ...smtp, MAIL_FROM })).toEqual({
      MAIL_FROM: "must be: an address like no-reply@example.com or Name <no-reply@example.com>",
    });
  });

  it("shows no password", () => {
    const config = readConfig({ ...smtp, SMTP_URL: "smtp://app:hunter2@mail.example.com" }, "standalone");
    expect(JSON.stringify(config)).not.toContain("hunter2");
    expect(inspect(config, { depth: 9 })).not.toContain("hunter2");
  });

  it("is named with its flaw beside all others", () => {
    expect(Object.keys(problemsOf({ PORT: "http", MAIL_DRIVER: "post", SMTP_URL: "x", MAIL_FROM: "x" })).sort()).toEqual([
      "MAIL_DRIVER",
      "MAIL_FROM",
      "PORT",
      "SMTP_URL",
    ]);
  });
});
