/** What stands around the service in a whole cluster: its servers, and another app that hears of users. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "../kit/cluster.ts";
import { brokerDefinitions, neighbourSubscription } from "../kit/dapr-resources.ts";
import { brokerAccount } from "../kit/rabbitmq.ts";

const PORTS = { postgres: 5432, redis: 6379, rabbitmq: 5672 } as const;
/** Shares of two cores: without a request they would have next to none of them while a pod starts. */
const CPU = { postgres: "250m", redis: "20m", rabbitmq: "100m" } as const;
const READY_WITHIN = "180s";
export const NEIGHBOUR = "social-service";

/** Starts PostgreSQL with an empty database, Redis, and RabbitMQ with its queues, in the namespace `servers`. */
export async function startServers(cluster: Cluster): Promise<void> {
  const documents = Object.entries(cluster.servers).flatMap(([name, server]) => serverOf(name as keyof typeof PORTS, server));
  await apply(cluster, [{ apiVersion: "v1", kind: "Namespace", metadata: { name: "servers" } }, await brokerFiles(), ...documents]);
  await cluster.kubectl(["-n", "servers", "wait", "--for=condition=Available", "deployment", "--all", `--timeout=${READY_WITHIN}`]);
  await cluster.kubectl(inServer("postgres", "psql", "-U", "postgres", "-c", "create database videa_mozi_users"));
}

/** What one statement says, as text. */
export async function ask(cluster: Cluster, statement: string): Promise<string> {
  return (await cluster.kubectl(inServer("postgres", "psql", "-U", "postgres", "-Atc", statement, "videa_mozi_users"))).trim();
}

/** What the broker has from its start on. */
async function brokerFiles(): Promise<object> {
  const definitions = JSON.stringify({ ...brokerAccount(), ...(await brokerDefinitions([NEIGHBOUR])) });
  const data = { "definitions.conf": "load_definitions = /etc/rabbitmq/definitions.json\n", "definitions.json": definitions };
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "rabbitmq", namespace: "servers" }, data };
}

const BROKER_FILES = {
  volumes: [{ name: "files", configMap: { name: "rabbitmq" } }],
  mounts: [
    { name: "files", mountPath: "/etc/rabbitmq/conf.d/20-definitions.conf", subPath: "definitions.conf" },
    { name: "files", mountPath: "/etc/rabbitmq/definitions.json", subPath: "definitions.json" },
  ],
};

function inServer(name: keyof typeof PORTS, ...command: readonly string[]): string[] {
  return ["-n", "servers", "exec", "-i", `deployment/${name}`, "--", ...command];
}

function serverOf(name: keyof typeof PORTS, { image, args }: Cluster["servers"]["redis"]): object[] {
  const labels = { app: name };
  const port = PORTS[name];
  const { volumes, mounts: volumeMounts } = name === "rabbitmq" ? BROKER_FILES : { volumes: [], mounts: [] };
  const resources = { requests: { cpu: CPU[name] } };
  const readinessProbe = { tcpSocket: { port }, periodSeconds: 1, failureThreshold: 120 };
  const container = { name, image, args, volumeMounts, resources, readinessProbe };
  const metadata = { name, namespace: "servers" };
  return [
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [container], volumes } } },
    },
    { apiVersion: "v1", kind: "Service", metadata, spec: { selector: labels, ports: [{ port }] } },
  ];
}

/** Starts the other app with a sidecar of its own, in a namespace of its own. */
export async function startNeighbour(cluster: Cluster): Promise<void> {
  await apply(cluster, [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: NEIGHBOUR } },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "neighbour-broker", namespace: NEIGHBOUR },
      stringData: { url: "amqp://guest:guest@rabbitmq.servers:5672" },
    },
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "program", namespace: NEIGHBOUR },
      data: { "neighbour.mjs": await readFile(join(import.meta.dirname, "neighbour.mjs"), "utf8") },
    },
    {
      apiVersion: "dapr.io/v1alpha1",
      kind: "Component",
      metadata: { name: "secrets", namespace: NEIGHBOUR },
      spec: { type: "secretstores.kubernetes", version: "v1", metadata: [] },
    },
    ...secretReading(),
    neighbourDeployment(cluster),
  ]);
  for (const text of Object.values(await neighbourSubscription(NEIGHBOUR)))
    await cluster.kubectl(["-n", NEIGHBOUR, "apply", "-f", "-"], text);
  // The sidecar reads its resources at its start.
  await cluster.kubectl(["-n", NEIGHBOUR, "scale", "deployment", NEIGHBOUR, "--replicas=1"]);
  await cluster.kubectl(["-n", NEIGHBOUR, "rollout", "status", "deployment", NEIGHBOUR, `--timeout=${READY_WITHIN}`]);
}

function secretReading(): object[] {
  const metadata = { name: NEIGHBOUR, namespace: NEIGHBOUR };
  const group = "rbac.authorization.k8s.io";
  return [
    {
      apiVersion: `${group}/v1`,
      kind: "Role",
      metadata,
      rules: [{ apiGroups: [""], resources: ["secrets"], resourceNames: ["neighbour-broker"], verbs: ["get"] }],
    },
    {
      apiVersion: `${group}/v1`,
      kind: "RoleBinding",
      metadata,
      subjects: [{ kind: "ServiceAccount", name: "default", namespace: NEIGHBOUR }],
      roleRef: { apiGroup: group, kind: "Role", name: NEIGHBOUR },
    },
  ];
}

function neighbourDeployment({ image }: Cluster): object {
  const labels = { app: NEIGHBOUR };
  const annotations = {
    "dapr.io/enabled": "true",
    "dapr.io/app-id": NEIGHBOUR,
    "dapr.io/app-port": "8080",
  };
  const container = {
    name: "app",
    image: `${image.repository}:${image.tag}`,
    command: ["node", "/program/neighbour.mjs"],
    ports: [{ containerPort: 8080 }],
    readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 },
    volumeMounts: [{ name: "program", mountPath: "/program" }],
    resources: { requests: { cpu: "50m" } },
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: NEIGHBOUR, namespace: NEIGHBOUR },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations },
        spec: { containers: [container], volumes: [{ name: "program", configMap: { name: "program" } }] },
      },
    },
  };
}

/** What the other app has noted: as `ConsumerApp` of the other tests, over HTTP. */
export interface NeighbourNotes {
  readonly events: readonly { readonly type: string; readonly subject: string }[];
  readonly applied: Readonly<Record<string, number>>;
  readonly gaps: readonly string[];
}

/** Asks it, at its pod's own address. */
export async function neighbourNotes(cluster: Cluster): Promise<NeighbourNotes> {
  const address = await cluster.kubectl([
    "-n",
    NEIGHBOUR,
    "get",
    "pods",
    "-l",
    `app=${NEIGHBOUR}`,
    "-o",
    "jsonpath={.items[0].status.podIP}",
  ]);
  return (await (await fetch(`http://${address}:8080/notes`)).json()) as NeighbourNotes;
}

/** Applies objects as JSON documents. */
export async function apply(cluster: Cluster, objects: readonly object[]): Promise<void> {
  await cluster.kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
}
