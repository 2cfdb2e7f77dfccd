/** The service as it runs in production: processes apart, a daprd beside each with the components that ship, RabbitMQ and Redis of the scenario's own. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "#src/embedded/free-port";
import { brokerDefinitions, neighbourResources, productionResources, writeDaprSecrets } from "../../test/kit/dapr-resources.ts";
import { createMesh, startDaprd, type Daprd } from "../../test/kit/daprd.ts";
import { findTool } from "../../test/kit/find-tool.ts";
import { serverPort } from "../../test/kit/ports.ts";
import { startRabbit, type Rabbit } from "../../test/kit/rabbitmq.ts";
import { startRedis } from "../../test/kit/redis.ts";
import { useRunFolder } from "../../test/kit/run-folder.ts";
import type { Api, Bench, Database } from "./bench.ts";
import type { Program } from "./process.ts";

/** daprd's tokens, both ways: what an invocation past it must show as well. */
export const API_TOKEN = "to-daprd-of-the-bench";
export const APP_TOKEN = "from-daprd-of-the-bench";

/** The neighbour whose queue is declared. */
const NEIGHBOUR = "social-service";
const MESH_TOOLS = ["daprd", "rabbitmq-server", "redis-server"] as const;

/** A process and the daprd beside it. */
export interface Beside<Process> {
  readonly process: Process;
  readonly daprd: Daprd;
  /** Where its daprd reaches it. */
  readonly sidecarPort: number;
}

/** Programs by name, or the names of those that are not on this machine. */
export function findTools<Name extends string>(
  ...names: readonly Name[]
): { readonly paths: Readonly<Record<Name, string>> } | { readonly missing: string } {
  const found = names.map((name) => [name, findTool(name)] as const);
  const missing = found.filter(([, path]) => path === undefined).map(([name]) => name);
  if (missing.length > 0) return { missing: `not in TOOLS_DIR nor on PATH: ${missing.join(", ")}; nothing was measured` };
  return { paths: Object.fromEntries(found) as Record<Name, string> };
}

/** RabbitMQ with its queues declared, and Redis; undefined parts are none. Ends with the bench. */
export async function openMesh(bench: Bench): Promise<{ readonly mesh: Mesh } | { readonly missing: string }> {
  const tools = findTools(...MESH_TOOLS);
  if ("missing" in tools) return tools;
  useRunFolder(bench.folder);
  const definitions = await brokerDefinitions([NEIGHBOUR]);
  const rabbit = bench.own(await startRabbit(tools.paths["rabbitmq-server"], { definitions }));
  const redis = bench.own(await startRedis(tools.paths["redis-server"]));
  const secretsFile = join(bench.folder, `secrets-${rabbit.port}.json`);
  const signingKeys = await readFile(join(bench.folder, "data", "secrets", "signing-keys"), "utf8");
  await writeDaprSecrets(secretsFile, { signingKeys, brokerUrl: rabbit.url, redisPort: redis.port });
  return { mesh: new Mesh(bench, { daprd: tools.paths.daprd, rabbit, secretsFile, names: await createMesh() }) };
}

interface Parts {
  readonly daprd: string;
  readonly rabbit: Rabbit;
  readonly secretsFile: string;
  readonly names: string;
}

/** Starts processes with their sidecars. */
export class Mesh {
  readonly rabbit: Rabbit;
  readonly #bench: Bench;
  readonly #parts: Parts;

  constructor(bench: Bench, parts: Parts) {
    this.#bench = bench;
    this.#parts = parts;
    this.rabbit = parts.rabbit;
  }

  /** An API process; several are one app. */
  async api(database: Database): Promise<Beside<Api>> {
    const { daprd, env, sidecarPort } = await this.#sidecar("user-service");
    return { process: await this.#bench.api(database, env), daprd, sidecarPort };
  }

  /** A worker process: it relays. */
  async worker(database: Database): Promise<Beside<Program>> {
    const { daprd, env, sidecarPort } = await this.#sidecar("user-service-worker");
    return { process: await this.#bench.worker(database, env), daprd, sidecarPort };
  }

  /** The controller of the cluster that this kubeconfig leads to, as its only holder. */
  async controller(kubeconfig: string): Promise<Beside<Program>> {
    const { daprd, env, sidecarPort } = await this.#sidecar("user-service-controller");
    const own = { KUBECONFIG: kubeconfig, CLUSTER_NAME: "bench", POD_NAMESPACE: "default", POD_NAME: "bench-controller" };
    const port = await freePort();
    const process = await this.#bench.program("src/main/controller.ts", {
      env: { ...env, ...own, PORT: String(port), BIND_ADDRESS: "127.0.0.1" },
    });
    await process.ready(`http://127.0.0.1:${port}/health/ready`);
    return { process, daprd, sidecarPort };
  }

  /** The sidecar of an app without the app: to invoke and to publish with. */
  async sidecarOf(appId: string): Promise<Daprd> {
    return (await this.#sidecar(appId)).daprd;
  }

  /** A neighbour that listens on `appPort`, subscribed to `users.v1`. */
  async neighbour(appPort: number): Promise<Daprd> {
    const daprd = this.#bench.own(
      await startDaprd(this.#parts.daprd, {
        appId: NEIGHBOUR,
        appPort,
        resources: await neighbourResources(NEIGHBOUR, this.#parts.secretsFile),
        healthCheckPath: "/healthz",
        mesh: this.#parts.names,
      }),
    );
    await daprd.ready();
    return daprd;
  }

  async #sidecar(
    appId: string,
  ): Promise<{ readonly daprd: Daprd; readonly env: Readonly<Record<string, string>>; readonly sidecarPort: number }> {
    const sidecarPort = await serverPort();
    const daprd = this.#bench.own(
      await startDaprd(this.#parts.daprd, {
        appId,
        appPort: sidecarPort,
        resources: await productionResources(this.#parts.secretsFile),
        apiToken: API_TOKEN,
        appToken: APP_TOKEN,
        healthCheckPath: "/healthz",
        mesh: this.#parts.names,
      }),
    );
    await daprd.ready();
    const env = {
      SIDECAR: "dapr",
      SIDECAR_PORT: String(sidecarPort),
      DAPR_HTTP_PORT: String(daprd.httpPort),
      DAPR_API_TOKEN: API_TOKEN,
      APP_API_TOKEN: APP_TOKEN,
    };
    return { daprd, env, sidecarPort };
  }
}
