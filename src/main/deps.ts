/** One flat record of what use cases and kits are given. Features are data and functions; nothing is constructed but this. */

import type { Config } from "#src/config/config";
import { closeDb, openDb, poolFigures, type Db } from "#src/db/pool";
import { createAccessTokens, type AccessTokens } from "#src/features/sessions/access-token";
import { parseKeyRing, type KeyRing } from "#src/features/sessions/key-ring";
import { createRefreshTokens, type RefreshTokens } from "#src/features/sessions/refresh-token";
import type { Presence } from "#src/features/presence/public";
import { createPasswordHasher, signInThrottled, type PasswordHasher } from "#src/features/sign-in/public";
import { backoffMs } from "#src/kernel/backoff";
import { delay, systemClock, type Clock } from "#src/kernel/clock";
import type { Attempts } from "#src/kernel/actor";
import type { Log } from "#src/kernel/log";
import type { Secret } from "#src/kernel/secret";
import type { Mail } from "#src/mail/mail";
import { openSmtp, type SmtpMail } from "#src/mail/smtp";
import type { Realtime } from "#src/realtime/realtime";
import type { Pushes } from "#src/realtime/socket-event";
import { createAttempts } from "#src/sidecar/attempts";
import type { Sidecar } from "#src/sidecar/port";
import { openSidecar, type OpenSidecar } from "./open-sidecar.ts";
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
}

/** What the worker's jobs and sweeps may ask for. */
export interface WorkerDeps extends CoreDeps {
  readonly mail: Mail;
  /** The same, where it goes to a mail server. */
  readonly smtp: SmtpMail | undefined;
}

/** What routes, fields, socket events and consumers may ask for. */
export interface ApiDeps extends CoreDeps {
  readonly keyRing: KeyRing;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly refreshReuseGraceSeconds: number;
  readonly hasher: PasswordHasher;
  readonly attempts: Attempts;
  readonly sharingAttempts: () => boolean;
  readonly onRegistration: (outcome: string) => void;
  readonly onLogin: (outcome: string) => void;
  readonly revocationsSettled: () => Promise<void>;
  readonly pushes: Pushes;
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

/** Opens what every process has; dispose of it last. */
export async function openCore(config: Config, log: Log, urls: DatabaseUrls): Promise<CoreDeps> {
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
    [Symbol.asyncDispose]: async () => {
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
  return { ...core, mail: smtp ?? (await developmentMailbox(core)), smtp };
}

/** Loaded here only: what is for one machine is not in the image. */
async function developmentMailbox(core: CoreDeps): Promise<Mail> {
  const { openMailbox } = await import("#src/mail/mailbox");
  return openMailbox(core);
}

/** What identity needs before it can serve: keys from the secret store, the hashing threads, the budgets. */
export type Identity = Pick<
  ApiDeps,
  "keyRing" | "accessTokens" | "refreshTokens" | "refreshReuseGraceSeconds" | "hasher" | "attempts" | "sharingAttempts"
>;

const SECRET_TIMEOUT_MS = 5_000;

/** Where the keys of a start come from. */
export interface KeySource {
  /** Keys that this process has made itself; else they are the sidecar's to give. */
  readonly ownKeys?: Secret<string>;
  /** Aborted when the process is told to end before it has started. */
  readonly leaving: AbortSignal;
}

/**
 * Waits for the sidecar where keys come from its secret store.
 * @throws Error when there are no signing keys (only standalone makes them by itself), or the reason of `leaving`
 */
export async function openIdentity(core: CoreDeps, { ownKeys, leaving }: KeySource): Promise<Identity> {
  const { config, clock, log, sidecar } = core;
  const stored = ownKeys ?? (await readSigningKeys(core, leaving));
  if (stored === undefined) throw new Error(`there are no signing keys: put them in ${placeOfKeys(config)}`);
  const keyRing = parseKeyRing(stored.reveal());
  const attempts = createAttempts({ state: sidecar.state, clock, log, enabled: config.rateLimits, refusal: signInThrottled });
  return {
    keyRing,
    accessTokens: createAccessTokens({ ring: keyRing, clock, issuer: config.issuer, audiences: config.audiences }),
    refreshTokens: createRefreshTokens(keyRing),
    refreshReuseGraceSeconds: config.refreshReuseGraceSeconds,
    hasher: createPasswordHasher({ cost: config.bcryptCost }),
    attempts,
    sharingAttempts: attempts.sharing,
  };
}

/** Until the sidecar answers, whatever its answer is: processes start in any order. */
async function readSigningKeys({ sidecar, dapr, log }: CoreDeps, leaving: AbortSignal): Promise<Secret<string> | undefined> {
  await dapr?.ready(leaving);
  for (let failures = 0; ; failures += 1) {
    try {
      return await sidecar.secret("signing-keys", AbortSignal.any([leaving, AbortSignal.timeout(SECRET_TIMEOUT_MS)]));
    } catch (error) {
      leaving.throwIfAborted();
      if (dapr === undefined) throw error;
      if (failures === 0) log.warn({ error }, "the sidecar does not give the signing keys yet; it is asked again");
      await delay(backoffMs(failures + 1, { firstMs: 200, mostMs: 5_000 }), leaving);
    }
  }
}

function placeOfKeys(config: Config): string {
  return config.sidecar === "dapr"
    ? "the secret `signing-keys` of the sidecar's secret store `secrets`"
    : `${config.dataDir}/secrets/signing-keys or SECRET_SIGNING_KEYS; \`npm start\` makes them on first use`;
}
