/** One flat record of what use cases and kits are given. Features are data and functions; nothing is constructed but this. */

import type { Config } from "#src/config/config";
import { environment } from "#src/config/environment";
import { closeDb, openDb, poolFigures, type Db } from "#src/db/pool";
import { createAccessTokens, type AccessTokens } from "#src/features/sessions/access-token";
import { parseKeyRing, type KeyRing } from "#src/features/sessions/key-ring";
import { createRefreshTokens, type RefreshTokens } from "#src/features/sessions/refresh-token";
import type { Presence } from "#src/features/presence/public";
import { createPasswordHasher, signInThrottled, type PasswordHasher } from "#src/features/sign-in/public";
import { systemClock, type Clock } from "#src/kernel/clock";
import type { Attempts } from "#src/kernel/actor";
import type { Log } from "#src/kernel/log";
import { openMailbox } from "#src/mail/mailbox";
import type { Mail } from "#src/mail/mail";
import type { Realtime } from "#src/realtime/realtime";
import type { Pushes } from "#src/realtime/socket-event";
import { createAttempts } from "#src/sidecar/attempts";
import { createLocalSidecar, type LocalSidecar } from "#src/sidecar/local/local-sidecar";
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
  readonly sidecar: LocalSidecar;
}

/** What the worker's jobs and sweeps may ask for. */
export interface WorkerDeps extends CoreDeps {
  readonly mail: Mail;
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
export function openCore(config: Config, log: Log, urls: DatabaseUrls): CoreDeps {
  const metrics = new Metrics(systemClock);
  const db = openDb({
    url: urls.databaseUrl,
    maxConnections: config.databaseMaxConnections,
    applicationName: "user-service",
    log,
    onQuery: metrics.query,
  });
  metrics.observePool(() => poolFigures(db));
  const { production, dataDir } = config;
  const sidecar = createLocalSidecar({ db, log, production, dataDir, environment });
  return {
    ...urls,
    config,
    clock: systemClock,
    log,
    metrics,
    db,
    sidecar,
    [Symbol.asyncDispose]: async () => {
      await sidecar.close();
      await closeDb(db);
      metrics[Symbol.dispose]();
    },
  };
}

/** What the worker adds. @throws Error under NODE_ENV=production: there is no mail driver for it yet */
export function workerDeps(core: CoreDeps): WorkerDeps {
  return { ...core, mail: openMailbox(core) };
}

/** What identity needs before it can serve: keys from the secret store, the hashing threads, the budgets. */
export type Identity = Pick<
  ApiDeps,
  "keyRing" | "accessTokens" | "refreshTokens" | "refreshReuseGraceSeconds" | "hasher" | "attempts" | "sharingAttempts"
>;

const SECRET_TIMEOUT_MS = 5_000;

/** @throws Error when there are no signing keys: only standalone makes them by itself */
export async function openIdentity(core: CoreDeps): Promise<Identity> {
  const { config, clock, log, sidecar } = core;
  const stored = await sidecar.secret("signing-keys", AbortSignal.timeout(SECRET_TIMEOUT_MS));
  if (stored === undefined) {
    throw new Error(
      `there are no signing keys: put them in ${config.dataDir}/secrets/signing-keys or SECRET_SIGNING_KEYS; \`npm start\` makes them on first use`,
    );
  }
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
