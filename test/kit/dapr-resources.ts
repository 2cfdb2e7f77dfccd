/** What sidecars are told, from the files that ship in `dapr/`: production's, with a file in place of the cluster's secret store. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const DAPR_FOLDER = join(import.meta.dirname, "..", "..", "dapr");
const PRODUCTION = ["pubsub.yaml", "state.yaml", "resiliency.yaml"];
const NEIGHBOUR = ["subscription.yaml", "resiliency.yaml"];

/** File name → YAML, as `startDaprd` takes it. */
export type DaprResources = Readonly<Record<string, string>>;

/** What the components ask the secret store for. */
export interface DaprSecrets {
  readonly signingKeys: string;
  /** AMQP, with user and password. */
  readonly brokerUrl: string;
  readonly redisPort: number;
}

/** Writes the file that stands for the secret store. */
export async function writeDaprSecrets(file: string, { signingKeys, brokerUrl, redisPort }: DaprSecrets): Promise<void> {
  const secrets = {
    "signing-keys": signingKeys,
    "user-service-broker": { url: brokerUrl },
    "neighbour-broker": { url: brokerUrl },
    "user-service-redis": { host: `127.0.0.1:${redisPort}`, password: "" },
  };
  await writeFile(file, JSON.stringify(secrets), { mode: 0o600 });
}

/** For sidecars of ours. @param secretsFile see `writeDaprSecrets` */
export async function productionResources(secretsFile: string): Promise<DaprResources> {
  const texts = await Promise.all(PRODUCTION.map(async (name) => [name, await shipped("production", name)] as const));
  return { ...Object.fromEntries(texts), "secrets.yaml": secretStore(secretsFile) };
}

/** For a neighbour that subscribes to `users.v1`, as it would copy them. */
export async function neighbourResources(appId: string, secretsFile: string): Promise<DaprResources> {
  return { "secrets.yaml": secretStore(secretsFile), ...(await neighbourSubscription(appId)) };
}

/** The same without a secret store. */
export async function neighbourSubscription(appId: string): Promise<DaprResources> {
  const texts = await Promise.all(NEIGHBOUR.map(async (name) => [name, await shipped("neighbour", name)] as const));
  return Object.fromEntries(texts.map(([name, text]) => [name, text.replaceAll(/\bneighbour\b(?!-broker)/g, appId)]));
}

interface Definitions {
  readonly exchanges: readonly { readonly name: string }[];
  readonly queues: readonly { readonly name: string }[];
  readonly bindings: readonly { readonly source: string; readonly destination: string }[];
}

/** As `neighbour/subscription.yaml` declares it. */
const IN_ORDER = { "x-queue-type": "quorum", "x-single-active-consumer": true };

/** The broker's definitions as shipped, with queues for each neighbour and for its dead letters as its own part of them would have. */
export async function brokerDefinitions(neighbours: readonly string[]): Promise<object> {
  const ours = JSON.parse(await shipped("production", "rabbitmq-definitions.json")) as Definitions;
  const [exchange, queue, binding] = [ours.exchanges[0], ours.queues[0], ours.bindings[0]];
  const dead = neighbours.map(deadLettersOf);
  return {
    ...ours,
    exchanges: [...ours.exchanges, ...dead.map((name) => ({ ...exchange, name }))],
    queues: [
      ...ours.queues,
      ...neighbours.map((app) => ({ ...queue, name: `${app}-users.v1`, arguments: IN_ORDER })),
      ...dead.map((name) => ({ ...queue, name })),
    ],
    bindings: [
      ...ours.bindings,
      ...neighbours.map((app) => ({ ...binding, source: "users.v1", destination: `${app}-users.v1` })),
      ...dead.map((name) => ({ ...binding, source: name, destination: name })),
    ],
  };
}

/** Topic and queue of what a neighbour could not be brought. */
export function deadLettersOf(appId: string): string {
  return `${appId}-users.v1.dead`;
}

async function shipped(...path: readonly string[]): Promise<string> {
  return await readFile(join(DAPR_FOLDER, ...path), "utf8");
}

function secretStore(file: string): string {
  return `apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: secrets }
spec:
  type: secretstores.local.file
  version: v1
  metadata:
    - { name: secretsFile, value: ${JSON.stringify(file)} }
    - { name: multiValued, value: "true" }
`;
}
