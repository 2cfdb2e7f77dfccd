/**
 * What compose.yaml would start, started without Docker: the same environments, daprd flags, mounted files and definitions, with real
 * servers in place of the images. Only addresses, ports and paths are others, since all of it shares one machine.
 */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { createMesh } from "../kit/daprd.ts";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import { flagsOf, mountsOf, readCompose, serviceOf, type Compose } from "../kit/compose.ts";
import { asFlags } from "../kit/flags.ts";
import { HttpClient } from "../kit/http-client.ts";
import { startMailServer, type MailServer } from "../kit/mail-server.ts";
import { MESH_TOOLS } from "../kit/mesh.ts";
import { serverPorts } from "../kit/ports.ts";
import { startProgram, startService, type RunningProgram } from "../kit/process.ts";
import { startRabbit, type Rabbit } from "../kit/rabbitmq.ts";
import { describeWithAll } from "../kit/requires.ts";
import { runFolder } from "../kit/run-folder.ts";
import { registerPeople, type SignedInBody } from "../kit/service.ts";
import { until } from "../kit/until.ts";

const STARTS_WITHIN_MS = 120_000;
const root = join(import.meta.dirname, "..", "..");

/** Where a process and its sidecar listen. */
type Ports = Readonly<Record<"public" | "sidecar" | "http" | "grpc" | "internal" | "metrics", number>>;

interface Started {
  readonly program: RunningProgram;
  readonly daprd: RunningProgram;
  readonly ports: Ports;
}

