/** One flat record of what use cases and kits are given. Features are data and functions; nothing is constructed but this. */

import type { Config } from "#src/config/config";
import { closeDb, openDb, poolFigures, type Db } from "#src/db/pool";
import { createAccessTokens, type AccessTokens } from "#src/features/sessions/access-token";
import type { KeyRingSource } from "#src/features/sessions/key-ring-source";
import type { KeyRingWatch } from "#src/features/sessions/key-watch";
import { createRefreshTokens, type RefreshTokens } from "#src/features/sessions/refresh-token";
import { createSessionCookies, type SessionCookies } from "#src/features/sessions/session-cookies";
import type { PlaceOf, SessionLimits } from "#src/features/sessions/public";
import type { Presence } from "#src/features/presence/public";
import type { Providers } from "#src/features/identities/public";
import { createSeals, signInThrottled, type Seals } from "#src/features/factors/public";
import { createOneTimeTokens, type OneTimeTokens } from "#src/features/one-time-tokens/public";
import {
  createBreachedPasswords,
  createDeviceTokens,
  createPasswordHasher,
  noBreachedPasswords,
  type BreachedPasswords,
  type DeviceTokens,
  type PasswordHasher,
} from "#src/features/sign-in/public";
import { createCors } from "#src/http/cors";
import { systemClock, type Clock } from "#src/kernel/clock";
import type { Attempts } from "#src/kernel/actor";
import type { Log } from "#src/kernel/log";
import type { Mail } from "#src/mail/mail";
import { openSmtp, type SmtpMail } from "#src/mail/smtp";
import type { Realtime } from "#src/realtime/realtime";
import type { LocalPushes, Pushes } from "#src/realtime/socket-event";
import { createAttempts } from "#src/sidecar/attempts";
import type { Sidecar } from "#src/sidecar/port";
import { openSidecar, type OpenSidecar } from "./open-sidecar.ts";
import { openProviders } from "./oidc-providers.ts";
import { awaitSigningKeys, watchSigningKeys, type ReadKeys } from "./signing-keys.ts";
import { Metrics } from "#src/telemetry/metrics";

/** What every process has. */
export interface CoreDeps extends AsyncDisposable {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly directUrl: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly db: Db;
  readonly sidecar: Sidecar;
  /** daprd's side of it, where that is the sidecar. */
  readonly dapr: OpenSidecar["dapr"];
  readonly closeSidecar: OpenSidecar["close"];
  /** Read when they are first wanted. */
  readonly signingKeys: KeyRingWatch;
  /** daprd, where they come through it. */
  readonly keysThrough: OpenSidecar["dapr"];
}

/** What the worker's jobs and sweeps may ask for. */
export interface WorkerDeps extends CoreDeps {
  readonly mail: Mail;
  /** The same, where it goes to a mail server. */
  readonly smtp: SmtpMail | undefined;
  /** What links in mails are made with, once the keys can be had. @throws Error while they cannot */
  readonly openOneTimeTokens: () => Promise<OneTimeTokens>;
}

/** What routes, fields, socket events and consumers may ask for. */
export interface ApiDeps extends CoreDeps {
  readonly keyRing: KeyRingSource;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly sessionCookies: SessionCookies;
  readonly refreshReuseGraceSeconds: number;
  readonly sessionLimits: SessionLimits;
  /** None by default: whoever has a list of places of addresses puts it here. */
  readonly placeOf?: PlaceOf;
  readonly hasher: PasswordHasher;
  readonly breachedPasswords: BreachedPasswords;
  readonly oneTimeTokens: OneTimeTokens;
  readonly seals: Seals;
  readonly providers: Providers;
  readonly deviceTokens: DeviceTokens;
  readonly attempts: Attempts;
  readonly sharingAttempts: () => boolean;
  readonly onRegistration: (outcome: string) => void;
  readonly onLogin: (outcome: string) => void;
  readonly revocationsSettled: () => Promise<void>;
  readonly pushes: Pushes & Pick<LocalPushes, "leave">;
  readonly realtime: Pick<Realtime, "figures">;
  readonly presence: Presence;
}

/** Where the database is: given by configuration, or by the embedded server. */
export interface DatabaseUrls {
  readonly databaseUrl: string;
  readonly directUrl: string;
}

/** The database as configured. Only standalone runs without DATABASE_URL, and brings its own. */
export function urlsOf(config: Config): DatabaseUrls {
  const databaseUrl = config.databaseUrl?.reveal();
  if (databaseUrl === undefined) throw new Error("DATABASE_URL is not set");
  return { databaseUrl, directUrl: config.databaseDirectUrl?.reveal() ?? databaseUrl };
}

