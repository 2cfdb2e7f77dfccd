/** A Dapr sidecar of a test's own: `daprd` with every port, component and setting given, reached on loopback only. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { asFlags } from "./flags.ts";
import { serverPort, serverPorts } from "./ports.ts";
import type { RunningProgram } from "./process.ts";
import { startProgram } from "./process.ts";
import { runFolder } from "./run-folder.ts";
import { until } from "./until.ts";

/** What a sidecar is started with. */
export interface DaprdOptions {
  readonly appId: string;
  /** Where the app listens on 127.0.0.1; it may start later. None: a sidecar to publish and invoke with only. */
  readonly appPort?: number;
  /** Components, subscriptions and resiliency: file name → YAML. */
  readonly resources: Readonly<Record<string, string>>;
  /** Beside PATH, HOME and TMPDIR. */
  readonly env?: Readonly<Record<string, string>>;
  /** What daprd wants of who calls it, in the header `dapr-api-token`. */
  readonly apiToken?: string;
  /** What daprd sends to the app, in the same header. */
  readonly appToken?: string;
  /** Turns the health check of the app on, once a second. */
  readonly healthCheckPath?: string;
  /** Probes of a second in a row that must fail before the app counts as unwell; 3 when left out. */
  readonly healthThreshold?: number;
  /** YAML of a Configuration. */
  readonly config?: string;
  /** SIGTERM leaves the API open that long, or until the app says it is unhealthy. */
  readonly blockShutdownSeconds?: number;
  /** Default: a free one. */
  readonly httpPort?: number;
  /** Who can invoke whom: sidecars of one mesh. Default: those of the same test file (see `createMesh`). */
  readonly mesh?: string;
}

/** A running sidecar. It keeps its ports and its settings until disposal. */
export interface Daprd extends AsyncDisposable {
  readonly appId: string;
  readonly httpPort: number;
  /** Of its API: `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly apiToken: string | undefined;
  readonly appToken: string | undefined;
  /** Of the last start. */
  readonly program: RunningProgram;
  /** Waits until its components are up and the app may call (`/v1.0/healthz/outbound`). @throws with what daprd said when it ends instead */
  readonly ready: () => Promise<void>;
  /** Starts it again, on the same ports; one that still runs is killed first. Does not wait for `ready`. */
  readonly restart: () => Promise<void>;
}

/** What is looked at of a file's documents. */
interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly ignoreErrors?: boolean };
  readonly scopes?: readonly string[];
}

const READY_WITHIN_MS = 30_000;
let meshOfThisFile: Promise<string> | undefined;