describeWithAll(MESH_TOOLS, "what compose.yaml starts", (paths) => {
  const stack = new AsyncDisposableStack();
  let compose: Compose;
  let database: TestDatabase;
  let rabbit: Rabbit;
  let redisPort: number;
  let mail: MailServer;
  let mesh: string;
  let secretsFile: string;
  let api: Started;
  let worker: Started;

  beforeAll(async () => {
    compose = await readCompose();
    ({ redisPort } = await startRedis());
    [database, mail, rabbit, mesh] = await Promise.all([
      cloneDatabase(),
      startMailServer({ tls: "none" }),
      definitions().then((loaded) => startRabbit(paths["rabbitmq-server"] ?? "", { definitions: loaded })),
      createMesh(),
    ]);
    stack.use(database);
    stack.use(rabbit);
    stack.use(mail);
    await migrate();
    secretsFile = await makeSecrets();
    [api, worker] = await Promise.all([start("api"), start("worker")]);
  }, STARTS_WITHIN_MS);
  afterAll(() => stack.disposeAsync());

  it(
    "serves, shares its throttles, gets back by the broker what it published, and sends mail",
    async () => {
      using http = new HttpClient(`http://127.0.0.1:${api.ports.public}`);
      await api.program.line(/api is ready/, STARTS_WITHIN_MS);
      await worker.program.line(/worker is ready/, STARTS_WITHIN_MS);
      const { ann } = await registerPeople(http, ["ann", "bob"]);

      const relayed = async (): Promise<boolean> => {
        const now = await figures(worker.ports.public);
        return Number(now.get("relay_published")) >= 2 && now.get("outbox_waiting") === 0;
      };
      await until(relayed, { withinMs: 60_000, everyMs: 100, what: "both events to be published, and their receipts" });
      const states = async (): Promise<Record<string, string>> => {
        const { body } = await http.get<{ services: Record<string, { state: string }> }>("/health/services");
        return Object.fromEntries(Object.entries(body.services).map(([name, { state }]) => [name, state]));
      };
      await until(async () => Object.values(await states()).every((state) => state === "up"), { withinMs: 30_000, what: "all to be up" });
      expect(new Set(Object.keys(await states()))).toEqual(
        new Set(["database", "sidecar", "events", "revocations", "signing_keys", "throttles", "redis"]),
      );

      const admin = await http.post<SignedInBody>("/api/auth/login", { emailOrUsername: "admin", password: "development" });
      const ban = { kind: "ban", reason: "spam", message: "Please stop." };
      await http.post(`/api/moderation/users/${ann.id}/restrictions`, ban, admin.body.accessToken);
      await until(() => mail.received.some(({ to }) => to.includes(ann.email)), { withinMs: 60_000, what: "the mail on the ban" });
      for (const { program } of [api, worker]) expect(program.output).not.toContain('"level":"error"');
    },
    STARTS_WITHIN_MS,
  );

  it("shows on the dashboard only figures that there are", async () => {
    const ports = [api, worker].flatMap(({ ports: each }) => [each.public, each.metrics]);
    const exposed = new Set((await Promise.all(ports.map(namesAt))).flat());
    const shown = await figuresOfTheDashboard();

    expect(shown.length).toBeGreaterThan(20);
    expect(shown.filter((name) => !exposed.has(name))).toEqual([]);
  });

  /** Accounts and topology, as the broker's folder of definitions has them. */
  async function definitions(): Promise<object> {
    const files = mountsOf(serviceOf(compose, "rabbitmq")).filter(({ target }) => target.endsWith(".json"));
    const parts = await Promise.all(files.map(async ({ source }) => JSON.parse(await readFile(join(root, source), "utf8")) as object));
    // Its delivery limit of -1 is for RabbitMQ 4: an older one would take it for "never twice".
    return { ...Object.assign({}, ...parts), policies: [] };
  }

  async function startRedis(): Promise<{ readonly redisPort: number }> {
    const { redis } = await serverPorts("redis");
    const [, ...args] = serviceOf(compose, "redis").command ?? [];
    const places = ["--port", String(redis), "--bind", "127.0.0.1", "--dir", "/"];
    const program = stack.use(await startProgram({ command: paths["redis-server"] ?? "", args: [...args, ...places] }));
    await program.line(/Ready to accept connections/);
    return { redisPort: redis };
  }

  /** The text of an environment with the addresses of compose's network turned into those of this machine. */
  function here(environment: Readonly<Record<string, string>> = {}): Record<string, string> {
    const addresses = (value: string): string =>
      value
        .replace("@rabbitmq:5672", `@127.0.0.1:${rabbit.port}`)
        .replace("redis:6379", `127.0.0.1:${redisPort}`)
        .replace("mail:1025", `127.0.0.1:${mail.port}`);
    const moved = Object.entries(environment).map(([name, value]) => [name, addresses(value)] as const);
    return { ...Object.fromEntries(moved), ...("DATABASE_URL" in environment ? { DATABASE_URL: database.url } : {}) };
  }

  async function migrate(): Promise<void> {
    const { command, environment } = serviceOf(compose, "migrate");
    const program = await startService({ entry: entryOf(command), env: here(environment) });
    expect({ exit: await program.exited, output: program.output }).toMatchObject({ exit: { code: 0 } });
  }

  async function makeSecrets(): Promise<string> {
    const service = serviceOf(compose, "secrets");
    const script = mountsOf(service).find(({ target }) => target === "/app/make-secrets.js")?.source ?? "";
    const file = join(runFolder(), `compose-secrets-${rabbit.port}.json`);
    const keysEntry = join(root, "src", "main", "keys.ts");
    const program = await startService({ entry: join(root, script), args: [file, keysEntry], env: here(service.environment), cwd: root });
    expect({ exit: await program.exited, output: program.output }).toMatchObject({ exit: { code: 0 } });
    return file;
  }

  async function start(name: "api" | "worker"): Promise<Started> {
    const ports = await serverPorts("public", "sidecar", "http", "grpc", "internal", "metrics");
    const daprd = await startSidecar(`${name}-daprd`, ports);
    const { command, environment } = serviceOf(compose, name);
    const env = {
      ...here(environment),
      PORT: String(ports.public),
      SIDECAR_PORT: String(ports.sidecar),
      DAPR_HTTP_PORT: String(ports.http),
      DATA_DIR: join(runFolder(), "no-data-dir"),
    };
    return { program: stack.use(await startService({ entry: entryOf(command), env })), daprd, ports };
  }

  async function startSidecar(name: string, ports: Ports): Promise<RunningProgram> {
    const service = serviceOf(compose, name);
    const folder = join(runFolder(), `compose-${name}-${ports.http}`);
    await mkdir(join(folder, "resources"), { recursive: true });
    const mounts = mountsOf(service).filter((mount) => mount.isFile);
    for (const { source, target } of mounts) {
      const text = await readFile(join(root, source), "utf8");
      await writeFile(join(folder, target), text.replace("/secrets/secrets.json", secretsFile));
    }
    // Beside what compose says: other tests have sidecars of the same names on this machine.
    await writeFile(join(folder, "names.yaml"), namesIn(mesh));
    const flags = Object.fromEntries(flagsOf(service));
    const args = asFlags({
      ...flags,
      "app-port": ports.sidecar,
      "dapr-http-port": ports.http,
      "metrics-port": ports.metrics,
      "dapr-grpc-port": ports.grpc,
      "dapr-internal-grpc-port": ports.internal,
      "resources-path": join(folder, String(flags["resources-path"])),
      config: [join(folder, String(flags["config"])), join(folder, "names.yaml")].join(","),
    });
    return stack.use(await startProgram({ command: paths["daprd"] ?? "", args, env: service.environment ?? {}, cwd: folder }));
  }
});

