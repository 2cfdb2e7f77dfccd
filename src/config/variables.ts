/** Every variable: what it may be, what it means, and what it is when it is not set. */

import { z } from "zod";
import { mailFrom, smtpUrl } from "./mail-variables.ts";
import { oidcProviders } from "./oidc-variables.ts";

/** OTEL_TRACES_SAMPLER, as the specification names them; the parent based ones keep a caller's decision. */
export const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;

const port = z.coerce.number({ error: "a port number, 0 to 65535" }).int().min(0).max(65535).optional();

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

/** A password that is not percent-encoded cuts a URL elsewhere, and what is left of it is taken for a host. No message repeats it. */
const ENCODED = "; special characters of user and password percent-encoded, `#` as %23, `/` as %2F, `@` as %40";

function isSoundUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { username, password, pathname, hash } = new URL(text);
  try {
    decodeURIComponent(username + password);
  } catch {
    return false;
  }
  return hash === "" && !pathname.includes("@");
}

function isBare({ username, password, search, hash }: URL): boolean {
  return username + password + search + hash === "";
}

const databaseUrl = z
  .string()
  .refine(
    (text) => /^postgres(ql)?:\/\/.+/.test(text) && isSoundUrl(text),
    `a URL like postgres://user:password@host:5432/videa_mozi_users${ENCODED}`,
  )
  .optional();

