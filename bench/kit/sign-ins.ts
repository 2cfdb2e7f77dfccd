/** What the sign-in scenarios share: the service's own parts on a `Db` of the bench, people of whom a device is known, and turns against a floor. */

import { createHash } from "node:crypto";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { createSeals } from "#src/features/factors/public";
import { createOneTimeTokens, insertToken, LIFETIME_SECONDS, type Purpose } from "#src/features/one-time-tokens/public";
import { holdKeyRing } from "#src/features/sessions/key-ring-source";
import { createRefreshTokens } from "#src/features/sessions/refresh-token";
import type { SessionTokens } from "#src/features/sessions/public";
import { createDeviceTokens } from "#src/features/sign-in/public";
import type { Client } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { silentLog } from "#src/kernel/log";
import { randomBytes } from "#src/kernel/random";
import type { FloorReplay } from "../programs/floor-replay.ts";
import type { Api, Bench, Database } from "./bench.ts";
import type { RequestText } from "./http-connection.ts";
import type { LoadProcess } from "./load-process.ts";
import { measureLoad, type Measured, type Sides } from "./measure.ts";
import { hexOf, type RecordedStatement } from "./recording.ts";
import { cpuOf, rateOf, ratios, type Figure } from "./report.ts";
import { seedSessions, userIdOf } from "./seed.ts";

/** Sign-ins in flight, and connections of service and floor to PostgreSQL alike. */
export const AT_ONCE = 16;
/** Statements of the bench that fill tables. */
const FILL_TIMEOUT_MS = 60_000;
/** Tokens put there in one transaction. */
const AT_A_TIME = 500;
/** The load process, as the service sees it. */
const CLIENT: Client = { address: "127.0.0.1", addressKey: "127.0.0.1", userAgent: "bench", locale: "en" };
/** Where the authenticators of the bench believe to be. */
export const ORIGIN = "http://localhost:3002";

/** What a use case of sign-in needs, as the API has it. */
export function signInParts(bench: Bench, database: Database) {
  const keyRing = holdKeyRing(bench.ground.keyRing, systemClock);
  const db = openDb({
    url: database.url,
    maxConnections: 2,
    applicationName: "bench",
    log: silentLog,
    statementTimeoutMs: FILL_TIMEOUT_MS,
  });
  bench.own({ [Symbol.asyncDispose]: () => closeDb(db) });
  return {
    db,
    clock: systemClock,
    log: silentLog,
    accessTokens: bench.accessTokens,
    refreshTokens: createRefreshTokens(keyRing),
    seals: createSeals(keyRing),
    oneTimeTokens: createOneTimeTokens(keyRing),
    deviceTokens: createDeviceTokens(keyRing),
    sessionLimits: { idleDays: 30, absoluteDays: 180, perUser: 0 },
    // As RATE_LIMITS=off has them.
    attempts: { take: () => Promise.resolve(), forgive: () => Promise.resolve() },
    config: { mfaRequiredRoles: [], trustedDeviceDays: 30, issuer: ORIGIN, webauthn: { rpId: "localhost", origins: [ORIGIN] } },
    onLogin: () => {},
    client: CLIENT,
  };
}

/** People 1 to `count` have signed in before, from where the load process is. */
export async function seedKnownDevices({ client }: Database, count: number): Promise<void> {
  await seedSessions(client, { from: 1, count });
  await client.query("update sessions set user_agent = $1, address = $2", [CLIENT.userAgent, CLIENT.address]);
}

export type SignInParts = ReturnType<typeof signInParts>;

