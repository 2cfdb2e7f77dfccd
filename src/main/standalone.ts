/** `npm start`: the whole service but the controller in one process, with an embedded PostgreSQL unless one is given. */

import { randomBytes } from "node:crypto";
import type { Config } from "#src/config/config";
import { migrate } from "#src/db/migrate";
import { startEmbeddedPostgres, type EmbeddedPostgres } from "#src/embedded/embedded-postgres";
import { createPasswordHasher, ensureFirstAdmin } from "#src/features/sign-in/public";
import type { Log } from "#src/kernel/log";
import { openCore, urlsOf, type CoreDeps, type DatabaseUrls } from "./deps.ts";
import { ensureSigningKeys, keepRotating, readOwnKeys } from "./own-keys.ts";
import { listenForTheEnd } from "./leaving.ts";
import { runProcess } from "./run.ts";
import { startApi } from "./serve.ts";
import { startWork, type Running } from "./work.ts";

await runProcess({ name: "standalone", setting: "standalone", start: startStandalone }, listenForTheEnd());

async function startStandalone(config: Config, log: Log, leaving: AbortSignal): Promise<Running> {
  say("Starting User Service …");
  const postgres = config.databaseUrl === undefined ? await embedded(config, log) : undefined;
  const urls: DatabaseUrls = postgres === undefined ? urlsOf(config) : { databaseUrl: postgres.url, directUrl: postgres.directUrl };
  let core: CoreDeps | undefined;
  try {
    const { applied } = await migrate({ databaseUrl: urls.directUrl, log });
    if (applied.length > 0) say(`  database    ${applied.length} migrations applied`);
    await ensureSigningKeys(config.dataDir);
    // The in-process sidecar reads the same file; daprd beside one machine need not have a secret store.
    const readKeys = config.sidecar === "dapr" ? () => readOwnKeys(config.dataDir) : undefined;
    core = await openCore(config, log, urls, readKeys);
    return await serveAll(core, { postgres, leaving });
  } catch (error) {
    await core?.[Symbol.asyncDispose]();
    await postgres?.stop();
    throw error;
  }
}

async function serveAll(
  core: CoreDeps,
  { postgres, leaving }: { readonly postgres: EmbeddedPostgres | undefined; readonly leaving: AbortSignal },
): Promise<Running> {
  const admin = await firstAdmin(core);
  const api = await startApi(core, { relaysHere: true, leaving });
  const work = await startWork(core);
  const stopping = new AbortController();
  const { dataDir, keysRotateDays: days } = core.config;
  const rotating = keepRotating({ ...core, dataDir, days }, stopping.signal);
  welcome(core, api.port, admin);
  return {
    stop: async (signal) => {
      stopping.abort();
      await Promise.all([api.stop(signal), work.stop(signal), rotating]);
      await core[Symbol.asyncDispose]();
      await postgres?.stop();
    },
  };
}

async function embedded(config: Config, log: Log): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ dataDir: config.dataDir, log, supervise: true });
  say(`  database    embedded PostgreSQL in ${config.dataDir}/postgres, port ${postgres.port}`);
  return postgres;
}

/** The first admin's name, and the password if it was made up here: it is printed once and kept nowhere. */
interface FirstAdmin {
  readonly username: string;
  readonly password: string | undefined;
}

async function firstAdmin(core: CoreDeps): Promise<FirstAdmin | undefined> {
  const given = core.config.bootstrapAdmin;
  const password = given?.password.reveal() ?? randomBytes(15).toString("base64url");
  const hasher = createPasswordHasher({ cost: core.config.bcryptCost, threads: 1 });
  try {
    const admin = { username: given?.username ?? "admin", email: given?.email ?? "admin@localhost.localdomain", password };
    const outcome = await ensureFirstAdmin({ ...core, hasher }, admin);
    return outcome === "made" ? { username: admin.username, password: given === undefined ? password : undefined } : undefined;
  } finally {
    await hasher.close();
  }
}

function welcome(core: CoreDeps, port: number, admin: FirstAdmin | undefined): void {
  const base = port === core.config.port ? core.config.publicUrl : `http://localhost:${port}`;
  const lines = [
    `  API         ${base}/api`,
    `  documents   ${base}/docs`,
    `  GraphQL     ${base}/graphql`,
    `  Socket.IO   ${base}/socket.io`,
    ...(core.config.smtp === undefined ? [`  mailbox     ${base}/mailbox`] : []),
    `  health      ${base}/health/services`,
  ];
  if (admin !== undefined) {
    lines.push(`  admin       ${admin.username}${admin.password === undefined ? "" : `, password ${admin.password}   (shown this once)`}`);
  }
  say([...lines, "Ready. Stop with Ctrl-C."].join("\n"));
}

/** Progress for the person at the terminal; the log is for machines. */
function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
