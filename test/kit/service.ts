/** Real processes of the service on a test's database, and the people in it. */

import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { generateKeyRing } from "#src/features/sessions/key-ring";
import type { Answer } from "./http-client.ts";
import { HttpClient } from "./http-client.ts";
import type { Exit, RunningProgram } from "./process.ts";
import { startService } from "./process.ts";
import { runFolder } from "./run-folder.ts";
import { SocketClient } from "./socket-client.ts";
import { Subscriber } from "./subscriber.ts";

const ENTRIES = fileURLToPath(new URL("../../src/main/", import.meta.url));
/** Processes of one test run share their signing keys, as those of one service do. */
export const SIGNING_KEYS = generateKeyRing();

/** Several start at once in some tests, on two cores; and one waits a minute for its sidecar. */
const STARTS_WITHIN_MS = 90_000;

/** What a process runs on. */
export interface ProcessSetup {
  readonly database: { readonly url: string };
  /** Over the defaults of tests: no rate limits, cheap hashes, a free port. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One process of the service. Disposal ends it, politely at first. */
export class ServiceProcess implements AsyncDisposable {
  readonly program: RunningProgram;

  constructor(program: RunningProgram) {
    this.program = program;
  }

  get pid(): number {
    return this.program.pid;
  }

  /** As a machine that loses power. */
  kill(): Promise<Exit> {
    return this.program.stop("SIGKILL");
  }

  /** As an orchestrator or a terminal does. */
  stop(signal: "SIGTERM" | "SIGINT" = "SIGTERM", withinMs = 20_000): Promise<Exit> {
    return this.program.stop(signal, withinMs);
  }

  freeze(): void {
    this.program.signal("SIGSTOP");
  }

  wake(): void {
    this.program.signal("SIGCONT");
  }

  /** Lines of its log at level `error`: things that somebody would have to look at. */
  errors(): readonly string[] {
    return this.program.output.split("\n").filter((line) => line.includes(`"level":"error"`));
  }

  /** Whole lines of its log that contain `text`. They come by a pipe, later than the answer to what caused them: wait for them. */
  logged(text: string): readonly Readonly<Record<string, unknown>>[] {
    const lines = this.program.output.split("\n").slice(0, -1);
    return lines.filter((line) => line.includes(text)).map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.program[Symbol.asyncDispose]();
  }
}

/** A process that answers. */
export class ApiProcess extends ServiceProcess {
  readonly port: number;
  readonly url: string;
  readonly http: HttpClient;

  constructor(program: RunningProgram, port: number) {
    super(program);
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.http = new HttpClient(this.url);
  }

  /** A socket of whoever has this token. @throws ConnectRefused */
  socket(token?: string): Promise<SocketClient> {
    return SocketClient.open(this.url, token);
  }