/** Questions as the service puts them on record, one for each person: their ids. */
export async function ask(
  db: Db,
  people: readonly number[],
  purpose: Extract<Purpose, "mfa_challenge" | "passkey_login">,
): Promise<string[]> {
  const asked = people.map((number) => ({ id: newUuid(systemClock), number }));
  for (let from = 0; from < asked.length; from += AT_A_TIME) {
    const some = asked.slice(from, from + AT_A_TIME).map(({ id, number }) => {
      const whose =
        purpose === "mfa_challenge" ? { userId: userIdOf(number), email: `person${number}@example.com` } : { userId: null, email: "" };
      return { id, purpose, ...whose, data: {}, lifetimeSeconds: LIFETIME_SECONDS[purpose] };
    });
    await inTx(db, (tx) => Promise.all(some.map((token) => insertToken(tx, token))));
  }
  return asked.map(({ id }) => id);
}

/** What a recorded sign-in has made, by name. */
export function namesOfSession({ session, refreshToken = "" }: SessionTokens): Record<string, string> {
  return { session: session.id, hash: hexOf(createHash("sha256").update(refreshToken).digest()) };
}

/** The same for the floor, which is given what the service makes by itself. */
function madeUpSession(): Record<string, string> {
  return { session: newUuid(systemClock), hash: hexOf(randomBytes(32)) };
}

/** One sign-in that is ready to be sent, once. */
export interface Prepared {
  readonly request: RequestText;
  /** What the names of the recorded statements stand for, but for the session. */
  readonly names: Readonly<Record<string, string>>;
}

interface Contest {
  readonly api: Api;
  readonly load: LoadProcess;
  readonly proof: FloorReplay["proof"];
  readonly statements: readonly RecordedStatement[];
  /** People 2 to this one; 1 was recorded. Each comes once: who signs in again does so under other circumstances. */
  readonly people: number;
  readonly prepare: (people: readonly number[]) => Promise<readonly Prepared[]>;
}

/** Service and floor, each phase with sign-ins of its own that are prepared outside what is measured. */
export async function contestants(
  bench: Bench,
  database: Database,
  { api, load, proof, statements, people, prepare }: Contest,
): Promise<Sides<"service" | "floor">> {
  const privateKeyPem = bench.ground.keyRing.accessKeys[0].privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const floor = await bench.floorReplay(database, { connections: AT_ONCE, privateKeyPem, proof, statements });
  const each = Math.floor((people - 1) / (2 * (bench.pace.rounds + 1)));
  let next = 2;
  const some = async (): Promise<readonly Prepared[]> => {
    next += each;
    return await prepare(Array.from({ length: each }, (_, place) => next - each + place));
  };
  const phase = async (name: string, { pid, port }: Api, requests: readonly RequestText[], durationMs: number): Promise<Measured> => {
    await load.learn({ name, requests, once: true });
    return await measureLoad(bench, load, { pid, plan: { script: name, port, connections: AT_ONCE, durationMs } });
  };
  const toFloor = ({ names }: Prepared): RequestText => ({
    method: "POST",
    path: "/",
    body: JSON.stringify({ ...names, ...madeUpSession() }),
  });
  return {
    service: async (durationMs) =>
      await phase(
        "service",
        api,
        (await some()).map(({ request }) => request),
        durationMs,
      ),
    floor: async (durationMs) => await phase("floor", floor, (await some()).map(toFloor), durationMs),
  };
}

/** The one by the other, round by round. */
export function contestFigures({ service, floor }: Readonly<Record<"service" | "floor", readonly Measured[]>>): Figure[] {
  return [
    { name: "service ÷ floor, rate", unit: "×", values: ratios(service, floor, rateOf) },
    { name: "service ÷ floor, CPU", unit: "×", values: ratios(service, floor, cpuOf) },
  ];
}

/** How many they are, for a reader. */
export function statementsNote(statements: readonly RecordedStatement[]): string {
  return `${statements.length} SQL statements a sign-in, beside those that begin and end its transaction; the floor sends them all at once`;
}

/** The API with as many connections as sign-ins are in flight, for the site that the authenticators are of. */
export async function signInApi(bench: Bench, database: Database): Promise<Api> {
  return await bench.api(database, { DATABASE_MAX_CONNECTIONS: String(AT_ONCE), PUBLIC_URL: ORIGIN });
}
