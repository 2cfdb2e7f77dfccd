/** Environment → one typed `Config`. The only room that reads `process.env`. Every problem is told at once. */

import { hostname } from "node:os";
import type { Role } from "#src/kernel/actor";
import { Secret } from "#src/kernel/secret";
import { crossChecks, mailDriverOf, sidecarOf, type ConfigProblem, type Setting } from "./cross-checks.ts";
import type { OidcProviderConfig } from "./oidc-variables.ts";
import type { MailSender, SmtpServer } from "./mail-variables.ts";
import { variables, type SAMPLERS, type Variables } from "./variables.ts";

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
  readonly keysRereadSeconds: number;
  /** 0: never. */
  readonly keysRotateDays: number;
  readonly databaseUrl: Secret<string> | undefined;
  readonly databaseDirectUrl: Secret<string> | undefined;
  readonly databaseMaxConnections: number;
  readonly redisUrl: Secret<string> | undefined;
  readonly sidecar: "dapr" | "local";
  /** The listener that daprd reaches us at, on loopback. */
  readonly sidecarPort: number;
  readonly dapr: DaprConfig;
  /** Undefined where mail stays in the development mailbox, and in processes that send none. */
  readonly smtp: SmtpConfig | undefined;
  /** Undefined: any host. */
  readonly avatarHosts: readonly string[] | undefined;
  readonly registration: "open" | "verified";
  /** Whether people without an account see profiles that are for everyone. */
  readonly publicProfiles: boolean;
  /** Whether a mailed code signs in. */
  readonly emailSignIn: boolean;
  /** The page of the application that a mailed link for signing in opens; undefined: mails have the code only. */
  readonly emailSignInUrl: string | undefined;
  /** Accounts of these roles must have a second factor to sign in. */
  readonly mfaRequiredRoles: readonly Role[];
  readonly webauthn: WebAuthnConfig;
  /** Whom people may sign in through, besides here. */
  readonly oidcProviders: readonly OidcProviderConfig[];
  readonly bootstrapAdmin: { readonly username: string; readonly email: string; readonly password: Secret<string> } | undefined;
  readonly refreshReuseGraceSeconds: number;
  readonly sessionLimits: { readonly idleDays: number; readonly absoluteDays: number; readonly perUser: number };
  /** For how long a device can be trusted; 0 for never. */
  readonly trustedDeviceDays: number;
  readonly bcryptCost: number;
  /** Base URL of a range API, no slash at the end. Undefined where none is asked. */
  readonly breachedPasswordsUrl: string | undefined;
  readonly rateLimits: boolean;
  readonly graphql: GraphqlConfig;
  /** Our own audience first, then one a neighbour. */
  readonly audiences: readonly string[];
  /** Where worker and controller answer health and metrics; they do not listen when it is not given. */
  readonly healthPort: number | undefined;
  readonly kubernetes: KubernetesConfig;
  readonly tracing: TracingConfig | undefined;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

/** What of GraphQL is for whom. */
export interface GraphqlConfig {
  /** Whether the schema is shown to whoever asks. */
  readonly introspection: boolean;
  /** Path of the manifest of trusted documents; undefined where there is none. */
  readonly documents: string | undefined;
}

/** How to reach daprd, and how it proves itself to us. */
export interface DaprConfig {
  readonly httpPort: number;
  /** Sent to daprd with each call. */
  readonly apiToken: Secret<string> | undefined;
  /** What daprd sends to us; without it the sidecar listener is not opened. */
  readonly appToken: Secret<string> | undefined;
  /** One pub/sub component for everything; undefined: `pubsub` to publish, and one component for each subscribed topic. */
  readonly pubsub: string | undefined;
  /** A topic without queues, to learn by what the broker confirmed; empty: a 204 is believed. */
  readonly probeTopic: string;
  /** Where apps must be that may call us, as their sidecars prove; undefined: anywhere. */
  readonly callerNamespace: string | undefined;
}