  /** A connection for subscriptions of whoever has this token. @throws Error naming the close code */
  subscriber(token?: string): Promise<Subscriber> {
    return new Subscriber(this.url, token).enters();
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.http[Symbol.dispose]();
    await super[Symbol.asyncDispose]();
  }
}

/** Starts `npm run api` as the image does, and returns when it serves. */
export async function startApiProcess(setup: ProcessSetup): Promise<ApiProcess> {
  const program = await startEntry("api.ts", setup);
  const [, port] = await program
    .line(/"message":"api is ready".*?"port":(\d+)|"port":(\d+).*?"message":"api is ready"/, STARTS_WITHIN_MS)
    .then(portOf, endAndThrow(program));
  return new ApiProcess(program, Number(port));
}

function portOf([line, first, second]: RegExpMatchArray): [string, number] {
  return [line, Number(first ?? second)];
}

/** Starts `npm run worker`, and returns when it works. */
export async function startWorkerProcess(setup: ProcessSetup): Promise<ServiceProcess> {
  const program = await startEntry("worker.ts", setup);
  await program.line(/worker is ready/, STARTS_WITHIN_MS).catch(endAndThrow(program));
  return new ServiceProcess(program);
}

/** Starts `npm run controller` with these variables (KUBECONFIG and those of its sidecar), and returns when it has begun. */
export async function startControllerProcess(env: Readonly<Record<string, string>>): Promise<ServiceProcess> {
  const program = await startService({ entry: join(ENTRIES, "controller.ts"), env });
  await program.line(/controller is ready/, STARTS_WITHIN_MS).catch(endAndThrow(program));
  return new ServiceProcess(program);
}

/** Where a standalone process keeps its things, and what else it is told. */
export interface StandaloneSetup {
  readonly dataDir: string;
  readonly port: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts what `npm start` starts, with an embedded PostgreSQL, and returns when it says that it is ready. */
export async function startStandaloneProcess(setup: StandaloneSetup): Promise<ApiProcess> {
  const { dataDir, port, env } = setup;
  const program = await startService({ entry: join(ENTRIES, "standalone.ts"), env: { DATA_DIR: dataDir, PORT: String(port), ...env } });
  await program.line(/^Ready\./m, STARTS_WITHIN_MS).catch(endAndThrow(program));
  return new ApiProcess(program, port);
}

/** An empty DATA_DIR that goes with the test run. */
export async function emptyDataDir(): Promise<string> {
  return await mkdtemp(join(runFolder(), "data-dir-"));
}

async function startEntry(entry: string, { database, env }: ProcessSetup): Promise<RunningProgram> {
  return await startService({
    entry: join(ENTRIES, entry),
    env: {
      DATABASE_URL: database.url,
      DATA_DIR: join(runFolder(), "no-data-dir"),
      SECRET_SIGNING_KEYS: SIGNING_KEYS,
      PORT: "0",
      BIND_ADDRESS: "127.0.0.1",
      SIDECAR: "local",
      RATE_LIMITS: "off",
      BCRYPT_COST: "4",
      ...env,
    },
  });
}

function endAndThrow(program: RunningProgram): (error: unknown) => Promise<never> {
  return async (error) => {
    await program[Symbol.asyncDispose]();
    throw error;
  };
}

/** Somebody signed in. */
export interface SignedIn {
  readonly id: string;
  readonly username: string;
  readonly email: string;
  readonly password: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly sessionId: string;
}

/** What register and login answer. */
export interface SignedInBody {
  readonly user: { readonly id: string; readonly username: string; readonly email: string };
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly session: { readonly id: string };
  readonly restriction?: { readonly kind: string };
}

const PASSWORD = "correct horse battery";

/** Registers `username` over HTTP. @throws Error unless it is answered 201 */
export async function registerPerson(http: HttpClient, username: string): Promise<SignedIn> {
  const email = `${username}@example.com`;
  return signedIn(await http.post<SignedInBody>("/api/auth/register", { email, username, password: PASSWORD }), 201);
}

/** Registers everybody named. */
export async function registerPeople<Name extends string>(http: HttpClient, names: readonly Name[]): Promise<Record<Name, SignedIn>> {
  const made = await Promise.all(names.map(async (name) => [name, await registerPerson(http, name)] as const));
  return Object.fromEntries(made) as Record<Name, SignedIn>;
}

/** Signs in over HTTP. @throws Error unless it is answered 200 */
export async function logIn(http: HttpClient, emailOrUsername: string, password = PASSWORD): Promise<SignedIn> {
  return signedIn(await http.post<SignedInBody>("/api/auth/login", { emailOrUsername, password }), 200, password);
}

function signedIn(answer: Answer<SignedInBody>, expected: number, password = PASSWORD): SignedIn {
  if (answer.status !== expected) throw new Error(`${answer.status} instead of ${expected}: ${JSON.stringify(answer.body)}`);
  const { user, accessToken, refreshToken, session } = answer.body;
  return { id: user.id, username: user.username, email: user.email, password, accessToken, refreshToken, sessionId: session.id };
}

/** Makes somebody staff, as no route does yet. Their sessions of before do not know. */
export async function makeStaff(
  database: { readonly adminUrl: string },
  person: { readonly id: string },
  role: "moderator" | "admin",
): Promise<void> {
  await onDatabase(database.adminUrl, "update users set roles = array['user', $2] where id = $1", [person.id, role]);
}

/** One statement on a connection of its own. */
export async function onDatabase<Row extends object>(url: string, text: string, values: readonly unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  // A server that is killed between the answer and the end is told of nowhere else.
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end();
  }
}
