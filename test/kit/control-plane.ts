/** A Kubernetes of a test's own: etcd and kube-apiserver on loopback, RBAC on. No controllers, no nodes: Pods stay pending. */

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { asFlags } from "./flags.ts";
import type { ApiAnswer, ApiRequest } from "./kubernetes-api.ts";
import { apiClient, applyManifests } from "./kubernetes-api.ts";
import { serverPorts } from "./ports.ts";
import type { RunningProgram } from "./process.ts";
import { startProgram } from "./process.ts";
import { runFolder } from "./run-folder.ts";
import type { TokenReviews } from "./token-reviews.ts";
import { startTokenReviews } from "./token-reviews.ts";
import { until } from "./until.ts";

/** The API server as something to be killed, frozen and started again. */
export interface ApiServer {
  readonly pid: number;
  /** As `kill -9`; returns when it is gone. */
  readonly kill: () => Promise<void>;
  /** It stops in its tracks (SIGSTOP), its connections stay open. */
  readonly freeze: () => void;
  readonly wake: () => void;
  /** Starts it again on its port, with all that etcd has; one that still runs is killed first. Returns when it is ready. */
  readonly restart: () => Promise<void>;
}

/** A running control plane. */
export interface ControlPlane extends AsyncDisposable {
  /** A file, for the administrator. */
  readonly kubeconfig: string;
  readonly url: string;
  readonly port: number;
  /** The certificate of the server, which is its own authority. */
  readonly caFile: string;
  readonly adminToken: string;
  /** A new token of a user who may do what RBAC says, hence nothing at first. The groups are those given and `system:authenticated`. */
  readonly userToken: (name: string, groups?: readonly string[]) => string;
  readonly apiServer: ApiServer;
  /** Creates or changes (server-side apply) each object of the documents; a CRD is served when this returns. */
  readonly apply: (yaml: string) => Promise<void>;
  /** One call, by default as the administrator. Any status is an answer. */
  readonly request: (method: string, path: string, options?: ApiRequest) => Promise<ApiAnswer>;
}

/** Programs to start. */
export interface ControlPlanePaths {
  readonly etcd: string;
  readonly apiServer: string;
}

/** What stays the same from one start of the API server to the next. */
interface Settings {
  readonly folder: string;
  readonly adminToken: string;
  readonly ports: Readonly<Record<"api" | "etcd" | "peer", number>>;
}

const READY_WITHIN_MS = 60_000;
/** Two cores hold what in a cluster has machines of its own: a fifth of what both cost is Go looking for garbage, for which there is room. */
const ENVIRONMENT = { GOGC: "400" };

/** Starts both; returns when the API server is ready (3 to 8 s on two shared cores). */
export async function startControlPlane(paths: ControlPlanePaths): Promise<ControlPlane> {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(runFolder(), "control-plane-"));
  parts.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const settings = { folder, adminToken: randomBytes(24).toString("hex"), ports: await serverPorts("api", "etcd", "peer") };
  const reviews = parts.use(await startTokenReviews());
  await writeSettings(settings, reviews);
  const etcd = await startProgram({ command: paths.etcd, args: etcdFlags(settings), cwd: folder, env: ENVIRONMENT });
  parts.defer(() => end(etcd));
  const start = (): Promise<RunningProgram> =>
    startProgram({ command: paths.apiServer, args: apiServerFlags(settings), cwd: folder, env: ENVIRONMENT });
  let program = await start();
  parts.defer(() => end(program));

  const url = `https://127.0.0.1:${settings.ports.api}`;
  const caFile = join(folder, "certificates", "apiserver.crt");
  const request = apiClient({ url, caFile, token: settings.adminToken });
  const isReady = async (): Promise<"ready" | undefined> => ((await request("GET", "/readyz")).status === 200 ? "ready" : undefined);
  const ready = async (): Promise<void> => {
    const ended = program.exited.then(() => "ended" as const);
    const probe = (): Promise<"ready" | "ended" | undefined> => Promise.race([isReady(), ended]);
    const answer = await until(probe, { withinMs: READY_WITHIN_MS, everyMs: 50 }).catch(String);
    if (answer !== "ready") throw new Error(`kube-apiserver is not ready: ${answer}; it said:\n${program.output}${etcd.output}`);
  };
  await ready();
  await writeFile(join(folder, "kubeconfig"), kubeconfig({ url, caFile, token: settings.adminToken }), { mode: 0o600 });
  const apiServer: ApiServer = {
    get pid() {
      return program.pid;
    },
    kill: () => end(program),
    freeze: () => program.signal("SIGSTOP"),
    wake: () => program.signal("SIGCONT"),
    restart: async () => {
      await end(program);
      program = await start();
      await ready();
    },
  };
  const owned = parts.move();
  return {
    kubeconfig: join(folder, "kubeconfig"),
    url,
    port: settings.ports.api,
    caFile,
    adminToken: settings.adminToken,
    userToken: reviews.tokenFor,
    apiServer,
    apply: (yaml) => applyManifests(request, yaml),
    request,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function end(program: RunningProgram): Promise<void> {
  program.signal("SIGKILL");
  await program.exited;
}

async function writeSettings({ folder, adminToken }: Settings, reviews: TokenReviews): Promise<void> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await writeFile(join(folder, "accounts.key"), privateKey.export({ type: "sec1", format: "pem" }), { mode: 0o600 });
  await writeFile(join(folder, "tokens.csv"), `${adminToken},admin,admin,system:masters\n`, { mode: 0o600 });
  await writeFile(join(folder, "reviews.kubeconfig"), kubeconfig({ url: reviews.url }));
}

function kubeconfig({ url, caFile, token }: { readonly url: string; readonly caFile?: string; readonly token?: string }): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    contexts: [{ name: "test", context: { cluster: "test", user: "me" } }],
    clusters: [{ name: "test", cluster: { server: url, "certificate-authority": caFile } }],
    users: [{ name: "me", user: { token } }],
  });
}

function etcdFlags({ folder, ports }: Settings): string[] {
  const [client, peer] = [`http://127.0.0.1:${ports.etcd}`, `http://127.0.0.1:${ports.peer}`];
  return asFlags({
    "data-dir": join(folder, "etcd"),
    "unsafe-no-fsync": true,
    "log-level": "warn",
    "listen-client-urls": client,
    "advertise-client-urls": client,
    "listen-peer-urls": peer,
    "initial-advertise-peer-urls": peer,
    "initial-cluster": `default=${peer}`,
  });
}

function apiServerFlags({ folder, ports }: Settings): string[] {
  const key = join(folder, "accounts.key");
  return asFlags({
    "etcd-servers": `http://127.0.0.1:${ports.etcd}`,
    "bind-address": "127.0.0.1",
    "advertise-address": "127.0.0.1",
    "secure-port": ports.api,
    // Without a certificate it makes one here, and finds it again after a restart.
    "cert-dir": join(folder, "certificates"),
    "authorization-mode": "RBAC",
    "token-auth-file": join(folder, "tokens.csv"),
    "authentication-token-webhook-config-file": join(folder, "reviews.kubeconfig"),
    "authentication-token-webhook-version": "v1",
    "service-cluster-ip-range": "10.96.0.0/24",
    "service-account-issuer": "https://kubernetes.default.svc",
    "service-account-key-file": key,
    "service-account-signing-key-file": key,
  });
}
