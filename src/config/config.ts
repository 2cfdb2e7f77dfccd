/** Environment → one typed `Config`. The only room that reads `process.env`. Every problem is told at once. */

import { z } from "zod";
import { Secret } from "#src/kernel/secret";

/** What a process needs to know before it starts. Times carry their unit in the name. */
export interface Config {
  readonly production: boolean;
  readonly port: number;
  /** Tried in turn when `port` is taken: on one machine and with PORT unset only, so that a second `npm start` serves beside the first. */
  readonly otherPorts: readonly number[];
  readonly bindAddress: string;
  /** Links are built from this, never from `Host`. No slash at the end. */
  readonly publicUrl: string;
  /** The `iss` of access tokens: PUBLIC_URL, or one that processes on several ports of one machine share. */
  readonly issuer: string;
  /** Exact origins; `localhost-any-port` stands for any http://localhost or 127.0.0.1 origin (standalone only). */
  readonly corsOrigins: readonly string[];
  readonly trustedProxyHops: number;
  readonly dataDir: string;
  readonly databaseUrl: Secret<string> | undefined;
  readonly databaseDirectUrl: Secret<string> | undefined;
  readonly databaseMaxConnections: number;
  readonly redisUrl: Secret<string> | undefined;
  readonly sidecar: "local";
  readonly registration: "open";
  readonly bootstrapAdmin: { readonly username: string; readonly email: string; readonly password: Secret<string> } | undefined;
  readonly refreshReuseGraceSeconds: number;
  readonly bcryptCost: number;
  readonly rateLimits: boolean;
  /** Our own audience first, then one a neighbour. */
  readonly audiences: readonly string[];
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** One variable that is not as it must be. */
export interface ConfigProblem {
  readonly variable: string;
  readonly message: string;
}

/** Thrown with every problem in one list, so that an operator fixes them in one go. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(`The configuration is not right:\n${problems.map((one) => `  ${one.variable}: ${one.message}`).join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

const port = z.coerce.number({ error: "a port number, 0 to 65535" }).int().min(0).max(65535).optional();
const DEFAULT_PORT = 3002;
const OTHER_PORTS = [3012, 3022, 3032, 3042, 3052];

const whole = (fallback: number, least: number, most: number): z.ZodType<number> =>
  z.coerce
    .number({ error: `a whole number from ${least} to ${most}` })
    .int(`a whole number from ${least} to ${most}`)
    .min(least, `at least ${least}`)
    .max(most, `at most ${most}`)
    .default(fallback);

const list = z.string().transform((text) =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== ""),
);

const databaseUrl = z
  .string()
  .regex(/^postgres(ql)?:\/\/.+/, "a URL like postgres://user:password@host:5432/videa_mozi_users")
  .optional();

const schema = z.object({
  NODE_ENV: z.string().optional().describe("`production` refuses what is for development only"),
  PORT: port.describe("Public listener: REST, GraphQL, Socket.IO; 3002"),
  BIND_ADDRESS: z
    .union([z.ipv4(), z.ipv6()], { error: "an IP address to listen on, e.g. 127.0.0.1 or 0.0.0.0" })
    .optional()
    .describe("Address to listen on; 127.0.0.1 for npm start, 0.0.0.0 else"),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: "the http(s) URL under which clients reach this service" })
    .optional()
    .describe("Links and the issuer of tokens are built from it, never from Host; http://localhost:PORT"),
  CORS_ORIGINS: list.optional().describe("Exact origins, separated by commas; none (npm start: any port of localhost)"),
  TRUSTED_PROXY_HOPS: whole(0, 0, 16).describe("The client's address is that many entries from the right of X-Forwarded-For"),
  DATA_DIR: z.string().min(1, "a folder").default(".data").describe("Secrets, and the embedded PostgreSQL"),
  DATABASE_URL: databaseUrl.describe("PostgreSQL 15 or later, a pooler may be in between; npm start brings its own"),
  DATABASE_DIRECT_URL: databaseUrl.describe("The same database past a pooler, for migrations and LISTEN; as DATABASE_URL"),
  DATABASE_MAX_CONNECTIONS: whole(10, 1, 500).describe("Connections of the pool, of each process"),
  REDIS_URL: z
    .string()
    .regex(/^rediss?:\/\/.+/, "a URL like redis://host:6379")
    .optional()
    .describe("Carries pushes between processes; not needed for one"),
  SIDECAR: z
    .enum(["local"], { error: "local" })
    .optional()
    .describe("`local`: events, state and secrets in this process; not in production"),
  REGISTRATION: z.enum(["open"], { error: "open" }).default("open").describe("`open`: tokens at once, 409 for a taken name or address"),
  BOOTSTRAP_ADMIN_USERNAME: z.string().optional().describe("First admin, made by migrate or npm start while there is none"),
  BOOTSTRAP_ADMIN_EMAIL: z.email("an e-mail address").optional().describe("Its address"),
  BOOTSTRAP_ADMIN_PASSWORD: z
    .string()
    .min(8, "at least 8 characters")
    .max(128, "at most 128 characters")
    .optional()
    .describe("Its password; without the three npm start makes `admin` with a password it prints once"),
  REFRESH_REUSE_GRACE_SECONDS: whole(30, 0, 600).describe("How long a used refresh token still gives its successor"),
  BCRYPT_COST: whole(12, 4, 16).describe("2 to the power of it are the rounds of a password hash"),
  RATE_LIMITS: z
    .enum(["on", "off"], { error: "on or off" })
    .default("on")
    .describe("`off` for tests and measurements; refused in production"),
  AUDIENCES: list.default(["user-service"]).describe("Of access tokens: this service's own first, then one a neighbour"),
  LOG_LEVEL: z
    .enum(["debug", "info", "warn", "error"], { error: "debug, info, warn or error" })
    .default("info")
    .describe("Least level that is written"),
});

/** Every variable with what it means and its default: the text of `.env.example`. */
export function envExample(): string {
  const lines = Object.entries(schema.shape).flatMap(([name, field]) => {
    const byDefault = field.safeParse(undefined).data;
    const shown = Array.isArray(byDefault) ? byDefault.join(",") : String(byDefault ?? "");
    return [`# ${field.description ?? ""}`, `# ${name}=${shown}`, ""];
  });
  return ["# Copy to .env of your own tooling; an empty value counts as unset.", "", ...lines].join("\n");
}

/** Where the process runs decides some defaults: `standalone` is one machine, `service` is a container. */
export type Setting = "standalone" | "service";

/**
 * Reads and checks every variable.
 * @param env usually `process.env`; an empty value counts as unset
 * @throws ConfigError with all problems
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>, setting: Setting): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ""));
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map((issue) => ({ variable: String(issue.path[0]), message: `must be: ${issue.message}` })));
  }
  const problems = crossChecks(parsed.data, setting);
  if (problems.length > 0) throw new ConfigError(problems);
  return assemble(parsed.data, setting);
}

type Parsed = z.infer<typeof schema>;

function crossChecks(env: Parsed, setting: Setting): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const production = env.NODE_ENV === "production";
  if (production && env.RATE_LIMITS === "off") problems.push({ variable: "RATE_LIMITS", message: "must be on under NODE_ENV=production" });
  if (production)
    problems.push({ variable: "SIDECAR", message: "the in-process sidecar is not for NODE_ENV=production, and no other is built yet" });
  if (setting === "service" && env.DATABASE_URL === undefined) {
    problems.push({ variable: "DATABASE_URL", message: "must be set: a URL like postgres://user:password@host:5432/videa_mozi_users" });
  }
  const admin = [env.BOOTSTRAP_ADMIN_USERNAME, env.BOOTSTRAP_ADMIN_EMAIL, env.BOOTSTRAP_ADMIN_PASSWORD];
  if (admin.some((part) => part !== undefined) && admin.includes(undefined)) {
    problems.push({ variable: "BOOTSTRAP_ADMIN_*", message: "needs USERNAME, EMAIL and PASSWORD together, or none of them" });
  }
  for (const origin of env.CORS_ORIGINS ?? []) {
    if (!isOrigin(origin))
      problems.push({
        variable: "CORS_ORIGINS",
        message: `each must be an exact origin like https://app.example.com; ${JSON.stringify(origin)} is not`,
      });
  }
  if (env.AUDIENCES.length === 0) problems.push({ variable: "AUDIENCES", message: "must name at least this service's own audience" });
  return problems;
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}

function assemble(env: Parsed, setting: Setting): Config {
  const standalone = setting === "standalone";
  const port = env.PORT ?? DEFAULT_PORT;
  return {
    production: env.NODE_ENV === "production",
    port,
    otherPorts: standalone && env.PORT === undefined ? OTHER_PORTS : [],
    bindAddress: env.BIND_ADDRESS ?? (standalone ? "127.0.0.1" : "0.0.0.0"),
    publicUrl: withoutSlash(env.PUBLIC_URL ?? `http://localhost:${port}`),
    issuer: withoutSlash(env.PUBLIC_URL ?? `http://localhost:${DEFAULT_PORT}`),
    corsOrigins: env.CORS_ORIGINS ?? (standalone ? ["localhost-any-port"] : []),
    trustedProxyHops: env.TRUSTED_PROXY_HOPS,
    dataDir: env.DATA_DIR,
    databaseUrl: secret(env.DATABASE_URL),
    databaseDirectUrl: secret(env.DATABASE_DIRECT_URL ?? env.DATABASE_URL),
    databaseMaxConnections: env.DATABASE_MAX_CONNECTIONS,
    redisUrl: secret(env.REDIS_URL),
    sidecar: "local",
    registration: "open",
    bootstrapAdmin: bootstrapAdmin(env),
    refreshReuseGraceSeconds: env.REFRESH_REUSE_GRACE_SECONDS,
    bcryptCost: env.BCRYPT_COST,
    rateLimits: env.RATE_LIMITS === "on",
    audiences: env.AUDIENCES,
    logLevel: env.LOG_LEVEL,
  };
}

function bootstrapAdmin(env: Parsed): Config["bootstrapAdmin"] {
  const { BOOTSTRAP_ADMIN_USERNAME: username, BOOTSTRAP_ADMIN_EMAIL: email, BOOTSTRAP_ADMIN_PASSWORD: password } = env;
  if (username === undefined || email === undefined || password === undefined) return undefined;
  return { username, email, password: new Secret(password) };
}

function secret(text: string | undefined): Secret<string> | undefined {
  return text === undefined ? undefined : new Secret(text);
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, "");
}
