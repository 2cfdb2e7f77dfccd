/** The chart in tests: rendered by Helm and looked at as the objects that a cluster would get. */

import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { runFolder } from "../kit/run-folder.ts";

const ROOT = join(import.meta.dirname, "..", "..");
export const CHART = join(ROOT, "charts", "user-service");
const WITHIN_MS = 60_000;

/** How a program ended and what it said. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Helm's own files are of this test run, not of whoever runs it. */
export function run(command: string, args: readonly string[], options: { kubeconfig?: string; input?: string } = {}): Promise<Ran> {
  const { PATH = "/usr/bin:/bin" } = process.env;
  const folders = Object.fromEntries(["CACHE", "CONFIG", "DATA"].map((one) => [`HELM_${one}_HOME`, join(runFolder(), `helm-${one}`)]));
  const env = { PATH, HOME: runFolder(), ...folders, ...(options.kubeconfig === undefined ? {} : { KUBECONFIG: options.kubeconfig }) };
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [...args],
      { env, timeout: WITHIN_MS, killSignal: "SIGKILL", maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr }),
    );
    child.stdin?.end(options.input ?? "");
  });
}

/** Values as a person would give them: by path, in the syntax of `--set-json`. */
export type Values = Readonly<Record<string, unknown>>;

/** What has to be set. */
export const REQUIRED: Values = { publicUrl: "https://id.example.com", "mail.from": "no-reply@example.com" };

/** As arguments of helm. */
export function asArguments(values: Values): string[] {
  return Object.entries(values).flatMap(([path, value]) => ["--set-json", `${path}=${JSON.stringify(value)}`]);
}

/** Any Kubernetes object; tests look at fields they know. */
// oxlint-disable-next-line typescript/no-explicit-any -- objects of many kinds
export type Manifest = any;

/** One rendering. */
export class Rendered {
  readonly yaml: string;
  readonly objects: readonly Manifest[];

  constructor(yaml: string) {
    this.yaml = yaml;
    this.objects = parseAllDocuments(yaml)
      .map((document) => document.toJS() as Manifest)
      .filter((object) => object !== null);
  }

  all(kind: string): Manifest[] {
    return this.objects.filter((object) => object.kind === kind);
  }

  /** @throws Error when it is not there */
  one(kind: string, name: string): Manifest {
    const found = this.all(kind).filter((object) => object.metadata.name === name);
    if (found.length !== 1) throw new Error(`${kind} ${name} is there ${found.length} times`);
    return found[0];
  }

  /** Each pod that the chart describes. */
  pods(): Pod[] {
    return [
      ...this.all("Deployment").map((one) => pod(one, one.spec.template)),
      ...this.all("Job").map((one) => pod(one, one.spec.template)),
      ...this.all("Pod").map((one) => pod(one, one)),
    ];
  }
}

/** A pod, wherever it is described. */
export interface Pod {
  readonly owner: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: Manifest;
  readonly containers: readonly Manifest[];
}

function pod(owner: Manifest, { metadata, spec }: Manifest): Pod {
  const { labels, annotations } = metadata;
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  return { owner: `${owner.kind}/${owner.metadata.name}`, labels, annotations, spec, containers };
}

/** `helm template`. @throws Error with what Helm said */
export async function render(helm: string, values: Values = {}, namespace = "users"): Promise<Rendered> {
  const ran = await template(helm, values, namespace);
  if (ran.code !== 0) throw new Error(ran.stderr);
  return new Rendered(ran.stdout);
}

/** The same, however it ends. */
export function template(helm: string, values: Values, namespace = "users"): Promise<Ran> {
  return templateOf(helm, { chart: CHART, release: "users", namespace }, values);
}

/** The same of any chart and release. A build of Helm from source takes clusters to be of version 1.20. */
export function templateOf(
  helm: string,
  { chart = CHART, release, namespace }: { readonly chart?: string; readonly release: string; readonly namespace: string },
  values: Values,
): Promise<Ran> {
  return run(helm, ["template", release, chart, "--namespace", namespace, "--kube-version", "1.36.0", ...withRequired(values)]);
}

