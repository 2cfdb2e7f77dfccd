/** The images that a whole cluster runs, and the commands that make one: for its tests, and for the runner, which has images built beforehand. */

import { existsSync } from "node:fs";
import { join } from "node:path";

/** `image-build <context> <tag>`, from the folder of the checkout. */
export interface BuiltImage {
  readonly context: string;
  readonly tag: string;
}

const NEEDED = ["up", "down", "image-build", "dapr-install"];
const ROOT = join(import.meta.dirname, "..", "..");

/** Of this checkout. */
export const SERVICE_IMAGE: BuiltImage = { context: ROOT, tag: "user-service:test" };

/** PostgreSQL, Redis and RabbitMQ in one. */
export function serversImage(tools: string): BuiltImage {
  return { context: join(tools, "services"), tag: "localhost/services:1" };
}

/** The folder of the commands (CLUSTER_TOOLS), or why there can be no node. */
export function clusterTools(): { readonly folder: string } | { readonly why: string } {
  const { CLUSTER_TOOLS } = process.env;
  if (!CLUSTER_TOOLS) return { why: "neither CLUSTER_TOOLS nor CLUSTER_KUBECONFIG is set, see CONTRIBUTING.md" };
  const lacking = NEEDED.filter((command) => !existsSync(join(CLUSTER_TOOLS, command)));
  if (lacking.length > 0) return { why: `CLUSTER_TOOLS (${CLUSTER_TOOLS}) has no ${lacking.join(", ")}` };
  return process.getuid?.() === 0 ? { folder: CLUSTER_TOOLS } : { why: "a node is made by root only" };
}

/** Where Linux shares cores among sessions (sched(7), autogroup), a process is nice to those of its own only; this is for the session. */
const BEHIND_OTHERS = "{ echo 19 >/proc/self/autogroup; } 2>/dev/null";

/**
 * A shell script that builds the images while no node runs, with what other sessions leave of the cores; what was built is found again.
 * Nothing where no node can be made here. It ends with the process `pid`, and says nothing: the test builds again what is not there, and
 * tells why that failed.
 * @param folder for what `image-build` keeps of a cluster
 */
export function buildingImages(folder: string, pid: number): string | undefined {
  const tools = clusterTools();
  if ("why" in tools || process.env["CLUSTER_KUBECONFIG"]) return undefined;
  const build = ({ context, tag }: BuiltImage): string =>
    `nice -n 19 "${join(tools.folder, "image-build")}" --dir "${folder}" "${context}" "${tag}"`;
  const builds = [serversImage(tools.folder), SERVICE_IMAGE].map(build).join(" && ");
  return `${BEHIND_OTHERS}; { tail --pid ${pid} -f /dev/null; kill -9 0; } & { ${builds}; } >/dev/null 2>&1; kill %1`;
}
