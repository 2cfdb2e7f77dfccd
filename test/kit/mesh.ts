/** The service as it runs in production, on one machine: processes apart, a daprd beside each, RabbitMQ and Redis of a test's own. */

import { join } from "node:path";
import { delay } from "#src/kernel/clock";
import { startConsumerApp, type ConsumerApp } from "./consumer-app.ts";
import { brokerDefinitions, neighbourResources, productionResources, writeDaprSecrets } from "./dapr-resources.ts";
import { createMesh, startDaprd, type Daprd } from "./daprd.ts";
import { cloneDatabase, type TestDatabase } from "./database.ts";
import { serverPort } from "./ports.ts";
import { startRabbit, type Rabbit } from "./rabbitmq.ts";
import { startRedis, type Redis } from "./redis.ts";
import { runFolder } from "./run-folder.ts";
import {
  SIGNING_KEYS,
  startApiProcess,
  startControllerProcess,
  startWorkerProcess,
  type ApiProcess,
  type ServiceProcess,
} from "./service.ts";

/** Programs that a mesh needs: for `describeWithAll`. */
export const MESH_TOOLS = ["daprd", "rabbitmq-server", "redis-server"] as const;

const API_TOKEN = "to-daprd-of-this-test";
const APP_TOKEN = "from-daprd-of-this-test";

/** A process and the daprd beside it. */
export interface Beside<Process> {
  readonly process: Process;
  readonly daprd: Daprd;
}

/** A neighbour with its sidecar, subscribed. */
export interface Consumer {
  readonly app: ConsumerApp;
  readonly daprd: Daprd;
}

export interface MeshOptions {
  /** Apps whose queues for `users.v1` are declared beforehand. */
  readonly neighbours?: readonly string[];
  /** For all of our processes. */
  readonly env?: Readonly<Record<string, string>>;
  /** Seen by every daprd in place of the broker's own: to put a proxy in between. */
  readonly brokerUrl?: (rabbit: Rabbit) => Promise<string>;
  /** Seen by the workers' daprd only. */
  readonly publishersUrl?: (rabbit: Rabbit) => Promise<string>;
}

/** Starts RabbitMQ with its queues declared, Redis and a database; processes are started as a test wants them. */
export async function startMesh(paths: Readonly<Record<string, string>>, options: MeshOptions = {}): Promise<Mesh> {
  await using stack = new AsyncDisposableStack();
  const [database, rabbit, redis, names] = await Promise.all([
    cloneDatabase(),
    brokerDefinitions(options.neighbours ?? []).then((definitions) => startRabbit(paths["rabbitmq-server"] ?? "", { definitions })),
    startRedis(paths["redis-server"] ?? ""),
    createMesh(),
  ]);
  for (const part of [database, rabbit, redis]) stack.use(part);
  const brokerUrl = (await options.brokerUrl?.(rabbit)) ?? rabbit.url;
  const publishersUrl = (await options.publishersUrl?.(rabbit)) ?? brokerUrl;
  const [secretsFile, publishersFile] = [
    join(runFolder(), `secrets-${rabbit.port}.json`),
    join(runFolder(), `publishers-${rabbit.port}.json`),
  ];
  const secrets = { signingKeys: SIGNING_KEYS, redisPort: redis.port };
  await writeDaprSecrets(secretsFile, { ...secrets, brokerUrl });
  await writeDaprSecrets(publishersFile, { ...secrets, brokerUrl: publishersUrl });
  const programs = { daprd: paths["daprd"] ?? "", env: options.env ?? {} };
  return new Mesh({ database, rabbit, redis, names, secretsFile, publishersFile, ...programs }, stack.move());
}

interface Parts {
  readonly database: TestDatabase;
  readonly rabbit: Rabbit;
  readonly redis: Redis;
  readonly names: string;
  readonly secretsFile: string;
  readonly publishersFile: string;
  readonly daprd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Everything started here ends with it, the last first. */
export class Mesh implements AsyncDisposable {
  readonly database: TestDatabase;
  readonly rabbit: Rabbit;
  readonly redis: Redis;
  readonly #parts: Parts;
  readonly #stack: AsyncDisposableStack;

  constructor(parts: Parts, stack: AsyncDisposableStack) {
    this.#parts = parts;
    this.#stack = stack;
    this.database = parts.database;
    this.rabbit = parts.rabbit;
    this.redis = parts.redis;
  }

