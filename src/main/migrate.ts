/** `npm run migrate`: applies migrations, makes the first admin where one is configured, and ends. */

import { ConfigError, readConfig } from "#src/config/config";
import { environment } from "#src/config/environment";
import { closeDb, openDb } from "#src/db/pool";
import { migrate } from "#src/db/migrate";
import { DatabaseRefused } from "#src/db/reach";
import { createPasswordHasher, ensureFirstAdmin } from "#src/features/sign-in/public";
import { systemClock } from "#src/kernel/clock";
import { createLog } from "#src/telemetry/log";
import { urlsOf } from "./deps.ts";

try {
  const config = readConfig(environment, "migrate");
  const log = createLog({ level: config.logLevel, fields: { process: "migrate" } });
  const { directUrl } = urlsOf(config);
  const { applied } = await migrate({ databaseUrl: directUrl, log });
  log.info({ applied: applied.length }, "the schema is up to date");
  if (config.bootstrapAdmin !== undefined) {
    const db = openDb({ url: directUrl, maxConnections: 2, applicationName: "user-service migrate", log });
    const hasher = createPasswordHasher({ cost: config.bcryptCost, threads: 1 });
    const { username, email, password } = config.bootstrapAdmin;
    const outcome = await ensureFirstAdmin({ db, clock: systemClock, log, hasher }, { username, email, password: password.reveal() });
    log.info({ outcome }, "first admin");
    await hasher.close();
    await closeDb(db);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof ConfigError || error instanceof DatabaseRefused ? 78 : 1;
}