/** What Helm says after an install. `helm template` leaves that out, so a template of a copy has it. */
export async function notes(helm: string, values: Values = {}): Promise<string> {
  const chart = await mkdtemp(join(runFolder(), "chart-"));
  await cp(CHART, chart, { recursive: true });
  const said = 'kind: Said\nmetadata: { name: said }\ntext: {{ include (print .Template.BasePath "/NOTES.txt") . | quote }}\n';
  await writeFile(join(chart, "templates", "said.yaml"), said);
  const { code, stdout, stderr } = await templateOf(helm, { chart, release: "users", namespace: "users" }, values);
  if (code !== 0) throw new Error(stderr);
  return new Rendered(stdout).one("Said", "said").text as string;
}

/** The required values and these. */
export function withRequired(values: Values): string[] {
  return asArguments({ ...REQUIRED, ...values });
}

const quantity = { requests: { cpu: 1, memory: "1Gi" }, limits: { cpu: "1500m", memory: "1Gi" } };
const peer = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "edge" } } };

/** Every option in each of its states, by name. `bare` and `full` are all of them off and on. */
export const MATRIX: Readonly<Record<string, Values>> = {
  default: {},
  bare: {
    "api.autoscaling.enabled": false,
    "controller.enabled": false,
    "crd.install": false,
    "podDisruptionBudgets.enabled": false,
    "networkPolicy.enabled": false,
    "metrics.annotations": false,
  },
  full: {
    image: {
      repository: "registry.example.com:5000/team/user-service",
      digest: `sha256:${"0".repeat(64)}`,
      pullSecrets: [{ name: "pull" }],
    },
    corsOrigins: ["https://app.example.com", "https://b.example.com:8443"],
    trustedProxyHops: 1,
    audiences: ["user-service", "social"],
    extraEnv: { BCRYPT_COST: "13", REFRESH_REUSE_GRACE_SECONDS: "10" },
    graphql: { introspection: true, documents: "graphql-documents" },
    caCertificates: "our-authorities",
    "secrets.firstAdmin": "first-admin",
    tokens: { daprApi: { existingSecret: "dapr-token" }, appApi: { existingSecret: "app-token" } },
    dapr: { redisTls: true, redisUsername: "people", trustDomain: "people", logLevel: "debug", resources: quantity },
    "api.resources": quantity,
    "api.maxSurge": "50%",
    "api.autoscaling.extraMetrics": [
      { type: "Pods", pods: { metric: { name: "websocket_connections" }, target: { type: "AverageValue", averageValue: "5k" } } },
    ],
    "userBans.requesterPolicy.trustedUsernames": ["system:serviceaccount:argocd:argocd-application-controller", "o'hara"],
    service: { annotations: { "example.com/team": "people" }, sessionAffinity: "ClientIP" },
    ingress: { enabled: true, className: "nginx", host: "id.example.com", tlsSecret: "id-tls", annotations: { "example.com/a": "b" } },
    networkPolicy: { apiFrom: [peer], metricsNamespaces: ["prometheus", "grafana"], invokersFrom: [peer] },
    "metrics.serviceMonitor": { enabled: true, labels: { release: "prometheus" }, interval: "15s" },
    tracing: { otlpEndpoint: "http://collector:4318", sampler: "traceidratio", sampledShare: 0.25, headersSecret: "collector" },
    podAnnotations: { "example.com/c": "d" },
    podLabels: { team: "people" },
    nodeSelector: { "kubernetes.io/os": "linux" },
    tolerations: [{ key: "dedicated", operator: "Exists", effect: "NoSchedule" }],
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 1, podAffinityTerm: { topologyKey: "zone", labelSelector: { matchLabels: { team: "people" } } } },
        ],
      },
    },
    priorityClassName: "system-cluster-critical",
  },
  "no policy of requesters": { "userBans.requesterPolicy.enabled": false },
  "no figures for anyone": { "networkPolicy.metricsNamespaces": [] },
  "one pod of each": { "api.autoscaling.enabled": false, "api.replicas": 1, "worker.replicas": 1, "controller.replicas": 1 },
  "ingress by publicUrl": { "ingress.enabled": true },
  "one token of one's own": { "tokens.appApi.existingSecret": "app-token" },
  "other Secrets": { secrets: { database: "pg", redis: "r", broker: "mq", mail: "smtp" } },
};

/** A file of the repository. */
export function ours(...path: readonly string[]): Promise<string> {
  return readFile(join(ROOT, ...path), "utf8");
}
