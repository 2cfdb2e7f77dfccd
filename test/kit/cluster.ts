/**
 * A Kubernetes with a kubelet, a pod network and Dapr, for what only a whole cluster shows. Made by the commands of a folder
 * (CLUSTER_TOOLS: `up`, `down`, `image-build`, `dapr-install`), or given: CLUSTER_KUBECONFIG, with Dapr installed, whose pods and
 * services can be reached from here, and CLUSTER_IMAGE, which it can pull.
 */

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "@jest/globals";
import { clusterTools, SERVICE_IMAGE, serversImage, type BuiltImage } from "./cluster-images.ts";
import { findTool } from "./find-tool.ts";
import { reportMissing } from "./requires.ts";
import { runPid } from "./run-folder.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const DAY_MS = 86_400_000;

/** What ran, and what it said on both streams. */
export interface Ran {
  readonly code: number;
  readonly output: string;
}

/** A whole cluster. */
export interface Cluster extends AsyncDisposable {
  readonly kubeconfig: string;
  /** Repository and tag of the image of this checkout, loaded. */
  readonly image: { readonly repository: string; readonly tag: string };
  /** Images of PostgreSQL, Redis and RabbitMQ, with their arguments. */
  readonly servers: Readonly<Record<"postgres" | "redis" | "rabbitmq", { readonly image: string; readonly args: readonly string[] }>>;
  /** The address at which pods reach this machine. */
  readonly hostAddress: string;
  /** @throws Error with what kubectl said, when it failed */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  /** Runs a shell script with `kubectl`, `helm` and `npm` at hand, in the folder of this checkout. Any end is an answer. */
  readonly shell: (script: string) => Promise<Ran>;
}

/** `describe` where a whole cluster can be had; else the block is skipped and named at the end. */
export function describeOnCluster(name: string, body: (start: (daprOptions: readonly string[]) => Promise<Cluster>) => void): void {
  const why = whyNone();
  if (why === undefined) {
    describe(name, () => body(startCluster));
    return;
  }
  reportMissing("a whole cluster", why);
  describe.skip(name, () => body(startCluster));
}

function whyNone(): string | undefined {
  for (const tool of ["kubectl", "helm"]) if (findTool(tool) === undefined) return `${tool} is not there: npm run tools gets it`;
  const { CLUSTER_KUBECONFIG, CLUSTER_IMAGE } = process.env;
  if (CLUSTER_KUBECONFIG) return CLUSTER_IMAGE ? undefined : "CLUSTER_IMAGE is not set beside CLUSTER_KUBECONFIG";
  const tools = clusterTools();
  return "why" in tools ? tools.why : undefined;
}

const PUBLIC_SERVERS: Cluster["servers"] = {
  postgres: { image: "postgres:15.14-bookworm", args: ["-c", "listen_addresses=*"] },
  redis: { image: "redis:7.4.6-bookworm", args: [] },
  rabbitmq: { image: "rabbitmq:3.13.7", args: [] },
};

async function startCluster(daprOptions: readonly string[]): Promise<Cluster> {
  const { CLUSTER_TOOLS = "", CLUSTER_KUBECONFIG, CLUSTER_IMAGE = "" } = process.env;
  if (CLUSTER_KUBECONFIG) {
    return await describeCluster(CLUSTER_KUBECONFIG, { image: imageOf(CLUSTER_IMAGE), servers: PUBLIC_SERVERS, down: async () => {} });
  }
  // On a disk: what is in memory elsewhere is not there in the node's own mounts.
  const folder = await mkdtemp(join(tmpdir(), "user-service-cluster-"));
  const command = async (name: string, ...args: readonly string[]): Promise<void> => {
    const { code, output } = await run(join(CLUSTER_TOOLS, name), args, { CLUSTER_DIR: folder });
    if (code !== 0) throw new Error(`${name} failed:\n${output}`);
  };
  const watcher = endWithRun(`"${join(CLUSTER_TOOLS, "down")}" --dir "${folder}" && rm -rf "${folder}"`);
  const down = async (): Promise<void> => {
    watcher.kill();
    await command("down");
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await command("up");
    await command("dapr-install", ...daprOptions);
    const servers = serversImage(CLUSTER_TOOLS);
    for (const { context, tag } of [servers, SERVICE_IMAGE]) await command("image-build", context, tag);
    return await describeCluster(join(folder, "kubeconfig"), { image: imageOf(SERVICE_IMAGE.tag), servers: own(servers), down });
  } catch (error) {
    await down();
    throw error;
  }
}

/** A node is root's, in namespaces of its own: it outlives whoever made it. A run that was killed leaves it to this shell to take down. */
function endWithRun(script: string): ChildProcess {
  const watcher = spawn("bash", ["-c", `tail --pid ${runPid()} -f /dev/null; ${script}`], { detached: true, stdio: "ignore" });
  watcher.unref();
  return watcher;
}

function imageOf(name: string): Cluster["image"] {
  const [, repository = "", tag = ""] = /^(.+):([^:/]+)$/.exec(name) ?? [];
  return { repository, tag };
}

function own({ tag: image }: BuiltImage): Cluster["servers"] {
  return { postgres: { image, args: ["postgres"] }, redis: { image, args: ["redis"] }, rabbitmq: { image, args: ["rabbitmq"] } };
}

type Parts = Pick<Cluster, "image" | "servers"> & { readonly down: () => Promise<void> };

async function describeCluster(kubeconfig: string, { image, servers, down }: Parts): Promise<Cluster> {
  const shell: Cluster["shell"] = (script) => run("bash", ["-euo", "pipefail", "-c", script], { KUBECONFIG: kubeconfig });
  const kubectl: Cluster["kubectl"] = async (args, input) => {
    const { code, output } = await run(findTool("kubectl") ?? "kubectl", args, { KUBECONFIG: kubeconfig }, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${output}`);
    return output;
  };
  const address = await kubectl(["get", "nodes", "-o", "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}"]);
  // The network between node and machine: the machine is its first address.
  const hostAddress = address.replace(/\.\d+$/, ".1");
  return { kubeconfig, image, servers, hostAddress, kubectl, shell, [Symbol.asyncDispose]: down };
}

function run(command: string, args: readonly string[], env: Readonly<Record<string, string>>, input = ""): Promise<Ran> {
  const tools = ["kubectl", "helm"].map((tool) => join(findTool(tool) ?? "/usr/bin/x", ".."));
  const path = [join(process.execPath, ".."), ...tools, process.env["PATH"] ?? ""].join(":");
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [...args],
      { cwd: ROOT, env: { ...process.env, PATH: path, ...env }, maxBuffer: 64 * 1024 * 1024, timeout: DAY_MS },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` }),
    );
    child.stdin?.end(input);
  });
}