/** The environment, parsed. */
export const variables = z.object({
  NODE_ENV: z.string().optional().describe("`production` refuses what is for development only"),
  PORT: port.describe("Public listener: REST, GraphQL, Socket.IO; 3002"),
  BIND_ADDRESS: z
    .union([z.ipv4(), z.ipv6()], { error: "an IP address to listen on, e.g. 127.0.0.1 or 0.0.0.0" })
    .optional()
    .describe("Address to listen on; 127.0.0.1 for npm start, 0.0.0.0 else"),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: "the http(s) URL under which clients reach this service" })
    .refine((text) => !URL.canParse(text) || isBare(new URL(text)), "a URL without user, `?` and `#`: links are made by adding to it")
    .optional()
    .describe(
      "Links and the issuer of tokens are built from it, never from Host; needed in production, else http://localhost:PORT, and http://localhost:3002 as issuer",
    ),
  CORS_ORIGINS: list.optional().describe("Exact origins, separated by commas; none (npm start: any port of localhost)"),
  AVATAR_HOSTS: list
    .optional()
    .describe("Hosts that pictures of people may be at, separated by commas, e.g. media.example.com; none: any. We never fetch them"),
  TRUSTED_PROXY_HOPS: whole(0, 0, 16).describe("The client's address is that many entries from the right of X-Forwarded-For"),
  DATA_DIR: z.string().min(1, "a folder").default(".data").describe("Secrets, and the embedded PostgreSQL"),
  KEYS_REREAD_SECONDS: whole(60, 1, 120).describe("How often a process looks whether its signing keys were changed in the secret store"),
  KEYS_ROTATE_DAYS: whole(30, 0, 3_650).describe("npm start: age at which the key of access tokens is replaced; 0 is never"),
  DATABASE_URL: databaseUrl.describe("PostgreSQL 15 or later, a pooler may be in between; npm start brings its own"),
  DATABASE_DIRECT_URL: databaseUrl.describe("The same database past a pooler, for migrations and LISTEN; as DATABASE_URL"),
  DATABASE_MAX_CONNECTIONS: whole(10, 1, 500).describe("Connections of the pool, of each process"),
  REDIS_URL: z
    .string()
    .refine((text) => /^rediss?:\/\/.+/.test(text) && isSoundUrl(text), `a URL like redis://host:6379${ENCODED}`)
    .optional()
    .describe("Carries pushes between processes; not needed for one"),
  SIDECAR: z
    .enum(["dapr", "local"], { error: "dapr or local" })
    .optional()
    .describe(
      "`dapr`: events, state and secrets by daprd; `local`: in this process, never in production. Unset: dapr in production and where DAPR_HTTP_PORT is set",
    ),
  SIDECAR_PORT: port.describe("Listener for daprd, always on loopback; 3003"),
  DAPR_HTTP_PORT: port.describe("daprd's HTTP port on loopback; 3500"),
  DAPR_API_TOKEN: z.string().optional().describe("What daprd wants of us in `dapr-api-token`"),
  APP_API_TOKEN: z
    .string()
    .min(16, "at least 16 characters")
    .optional()
    .describe("What daprd sends us in `dapr-api-token`; without it the sidecar listener stays closed"),
  DAPR_PUBSUB: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, "a component's name")
    .optional()
    .describe("One pub/sub component for everything; unset: `pubsub` and one per subscribed topic"),
  DAPR_PROBE_TOPIC: z
    .string()
    .regex(/^[a-z][a-z0-9.-]*$|^$/, "a topic's name, or nothing")
    .default("users.probe.v1")
    .describe(
      "A topic without queues: publishing there shows that the broker confirmed what was published before (dapr/README.md). Empty: an answer of daprd is believed",
    ),
  MAIL_DRIVER: z
    .enum(["smtp", "mailbox"], { error: "smtp or mailbox" })
    .optional()
    .describe(
      "`smtp`: mail by SMTP_URL; `mailbox`: kept in a table and read at /mailbox, never in production. Unset: smtp in production and where SMTP_URL is set",
    ),
  SMTP_URL: smtpUrl
    .optional()
    .describe(
      "smtp://user:password@host:587 (STARTTLS, or nothing is sent) or smtps://user:password@host:465; user and password percent-encoded or left out. smtp://host:port?tls=off is plain text: with a password to this machine only. For worker and npm start",
    ),
  MAIL_FROM: mailFrom.optional().describe("Whom mail is from: no-reply@example.com or Name <no-reply@example.com>; needed with smtp"),
  REGISTRATION: z
    .enum(["open", "verified"], { error: "open or verified" })
    .default("open")
    .describe(
      "`open`: tokens at once, 409 for a taken name or address; `verified`: 202 for any address, the account is made by the mailed link",
    ),
  PUBLIC_PROFILES: z
    .enum(["on", "off"], { error: "on or off" })
    .default("off")
    .describe("`on`: profiles that are for everyone are shown without a token too. Whoever is blocked can then look while signed out"),
  EMAIL_SIGN_IN: z
    .enum(["on", "off"], { error: "on or off" })
    .default("off")
    .describe("`on`: a mailed code signs in, as well as the password; whoever reads somebody's mail can then sign in without a trace"),
  EMAIL_SIGN_IN_URL: z
    .url({ protocol: /^https?$/, error: "the http(s) URL of the application's page for it" })
    .optional()
    .describe("A link to it, with #token=…, is in that mail beside the code"),
  MFA_REQUIRED_ROLES: list
    .pipe(z.array(z.enum(["moderator", "admin"], { error: "moderator, admin, or both, separated by a comma" })))
    .default([])
    .describe("Roles that must have a second factor: admin,moderator. Who has none adds one at the next sign-in; none"),
  WEBAUTHN_RP_ID: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/, "a host name in lower case, e.g. example.com")
    .optional()
    .describe(
      "Site that passkeys are of: the host, or a parent domain of it, of the pages that use them. Changed, it makes every passkey useless; host of PUBLIC_URL",
    ),
  OIDC_PROVIDERS: oidcProviders.describe(
    'Others that people may sign in through, by OpenID Connect: [{"id":"example","issuer":"https://id.example.com","clientId":"…","displayName":"Example","redirectUris":["https://app.example.com/signed-in/example"],"newAccounts":true}], also `scopes` and `clientAuth` (basic, post or none). Client secrets by id, as JSON, are the secret `oidc-client-secrets` (SECRET_OIDC_CLIENT_SECRETS); none',
  ),
  BOOTSTRAP_ADMIN_USERNAME: z.string().optional().describe("First admin, made by migrate or npm start while there is none"),
  BOOTSTRAP_ADMIN_EMAIL: z.email("an e-mail address").optional().describe("Its address"),
  BOOTSTRAP_ADMIN_PASSWORD: z
    .string()
    .min(8, "at least 8 characters")
    .max(128, "at most 128 characters")
    .optional()
    .describe("Its password; without the three npm start makes `admin` with a password it prints once"),
  REFRESH_REUSE_GRACE_SECONDS: whole(30, 0, 600).describe("How long a used refresh token still gives its successor"),
  SESSION_IDLE_DAYS: whole(30, 1, 3650).describe("A session that is not refreshed for so long is over"),
  SESSION_ABSOLUTE_DAYS: whole(180, 1, 400).describe(
    "A session is over so long after it began, whatever happens; for those that begin from then on",
  ),
  SESSIONS_PER_USER: whole(0, 0, 1000).describe("One more ends the least recently seen one; 0 for no cap"),
  TRUSTED_DEVICE_DAYS: whole(30, 0, 180).describe(
    "How long the second factor is not asked for on a device that its owner trusts; 0: it is always asked for. Never for MFA_REQUIRED_ROLES",
  ),
  BCRYPT_COST: whole(12, 4, 16).describe("2 to the power of it are the rounds of a password hash"),
  BREACHED_PASSWORDS_URL: z
    .url({ protocol: /^https?$/, error: "the http(s) base URL of a range API, e.g. https://host/range" })
    .refine((url) => !/[?#]/.test(url), "the http(s) base URL of a range API, without ? and #")
    .optional()
    .describe(
      "Range API that new passwords are looked up in by the first 5 digits of their SHA-1, e.g. https://host/range; unset: none is asked. When it does not answer, passwords are accepted",
    ),
  RATE_LIMITS: z
    .enum(["on", "off"], { error: "on or off" })
    .default("on")
    .describe("`off` for tests and measurements; refused in production"),
  GRAPHQL_INTROSPECTION: z
    .enum(["on", "off"], { error: "on or off" })
    .optional()
    .describe(
      "`on`: GraphQL shows its schema, by introspection, to gateways (`_service`) and in hints at misspelt names. Unset: off in production, on else",
    ),
  GRAPHQL_DOCUMENTS: z
    .string()
    .optional()
    .describe(
      'A JSON file of documents by their SHA-256, {"<hash>": "<document>"}, which clients may name by the hash alone. In production nothing else is run then; unset: any document is',
    ),
  AUDIENCES: list.default(["user-service"]).describe("Of access tokens: this service's own first, then one a neighbour"),
  CLUSTER_NAME: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/, "a DNS-like name, at most 63 characters")
    .default("default")
    .describe("Controller: begins the names under which this cluster's UserBans are known; each cluster its own"),
  POD_NAMESPACE: z
    .string()
    .optional()
    .describe("Apps of other namespaces may not call /internal; the controller's Lease lives here (default)"),
  POD_NAME: z.string().optional().describe("Controller: its name in the Lease; the host's name and the process id when unset"),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ protocol: /^https?$/, error: "the http(s) base URL of an OTLP collector" })
    .optional()
    .describe("Traces go to it; without it nothing of OpenTelemetry is loaded"),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z
    .url({ protocol: /^https?$/, error: "the http(s) URL that takes OTLP traces" })
    .optional()
    .describe("The whole URL for traces, instead of the base"),
  OTEL_EXPORTER_OTLP_HEADERS: z.string().optional().describe("Headers for the collector: name=value,name=value"),
  OTEL_SERVICE_NAME: z.string().optional().describe("user-service and the process' name when unset"),
  OTEL_TRACES_SAMPLER: z
    .enum(SAMPLERS, { error: `one of ${SAMPLERS.join(", ")}` })
    .default("parentbased_traceidratio")
    .describe("Which traces are kept; parentbased_… keep a caller's decision"),
  OTEL_BSP_SCHEDULE_DELAY: whole(5_000, 1, 600_000).describe("How long a finished span waits for others, in ms"),
  OTEL_EXPORTER_OTLP_TIMEOUT: whole(10_000, 1, 600_000).describe("What a collector may take for one export, in ms"),
  OTEL_TRACES_SAMPLER_ARG: z.coerce
    .number({ error: "a number from 0 to 1" })
    .min(0, "at least 0")
    .max(1, "at most 1")
    .default(1)
    .describe("Share of traces begun here that are sampled; a caller's decision is kept"),
  LOG_LEVEL: z
    .enum(["debug", "info", "warn", "error"], { error: "debug, info, warn or error" })
    .default("info")
    .describe("Least level that is written"),
});

/** Every variable with what it means and its default: the text of `.env.example`. */
export function envExample(): string {
  const lines = Object.entries(variables.shape).flatMap(([name, field]) => {
    const byDefault = field.safeParse(undefined).data;
    // What is parsed into parts has no default.
    const shown = Array.isArray(byDefault) ? byDefault.join(",") : typeof byDefault === "object" ? "" : String(byDefault ?? "");
    return [`# ${field.description ?? ""}`, `# ${name}=${shown}`, ""];
  });
  return ["# Copy to .env of your own tooling; an empty value counts as unset.", "", ...lines].join("\n");
}

/** What was given, with defaults. */
export type Variables = z.infer<typeof variables>;