  /** An API process with its sidecar; several are one app. @param sidecarLateMs the process starts so much before its sidecar */
  async startApi(env: Readonly<Record<string, string>> = {}, sidecarLateMs = 0): Promise<Beside<ApiProcess>> {
    const { daprd, setting } = await this.#sidecar("user-service", sidecarLateMs > 0);
    const starting = startApiProcess({ database: this.database, env: { ...setting, ...this.#parts.env, ...env } });
    const [process] = await Promise.all([starting.then((started) => this.#stack.use(started)), startLate(daprd, sidecarLateMs)]);
    return { process, daprd };
  }

  /** A worker process with its sidecar: it relays. @param sidecarLateMs see `startApi` */
  async startWorker(env: Readonly<Record<string, string>> = {}, sidecarLateMs = 0): Promise<Beside<ServiceProcess>> {
    const { daprd, setting } = await this.#sidecar("user-service-worker", sidecarLateMs > 0, this.#parts.publishersFile);
    const starting = startWorkerProcess({ database: this.database, env: { ...setting, ...this.#parts.env, ...env } });
    const [process] = await Promise.all([starting.then((started) => this.#stack.use(started)), startLate(daprd, sidecarLateMs)]);
    return { process, daprd };
  }

  /** A controller of the cluster that this kubeconfig leads to, with its sidecar. */
  async startController(kubeconfig: string, env: Readonly<Record<string, string>> = {}): Promise<Beside<ServiceProcess>> {
    const { daprd, setting } = await this.#sidecar("user-service-controller");
    const process = this.#stack.use(await startControllerProcess({ ...setting, KUBECONFIG: kubeconfig, ...this.#parts.env, ...env }));
    return { process, daprd };
  }

  /**
   * A neighbour subscribed to `users.v1`; name it in `neighbours` too, or what is published before is lost to it. Its sidecar asks
   * for its health only where a test is about that: an app that is late for a moment makes daprd hold events back (dapr/README.md),
   * and this one shares a process with the test.
   */
  async startConsumer(appId: string, { healthChecked = false } = {}): Promise<Consumer> {
    const app = this.#stack.use(await startConsumerApp());
    const daprd = this.#stack.use(
      await startDaprd(this.#parts.daprd, {
        appId,
        appPort: app.port,
        resources: await neighbourResources(appId, this.#parts.secretsFile),
        ...(healthChecked ? { healthCheckPath: "/healthz", healthThreshold: 8 } : {}),
        mesh: this.#parts.names,
        blockShutdownSeconds: 5,
      }),
    );
    await daprd.ready();
    return { app, daprd };
  }

  /** The sidecar of another app, with no app of its own: to invoke and to publish from, as anybody in the mesh may. */
  async startStranger(appId: string, resources: Readonly<Record<string, string>> = {}): Promise<Daprd> {
    const daprd = this.#stack.use(await startDaprd(this.#parts.daprd, { appId, resources, mesh: this.#parts.names }));
    await daprd.ready();
    return daprd;
  }

  /** A sidecar of ours with the production components, and what its process must be told. */
  async #sidecar(
    appId: string,
    isLate = false,
    secretsFile = this.#parts.secretsFile,
  ): Promise<{ readonly daprd: Daprd; readonly setting: Readonly<Record<string, string>> }> {
    const appPort = await serverPort();
    const daprd = this.#stack.use(
      await startDaprd(this.#parts.daprd, {
        appId,
        appPort,
        resources: await productionResources(secretsFile),
        apiToken: API_TOKEN,
        appToken: APP_TOKEN,
        healthCheckPath: "/healthz",
        blockShutdownSeconds: 20,
        mesh: this.#parts.names,
      }),
    );
    if (isLate) daprd.program.signal("SIGKILL");
    const setting = {
      SIDECAR: "dapr",
      SIDECAR_PORT: String(appPort),
      DAPR_HTTP_PORT: String(daprd.httpPort),
      DAPR_API_TOKEN: API_TOKEN,
      APP_API_TOKEN: APP_TOKEN,
      SECRET_SIGNING_KEYS: "",
    };
    return { daprd, setting };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

async function startLate(daprd: Daprd, lateMs: number): Promise<void> {
  if (lateMs === 0) return;
  await delay(lateMs);
  await daprd.restart();
}
