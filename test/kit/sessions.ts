/** What the session features need, on a database of the test's own. */

import { beginSession, type SessionLimits, type SessionTokens } from "#src/features/sessions/public";
import { createAccessTokens, type AccessTokens } from "#src/features/sessions/access-token";
import { generateKeyRing, parseKeyRing, type KeyRing } from "#src/features/sessions/key-ring";
import { holdKeyRing, type KeyRingHolder } from "#src/features/sessions/key-ring-source";
import { createRefreshTokens, type RefreshTokens } from "#src/features/sessions/refresh-token";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import type { Client, Role } from "#src/kernel/actor";
import { systemClock, type Clock } from "#src/kernel/clock";
import { silentLog, type Log } from "#src/kernel/log";
import { cloneDatabase, type TestDatabase } from "./database.ts";

/** A caller on the same machine. */
export const testClient: Client = { address: "127.0.0.1", addressKey: "127.0.0.1", userAgent: "test", locale: "en" };

export interface SessionKit extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly keyRing: KeyRingHolder;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly refreshReuseGraceSeconds: number;
  readonly sessionLimits: SessionLimits;
  /** Statements and transactions run on the pool up to now. */
  readonly statements: () => number;
  /** Begins a session as a login does. */
  readonly begin: (user: { readonly id: string }, roles?: readonly Role[]) => Promise<SessionTokens & { readonly refreshToken: string }>;
}

/** The issuer and audience of every test. */
export const testIssuer = { issuer: "http://localhost:3002", audiences: ["user-service"] } as const;

/** A pool on a cloned database, keys of its own, and the real session code. */
export async function sessionKit(ring: KeyRing = parseKeyRing(generateKeyRing())): Promise<SessionKit> {
  const database = await cloneDatabase();
  let statements = 0;
  const onQuery = (): void => void (statements += 1);
  const db = openDb({ url: database.url, maxConnections: 10, applicationName: "test", log: silentLog, onQuery });
  const keyRing = holdKeyRing(ring, systemClock);
  const parts = {
    database,
    db,
    clock: systemClock,
    log: silentLog,
    keyRing,
    accessTokens: createAccessTokens({ keyRing, clock: systemClock, ...testIssuer, capacity: 1_000 }),
    refreshTokens: createRefreshTokens(keyRing),
    refreshReuseGraceSeconds: 30,
    statements: () => statements,
    sessionLimits: { idleDays: 30, absoluteDays: 180, perUser: 0 },
  };
  return {
    ...parts,
    begin: async (user, roles = ["user"]) => {
      const tokens = await inTx(db, (tx) => beginSession(parts, tx, { userId: user.id, roles, client: testClient, restricted: false }));
      return { ...tokens, refreshToken: tokens.refreshToken ?? "" };
    },
    [Symbol.asyncDispose]: async () => {
      await closeDb(db);
      await database[Symbol.asyncDispose]();
    },
  };
}
