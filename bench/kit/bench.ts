/** What a scenario is given: databases, keys, and processes that end with it. */

import { createPublicKey } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { migrate } from "#src/db/migrate";
import { freePort } from "#src/embedded/free-port";
import { createAccessTokens, type AccessTokens } from "#src/features/sessions/access-token";
import { holdKeyRing } from "#src/features/sessions/key-ring-source";
import type { Role } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import type { FloorRead } from "../programs/floor-read.ts";
import type { FloorReplay } from "../programs/floor-replay.ts";
import { asAdmin, withAdmin, withDatabase, type Ground, type Pace, type Postgres } from "./ground.ts";
import { LoadProcess } from "./load-process.ts";
import { Program } from "./process.ts";
import { sessionIdOf, userIdOf } from "./seed.ts";

/** A seeded, analysed database of one scenario, as the service's own role. */
export interface Database {
  readonly url: string;
  /** For the scenario's own rows. Closed with the bench. */
  readonly client: pg.Client;
  /** Call it when the rows are there. */
  readonly settle: () => Promise<void>;
}

/** A process of the service. */
export interface Api {
  readonly program: Program;
  readonly pid: number;
  readonly port: number;
}

const ISSUER = { issuer: "http://localhost:3002", audiences: ["user-service"] } as const;

let databases = 0;

function nextName(): string {
  databases += 1;
  return `bench_${databases}`;
}

export class Bench implements AsyncDisposable {
  readonly pace: Pace;
  readonly folder: string;
  readonly postgres: Postgres;
  readonly accessTokens: AccessTokens;
  readonly ground: Ground;
  readonly #owned = new AsyncDisposableStack();
  #programs = 0;

  constructor(ground: Ground) {
    this.ground = ground;
    this.pace = ground.pace;
    this.folder = ground.folder;
    this.postgres = ground.postgres;
    this.accessTokens = createAccessTokens({ keyRing: holdKeyRing(ground.keyRing, systemClock), clock: systemClock, ...ISSUER });
  }

  /** A database of people and their graph. */
  async database(): Promise<Database> {
    const name = nextName();
    await asAdmin(this.postgres, `create database ${name} template bench_template owner user_service strategy file_copy`);
    return await this.#open(name);
  }

  /** A migrated database, filled by a superuser. Gone with the bench, since it may be of some GB. */
  async filledDatabase<Filled>(
    fill: (admin: pg.Client) => Promise<Filled>,
  ): Promise<{ readonly database: Database; readonly filled: Filled }> {
    const name = nextName();
    await asAdmin(this.postgres, `create database ${name} owner user_service`);
    this.#owned.defer(() => asAdmin(this.postgres, `drop database ${name} with (force)`));
    await migrate({ databaseUrl: withDatabase(this.postgres.url, name), log: silentLog });
    const filled = await withAdmin(withDatabase(this.postgres.adminUrl, name), fill);
    return { database: await this.#open(name), filled };
  }

  async #open(name: string): Promise<Database> {
    const url = withDatabase(this.postgres.url, name);
    const client = new pg.Client({ connectionString: url });
    // Of a server that is ended under it; whoever asked something hears of it all the same.
    client.on("error", () => {});
    await client.connect();
    this.#owned.defer(() => client.end());
    const settle = async (): Promise<void> => {
      await client.query("vacuum analyze");
      await asAdmin(this.postgres, "checkpoint");
    };
    return { url, client, settle };
  }

  /** `npm run api` on this database, throttles off. */
  async api(database: Database, env: Readonly<Record<string, string>> = {}): Promise<Api> {
    const port = await freePort();
    const program = await this.program("src/main/api.ts", { env: { ...this.#serviceEnv(database), PORT: String(port), ...env } });
    await program.ready(`http://127.0.0.1:${port}/health/ready`);
    return { program, pid: program.pid, port };
  }

  /** `npm run worker` on this database. */
  async worker(database: Database, env: Readonly<Record<string, string>> = {}): Promise<Program> {
    return await this.program("src/main/worker.ts", { env: { ...this.#serviceEnv(database), ...env } });
  }

  /** The floor of a read on the same database, with as many connections as the service has. */
  async floorRead(database: Database, statement: FloorRead["statement"]): Promise<Api> {
    const publicKeyPem = createPublicKey(this.ground.keyRing.accessKeys[0].privateKey).export({ type: "spki", format: "pem" }).toString();
    const floor = { databaseUrl: database.url, connections: 10, publicKeyPem, statement };
    return await this.#floor<FloorRead>("floor-read", floor);
  }

  /** The floor of a use case that writes: its statements, recorded, in one transaction and one round trip. */
  async floorReplay(database: Database, floor: Omit<FloorReplay, "port" | "databaseUrl">): Promise<Api> {
    return await this.#floor<FloorReplay>("floor-replay", { ...floor, databaseUrl: database.url });
  }

  async #floor<Floor extends { readonly port: number }>(name: string, settings: Omit<Floor, "port">): Promise<Api> {
    const port = await freePort();
    const file = join(this.folder, `floor-${port}.json`);
    await writeFile(file, JSON.stringify({ ...settings, port }));
    const program = await this.program(`bench/programs/${name}.ts`, { args: [file] });
    await program.ready(`http://127.0.0.1:${port}/health`);
    return { program, pid: program.pid, port };
  }

  /** A process that sends requests. */
  async load(): Promise<LoadProcess> {
    return new LoadProcess(await this.program("bench/programs/load.ts"), this.folder);
  }

  /** Any program of the bench, ended with it. */
  async program(
    entry: string,
    options: {
      readonly args?: readonly string[];
      readonly env?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<Program> {
    this.#programs += 1;
    const logFile = join(this.folder, `program-${databases}-${this.#programs}.log`);
    return this.#owned.use(await Program.start({ entry, logFile, ...options }));
  }

  /** Anything else that ends with the bench, the last first. */
  own<Part extends AsyncDisposable>(part: Part): Part {
    return this.#owned.use(part);
  }

  /** A token of session n, which is person n's. */
  token(number: number, roles: readonly Role[] = ["user"]): string {
    return this.accessTokens.issue({ userId: userIdOf(number), sessionId: sessionIdOf(number), roles });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }

  #serviceEnv(database: Database): Record<string, string> {
    const profile = process.env["BENCH_CPU_PROFILE"];
    return {
      DATABASE_URL: database.url,
      DATA_DIR: join(this.folder, "data"),
      BIND_ADDRESS: "127.0.0.1",
      SIDECAR: "local",
      RATE_LIMITS: "off",
      BCRYPT_COST: "12",
      ...(profile === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` }),
    };
  }
}