/** `node … dist/main/api.js` → the source that it is built from. */
function entryOf(command: readonly string[] = []): string {
  const [, name] = /^dist\/main\/([a-z]+)\.js$/.exec(command.at(-1) ?? "") ?? [];
  if (name === undefined) throw new Error(`${command.join(" ")} starts no process of ours`);
  return join(root, "src", "main", `${name}.ts`);
}

function namesIn(file: string): string {
  const nameResolution = { component: "sqlite", configuration: { connectionString: file, updateInterval: "60s", timeout: "10s" } };
  return JSON.stringify({ apiVersion: "dapr.io/v1alpha1", kind: "Configuration", metadata: { name: "names" }, spec: { nameResolution } });
}

/** Name → the last value, of a process' `/metrics`. */
async function figures(port: number): Promise<Map<string, number>> {
  const text = await metricsAt(port);
  return new Map([...text.matchAll(/^([a-z_]+)(?:\{.*\})? (\S+)/gm)].map(([, name = "", value]) => [name, Number(value)]));
}

/** What may be asked for, also of figures that have no value yet. */
async function namesAt(port: number): Promise<string[]> {
  const kinds = [...(await metricsAt(port)).matchAll(/^# TYPE (\w+) (\w+)$/gm)];
  return kinds.flatMap(([, name = "", kind]) => (kind === "histogram" ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name]));
}

async function metricsAt(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: "close" } });
  return await response.text();
}

interface Panel {
  readonly targets?: readonly { readonly datasource: { readonly type: string }; readonly expr: string }[];
}

/** Functions, keywords and labels of PromQL are followed by a bracket, or stand within one after `by`. */
async function figuresOfTheDashboard(): Promise<string[]> {
  const text = await readFile(join(root, "compose", "grafana", "dashboards", "user-service.json"), "utf8");
  const { panels } = JSON.parse(text) as { readonly panels: readonly Panel[] };
  const queries = panels.flatMap(({ targets = [] }) => targets.filter(({ datasource }) => datasource.type === "prometheus"));
  const names = queries.flatMap(({ expr }) => {
    const bare = expr.replaceAll(/\bby \([^)]*\)/g, "").replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, "");
    return [...bare.matchAll(/\b[a-z_]{3,}\b(?!\s*\()/g)].map(([name]) => name);
  });
  return [...new Set(names)];
}
