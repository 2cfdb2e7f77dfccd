/** Migrations and the first admin, once. */

import { ConfigError, readConfig, type Config } from "#src/config/config";
import { environment } from "#src/config/environment";
import { closeDb, openDb } from "#src/db/pool";
import { migrate } from "#src/db/migrate";
import { DatabaseRefused } from "#src/db/reach";
import { createPasswordHasher, ensureFirstAdmin, FirstAdminRefused } from "#src/features/sign-in/public";
import { systemClock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { createLog } from "#src/telemetry/log";
import { urlsOf } from "./deps.ts";

/** Sets the exit code: 0, 78 where a setting is wrong, 1 for whatever else went wrong; which, it writes. */
export async function runMigrate(): Promise<void> {
  try {
    const config = readConfig(environment, "migrate");
    const log = createLog({ level: config.logLevel, fields: { process: "migrate" } });
    const { directUrl } = urlsOf(config);
    const { applied } = await migrate({ databaseUrl: directUrl, log });
    log.info({ applied: applied.length }, "the schema is up to date");
    if (config.bootstrapAdmin !== undefined) {
      const outcome = await firstAdmin(config.bootstrapAdmin, { config, directUrl, log });
      log.info({ outcome }, "first admin");
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof ConfigError || error instanceof DatabaseRefused ? 78 : 1;
  }
}

/** @throws ConfigError when it cannot be made with what was given */
async function firstAdmin(
  { username, email, password }: NonNullable<Config["bootstrapAdmin"]>,
  { config, directUrl, log }: { readonly config: Config; readonly directUrl: string; readonly log: Log },
): Promise<string> {
  const db = openDb({ url: directUrl, maxConnections: 2, applicationName: "user-service migrate", log });
  const hasher = createPasswordHasher({ cost: config.bcryptCost, threads: 1 });
  try {
    // In a cluster more people than its owner know what is in its environment.
    const admin = { username, email, password: password.reveal(), mustChange: config.production };
    return await ensureFirstAdmin({ db, clock: systemClock, log, hasher }, admin);
  } catch (error) {
    if (!(error instanceof FirstAdminRefused)) throw error;
    throw new ConfigError([{ variable: `BOOTSTRAP_ADMIN_${error.field.toUpperCase()}`, message: error.message }]);
  } finally {
    // Open, they would keep the process.
    await hasher.close();
    await closeDb(db);
  }
}