/** Opens what every process has; dispose of it last. @param readKeys of a process that has keys of its own */
export async function openCore(config: Config, log: Log, urls: DatabaseUrls, readKeys?: ReadKeys): Promise<CoreDeps> {
  const metrics = new Metrics(systemClock);
  const db = openDb({
    url: urls.databaseUrl,
    maxConnections: config.databaseMaxConnections,
    applicationName: "user-service",
    log,
    onQuery: metrics.query,
  });
  metrics.observePool(() => poolFigures(db));
  const sidecar = await openSidecar({ config, clock: systemClock, log, db });
  const signingKeys = watchSigningKeys({ config, clock: systemClock, log, metrics, ...sidecar }, readKeys);
  return {
    ...urls,
    config,
    clock: systemClock,
    log,
    metrics,
    db,
    sidecar: sidecar.sidecar,
    dapr: sidecar.dapr,
    closeSidecar: sidecar.close,
    signingKeys,
    keysThrough: readKeys === undefined ? sidecar.dapr : undefined,
    [Symbol.asyncDispose]: async () => {
      await signingKeys.stop();
      await sidecar.close();
      await closeDb(db);
      metrics[Symbol.dispose]();
    },
  };
}

/** What the worker adds. No connection is opened yet. */
export async function workerDeps(core: CoreDeps): Promise<WorkerDeps> {
  const { config, clock } = core;
  const smtp = config.smtp === undefined ? undefined : openSmtp({ ...config.smtp, clock });
  return { ...core, mail: smtp ?? (await developmentMailbox(core)), smtp, openOneTimeTokens: lateOneTimeTokens(core) };
}

/** Asked for by the first mail with a link, again until the keys are there: all other work needs no sidecar. */
function lateOneTimeTokens({ signingKeys }: CoreDeps): () => Promise<OneTimeTokens> {
  let made: OneTimeTokens | undefined;
  return async () => {
    made ??= createOneTimeTokens(await signingKeys.open(AbortSignal.timeout(SECRET_TIMEOUT_MS)));
    return made;
  };
}

/** Loaded here only: what is for one machine is not in the image. */
async function developmentMailbox(core: CoreDeps): Promise<Mail> {
  const { openMailbox } = await import("#src/mail/mailbox");
  return openMailbox(core);
}

const SECRET_TIMEOUT_MS = 5_000;

/** What identity needs before it can serve: keys from the secret store, the hashing threads, the budgets. */
export type Identity = Pick<
  ApiDeps,
  | "keyRing"
  | "accessTokens"
  | "refreshTokens"
  | "sessionCookies"
  | "refreshReuseGraceSeconds"
  | "sessionLimits"
  | "hasher"
  | "breachedPasswords"
  | "oneTimeTokens"
  | "seals"
  | "providers"
  | "deviceTokens"
  | "attempts"
  | "sharingAttempts"
>;

/**
 * Waits for the sidecar where keys come from its secret store.
 * @throws Error when there are no signing keys (only standalone makes them by itself), or the reason of `leaving`
 */
export async function openIdentity(core: CoreDeps, leaving: AbortSignal): Promise<Identity> {
  const { config, clock, log, sidecar } = core;
  const keyRing = await awaitSigningKeys(core, leaving);
  const refreshTokens = createRefreshTokens(keyRing);
  const attempts = createAttempts({ state: sidecar.state, clock, log, enabled: config.rateLimits, refusal: signInThrottled });
  return {
    keyRing,
    accessTokens: createAccessTokens({ keyRing, clock, issuer: config.issuer, audiences: config.audiences }),
    refreshTokens,
    sessionCookies: createSessionCookies({ keyRing, refreshTokens, log, ...cookieRules(config) }),
    refreshReuseGraceSeconds: config.refreshReuseGraceSeconds,
    sessionLimits: config.sessionLimits,
    hasher: createPasswordHasher({ cost: config.bcryptCost }),
    breachedPasswords: breachedPasswordsOf(core),
    oneTimeTokens: createOneTimeTokens(keyRing),
    seals: createSeals(keyRing),
    providers: await openProviders(core),
    deviceTokens: createDeviceTokens(keyRing),
    attempts,
    sharingAttempts: attempts.sharing,
  };
}

/** Pages of our own origin and of those that CORS_ORIGINS names letter by letter. */
function cookieRules({ publicUrl, corsOrigins }: Config): { secure: boolean; allowsOrigin: (origin: string) => boolean } {
  const own = new URL(publicUrl);
  const { allowsCookies } = createCors(corsOrigins);
  return { secure: own.protocol === "https:", allowsOrigin: (origin) => origin === own.origin || allowsCookies(origin) };
}

function breachedPasswordsOf({ config, clock, log, metrics }: CoreDeps): BreachedPasswords {
  const onFailure = metrics.counter("breached_password_checks_failed_total", "New passwords accepted because the range API did not answer");
  if (config.breachedPasswordsUrl === undefined) return noBreachedPasswords;
  return createBreachedPasswords({ url: config.breachedPasswordsUrl, clock, log, onFailure });
}