/** Which site passkeys are of. */
export interface WebAuthnConfig {
  /** A host name: an authenticator answers for this one only. */
  readonly rpId: string;
  /** Pages that may ask for passkeys: exact origins, or `localhost-any-port` for any http://localhost. */
  readonly origins: readonly string[];
}

/** Where mail goes and whom it is from. */
export interface SmtpConfig extends SmtpServer {
  readonly from: MailSender;
}

/** What the controller is told about its place. */
export interface KubernetesConfig {
  /** Begins the external ids of this cluster's resources, so that two clusters do not share one. */
  readonly clusterName: string;
  /** Where the Lease lives. */
  readonly namespace: string;
  /** Tells holders of the Lease apart. */
  readonly podName: string;
}

/** Where spans go (OpenTelemetry specification, "OTLP exporter" and "SDK environment variables"). */
export interface TracingConfig {
  readonly tracesUrl: string;
  readonly headers: Secret<string> | undefined;
  readonly serviceName: string | undefined;
  readonly sampler: (typeof SAMPLERS)[number];
  /** Of the ratio samplers: share of new traces that are sampled, 0 to 1. */
  readonly sampledShare: number;
  readonly exportDelayMs: number;
  readonly exportTimeoutMs: number;
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

const DEFAULT_PORT = 3002;
const DEFAULT_SIDECAR_PORT = 3003;
const DEFAULT_DAPR_PORT = 3500;
const OTHER_PORTS = [3012, 3022, 3032, 3042, 3052];

/**
 * Reads and checks every variable.
 * @param env usually `process.env`; an empty value counts as unset
 * @throws ConfigError with all problems
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>, setting: Setting): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ""));
  const parsed = variables.safeParse(given);
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map((issue) => ({ variable: String(issue.path[0]), message: `must be: ${issue.message}` })));
  }
  const problems = crossChecks(parsed.data, setting);
  if (problems.length > 0) throw new ConfigError(problems);
  return assemble(parsed.data, setting);
}

function assemble(env: Variables, setting: Setting): Config {
  return {
    production: env.NODE_ENV === "production",
    ...addresses(env, setting),
    webauthn: webauthnConfig(env, addresses(env, setting)),
    dataDir: env.DATA_DIR,
    keysRereadSeconds: env.KEYS_REREAD_SECONDS,
    keysRotateDays: env.KEYS_ROTATE_DAYS,
    databaseUrl: secret(env.DATABASE_URL),
    databaseDirectUrl: secret(env.DATABASE_DIRECT_URL ?? env.DATABASE_URL),
    databaseMaxConnections: env.DATABASE_MAX_CONNECTIONS,
    redisUrl: secret(env.REDIS_URL),
    sidecar: sidecarOf(env),
    dapr: daprConfig(env),
    smtp: smtpConfig(env),
    avatarHosts: env.AVATAR_HOSTS,
    registration: env.REGISTRATION,
    publicProfiles: env.PUBLIC_PROFILES === "on",
    emailSignIn: env.EMAIL_SIGN_IN === "on",
    emailSignInUrl: env.EMAIL_SIGN_IN_URL,
    mfaRequiredRoles: env.MFA_REQUIRED_ROLES,
    oidcProviders: env.OIDC_PROVIDERS,
    bootstrapAdmin: bootstrapAdmin(env),
    refreshReuseGraceSeconds: env.REFRESH_REUSE_GRACE_SECONDS,
    sessionLimits: { idleDays: env.SESSION_IDLE_DAYS, absoluteDays: env.SESSION_ABSOLUTE_DAYS, perUser: env.SESSIONS_PER_USER },
    trustedDeviceDays: env.TRUSTED_DEVICE_DAYS,
    bcryptCost: env.BCRYPT_COST,
    breachedPasswordsUrl: env.BREACHED_PASSWORDS_URL === undefined ? undefined : withoutSlash(env.BREACHED_PASSWORDS_URL),
    rateLimits: env.RATE_LIMITS === "on",
    graphql: graphqlConfig(env),
    audiences: env.AUDIENCES,
    kubernetes: {
      clusterName: env.CLUSTER_NAME,
      namespace: env.POD_NAMESPACE ?? "default",
      podName: env.POD_NAME ?? `${hostname()}-${process.pid}`,
    },
    tracing: tracingConfig(env),
    logLevel: env.LOG_LEVEL,
  };
}

type Addresses = Pick<
  Config,
  "port" | "otherPorts" | "bindAddress" | "sidecarPort" | "healthPort" | "publicUrl" | "issuer" | "corsOrigins" | "trustedProxyHops"
>;

function addresses(env: Variables, setting: Setting): Addresses {
  const standalone = setting === "standalone";
  const port = env.PORT ?? DEFAULT_PORT;
  return {
    port,
    otherPorts: standalone && env.PORT === undefined ? OTHER_PORTS : [],
    bindAddress: env.BIND_ADDRESS ?? (standalone ? "127.0.0.1" : "0.0.0.0"),
    sidecarPort: env.SIDECAR_PORT ?? DEFAULT_SIDECAR_PORT,
    healthPort: env.PORT,
    publicUrl: withoutSlash(env.PUBLIC_URL ?? `http://localhost:${port}`),
    issuer: withoutSlash(env.PUBLIC_URL ?? `http://localhost:${DEFAULT_PORT}`),
    corsOrigins: env.CORS_ORIGINS ?? (standalone ? ["localhost-any-port"] : []),
    trustedProxyHops: env.TRUSTED_PROXY_HOPS,
  };
}

function webauthnConfig(env: Variables, { publicUrl, corsOrigins }: Addresses): WebAuthnConfig {
  const { hostname: host, origin } = new URL(publicUrl);
  return { rpId: env.WEBAUTHN_RP_ID ?? host, origins: [...new Set([origin, ...corsOrigins])] };
}

function graphqlConfig(env: Variables): GraphqlConfig {
  const byDefault = env.NODE_ENV === "production" ? "off" : "on";
  return { introspection: (env.GRAPHQL_INTROSPECTION ?? byDefault) === "on", documents: env.GRAPHQL_DOCUMENTS };
}

function daprConfig(env: Variables): DaprConfig {
  return {
    httpPort: env.DAPR_HTTP_PORT ?? DEFAULT_DAPR_PORT,
    apiToken: secret(env.DAPR_API_TOKEN),
    appToken: secret(env.APP_API_TOKEN),
    pubsub: env.DAPR_PUBSUB,
    probeTopic: env.DAPR_PROBE_TOPIC,
    callerNamespace: env.POD_NAMESPACE,
  };
}

function smtpConfig(env: Variables): SmtpConfig | undefined {
  if (mailDriverOf(env) !== "smtp" || env.SMTP_URL === undefined || env.MAIL_FROM === undefined) return undefined;
  return { ...env.SMTP_URL, from: env.MAIL_FROM };
}

function tracingConfig(env: Variables): TracingConfig | undefined {
  const base = env.OTEL_EXPORTER_OTLP_ENDPOINT;
  const tracesUrl = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (base === undefined ? undefined : `${withoutSlash(base)}/v1/traces`);
  if (tracesUrl === undefined) return undefined;
  return {
    tracesUrl,
    headers: secret(env.OTEL_EXPORTER_OTLP_HEADERS),
    serviceName: env.OTEL_SERVICE_NAME,
    sampler: env.OTEL_TRACES_SAMPLER,
    sampledShare: env.OTEL_TRACES_SAMPLER_ARG,
    exportDelayMs: env.OTEL_BSP_SCHEDULE_DELAY,
    exportTimeoutMs: env.OTEL_EXPORTER_OTLP_TIMEOUT,
  };
}

function bootstrapAdmin(env: Variables): Config["bootstrapAdmin"] {
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
