/** What all scenarios of a run share: a PostgreSQL of its own with a template of every database, and the keys. */

import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { migrate } from "#src/db/migrate";
import { generateKeyRing, parseKeyRing, type KeyRing } from "#src/features/sessions/key-ring";
import { silentLog } from "#src/kernel/log";
import { Program } from "./process.ts";
import { seedPeople } from "./seed.ts";

/** How long and how large; a quick run shows that everything works, not what it costs. */
export interface Pace {
  readonly quick: boolean;
  readonly people: number;
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmUpMs: number;
  /** Of the society of `people`, which `--users` makes smaller. */
  readonly users: number;
}

export const FULL: Pace = { quick: false, people: 50_000, rounds: 5, roundMs: 2_500, warmUpMs: 1_500, users: 1_000_000 };
export const QUICK: Pace = { quick: true, people: 5_000, rounds: 2, roundMs: 500, warmUpMs: 300, users: 20_000 };

/** Where the server is, and its main process. */
export interface Postgres {
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
}

/** Disposal ends the server, which removes the folder. */
export interface Ground extends AsyncDisposable {
  readonly pace: Pace;
  readonly folder: string;
  readonly keyRing: KeyRing;
  readonly postgres: Postgres;
  readonly postgresVersion: string;
}

export async function openGround(pace: Pace): Promise<Ground> {
  await using opening = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "user-service-bench-"));
  const ring = generateKeyRing();
  await mkdir(join(folder, "data", "secrets"), { recursive: true, mode: 0o700 });
  await writeFile(join(folder, "data", "secrets", "signing-keys"), ring, { mode: 0o600 });
  const entry = "bench/programs/postgres.ts";
  const server = opening.use(await Program.start({ entry, args: [folder], logFile: join(folder, "postgres.log") }));
  const postgres = await server.call<Postgres>("where");
  const postgresVersion = await makeTemplate(postgres, pace.people);
  const owned = opening.move();
  return { pace, folder, keyRing: parseKeyRing(ring), postgres, postgresVersion, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Migrated, seeded, vacuumed and analysed once; each scenario's database is a copy of its files. Gives PostgreSQL's version. */
async function makeTemplate(postgres: Postgres, people: number): Promise<string> {
  await asAdmin(postgres, "create database bench_template owner user_service");
  const url = withDatabase(postgres.url, "bench_template");
  await migrate({ databaseUrl: url, log: silentLog });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await seedPeople(client, people);
    await client.query("vacuum analyze");
    const { rows } = await client.query<{ server_version: string }>("show server_version");
    return rows[0]?.server_version ?? "unknown";
  } finally {
    await client.end();
  }
}

/** Runs one statement as superuser. */
export async function asAdmin(postgres: Postgres, statement: string): Promise<void> {
  await withAdmin(postgres.adminUrl, (client) => client.query(statement));
}

/** Gives a superuser's connection to `work`, and ends it. */
export async function withAdmin<Result>(url: string, work: (admin: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The same server, another database. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}