/** Starts the `daprd` at `path` (see `describeWith("daprd", …)`); returns once the program runs, before it is `ready`. */
export async function startDaprd(path: string, options: DaprdOptions): Promise<Daprd> {
  meshOfThisFile ??= createMesh();
  const mesh = options.mesh ?? (await meshOfThisFile);
  const folder = await mkdtemp(join(runFolder(), "daprd-"));
  const ports = await serverPorts("grpc", "internal", "metrics");
  const httpPort = options.httpPort ?? (await serverPort());
  const args = [...flags(options, { ...ports, http: httpPort }), ...(await writeSettings(folder, options, mesh))];
  const env = {
    ...options.env,
    // Else sidecars find each other by the machine's outer address.
    DAPR_HOST_IP: "127.0.0.1",
    ...(options.apiToken === undefined ? {} : { DAPR_API_TOKEN: options.apiToken }),
    ...(options.appToken === undefined ? {} : { APP_API_TOKEN: options.appToken }),
  };
  const start = (): Promise<RunningProgram> => startProgram({ command: path, args, env, cwd: folder });
  let program = await start();
  const url = `http://127.0.0.1:${httpPort}`;
  return {
    appId: options.appId,
    httpPort,
    url,
    apiToken: options.apiToken,
    appToken: options.appToken,
    get program() {
      return program;
    },
    ready: () => untilReady(program, url, options),
    restart: async () => {
      await end(program);
      program = await start();
    },
    [Symbol.asyncDispose]: async () => {
      await end(program);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/**
 * A register by which sidecars find each other. Without one they ask the whole network (mDNS), and the `user-service` of one
 * test would answer the calls of another.
 */
export async function createMesh(): Promise<string> {
  return join(await mkdtemp(join(runFolder(), "mesh-")), "names.db");
}

/** It would wait for its handlers, and for as long as `blockShutdownSeconds` says. */
async function end(program: RunningProgram): Promise<void> {
  program.signal("SIGKILL");
  await program.exited;
}

function flags(options: DaprdOptions, ports: Readonly<Record<"http" | "grpc" | "internal" | "metrics", number>>): string[] {
  const { healthCheckPath, blockShutdownSeconds } = options;
  return asFlags({
    "app-id": options.appId,
    "app-port": options.appPort,
    "dapr-http-port": ports.http,
    "dapr-grpc-port": ports.grpc,
    "dapr-listen-addresses": "127.0.0.1",
    "dapr-internal-grpc-port": ports.internal,
    "dapr-internal-grpc-listen-address": "127.0.0.1",
    "metrics-port": ports.metrics,
    "metrics-listen-address": "127.0.0.1",
    // Neither is there, and it would go on looking.
    "placement-host-address": "",
    "scheduler-host-address": "",
    ...(healthCheckPath === undefined
      ? {}
      : {
          "enable-app-health-check": true,
          "app-health-check-path": healthCheckPath,
          "app-health-probe-interval": 1,
          "app-health-probe-timeout": 900,
          "app-health-threshold": options.healthThreshold ?? 3,
        }),
    "dapr-block-shutdown-duration": blockShutdownSeconds === undefined ? undefined : `${blockShutdownSeconds}s`,
  });
}

async function writeSettings(folder: string, options: DaprdOptions, mesh: string): Promise<string[]> {
  const resources = join(folder, "resources");
  await mkdir(resources);
  for (const [name, yaml] of Object.entries(options.resources)) await writeFile(join(resources, name), yaml);
  const configurations = [meshConfiguration(mesh), ...(options.config === undefined ? [] : [options.config])];
  const files = configurations.map((_, index) => join(folder, `configuration-${index}.yaml`));
  await Promise.all(files.map((file, index) => writeFile(file, configurations[index] as string)));
  return ["--resources-path", resources, ...files.flatMap((file) => ["--config", file])];
}

function meshConfiguration(file: string): string {
  return `apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: mesh
spec:
  nameResolution:
    component: sqlite
    configuration:
      connectionString: ${JSON.stringify(file)}
      # One that does not get to renew its name in time ends itself ("Host registration lost"): 5 s are short on a busy machine.
      updateInterval: 60s
      timeout: 10s
      busyTimeout: 8s
`;
}

async function untilReady(program: RunningProgram, url: string, options: DaprdOptions): Promise<void> {
  const headers = { connection: "close", ...(options.apiToken === undefined ? {} : { "dapr-api-token": options.apiToken }) };
  const ask = (path: string): Promise<Response> => fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(2_000) });
  const expected = componentsOf(options);
  const probe = async (): Promise<"ready" | "ended" | undefined> => {
    const health = await ask("/v1.0/healthz/outbound");
    await health.arrayBuffer();
    if (!health.ok) return undefined;
    // It says so for a moment as well when a component has failed and it is about to end.
    const metadata = await ask("/v1.0/metadata");
    if (!metadata.ok) throw new Error(`metadata: ${metadata.status} ${await metadata.text()}`);
    const { components = [] } = (await metadata.json()) as { components?: readonly { readonly name: string }[] };
    return expected.every((name) => components.some((component) => component.name === name)) ? "ready" : undefined;
  };
  const ended = program.exited.then(() => "ended" as const);
  const answer = await until(() => Promise.race([probe(), ended]), { withinMs: READY_WITHIN_MS, what: "daprd to be ready" }).catch(String);
  if (answer !== "ready") throw new Error(`daprd is not ready: ${answer}; it said:\n${program.output}`);
}

/** Those that daprd must have loaded. */
function componentsOf({ resources, appId }: DaprdOptions): string[] {
  const documents = Object.values(resources).flatMap((yaml) =>
    parseAllDocuments(yaml).map((document) => document.toJS() as Resource | null),
  );
  return documents
    .filter(
      (resource) => resource?.kind === "Component" && resource.spec?.ignoreErrors !== true && (resource.scopes ?? [appId]).includes(appId),
    )
    .map((resource) => (resource as Resource).metadata.name);
}
