import { describe, expect, it } from "@jest/globals";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
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
      bcryptCost: 12,
      rateLimits: true,
      refreshReuseGraceSeconds: 30,
    });
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
    const production = { NODE_ENV: "production", DATABASE_URL: "postgres://x/y" };
    expect(problemsOf(production, "worker")).toEqual({});
    expect(problemsOf(production, "migrate")).toEqual({});
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
