/**
 * Where the Kubernetes API is and how to log in: what a pod finds in its files, or a kubeconfig. Built on the parts of
 * @kubernetes/client-node that know this; its `KubeConfig` would load 2,700 generated models with it, 80 MB of memory (measured
 * on Node 24.21, version 2.0.1), of which the controller has 150 in all.
 */

import { readFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import { dirname, resolve } from "node:path";
import { newClusters, newContexts, newUsers, type Cluster, type User } from "@kubernetes/client-node/dist/config_types.js";
import { ExecAuth } from "@kubernetes/client-node/dist/exec_auth.js";
import { FileAuth } from "@kubernetes/client-node/dist/file_auth.js";

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** One API server and one identity. */
export interface KubeAccess {
  /** `https://host:port`, no slash at the end. */
  readonly server: string;
  readonly tls: {
    readonly ca?: Buffer;
    readonly cert?: Buffer;
    readonly key?: Buffer;
    readonly servername?: string;
    readonly rejectUnauthorized?: boolean;
  };
  /** What goes with each request. Tokens in files are read again once a minute, as they are rotated. */
  readonly headers: () => Promise<Readonly<Record<string, string>>>;
}

/**
 * The access that the environment tells of: `KUBECONFIG` where it is set, else what every pod is given.
 * @throws Error when there is neither, or the files are not as they should be
 */
export async function findKubeAccess(env: Readonly<Record<string, string | undefined>>): Promise<KubeAccess> {
  const { KUBECONFIG: file, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = env;
  if (file !== undefined && file !== "") return await accessFromFile(file);
  if (host === undefined) throw new Error("there is no Kubernetes here: neither KUBECONFIG nor KUBERNETES_SERVICE_HOST is set");
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
  return await accessOf(
    { name: "in-cluster", server, caFile: `${SERVICE_ACCOUNT}/ca.crt`, skipTLSVerify: false },
    { name: "in-cluster", authProvider: { name: "tokenFile", config: { tokenFile: `${SERVICE_ACCOUNT}/token` } } },
  );
}

/** The current context of a kubeconfig. @throws Error when it has none, or needs a proxy */
export async function accessFromFile(file: string): Promise<KubeAccess> {
  // Not in a pod, where there is no such file.
  const { parse } = await import("yaml");
  const config = parse(await readFile(file, "utf8")) as Record<string, unknown>;
  const context = newContexts(config["contexts"]).find(({ name }) => name === config["current-context"]);
  const cluster = newClusters(config["clusters"]).find(({ name }) => name === context?.cluster);
  const user = newUsers(config["users"]).find(({ name }) => name === context?.user);
  if (cluster === undefined || user === undefined) throw new Error("the kubeconfig has no current context with a cluster and a user");
  const folder = dirname(file);
  return await accessOf(withPaths(cluster, folder, ["caFile"]), withPaths(user, folder, ["certFile", "keyFile"]));
}

function withPaths<T extends object>(of: T, folder: string, names: readonly (keyof T)[]): T {
  const paths = names.flatMap((name) => (typeof of[name] === "string" ? [[name, resolve(folder, of[name])] as const] : []));
  return { ...of, ...Object.fromEntries(paths) };
}

async function accessOf(cluster: Cluster, user: User): Promise<KubeAccess> {
  if (cluster.proxyUrl !== undefined) throw new Error("a cluster behind a proxy is not supported");
  const [ca, cert, key] = await Promise.all([
    bytesOf(cluster.caFile, cluster.caData),
    bytesOf(user.certFile, user.certData),
    bytesOf(user.keyFile, user.keyData),
  ]);
  const authenticator = [new FileAuth(), new ExecAuth()].find((one) => one.isAuthProvider(user));
  return {
    server: cluster.server,
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(cluster.tlsServerName === undefined ? {} : { servername: cluster.tlsServerName }),
      ...(cluster.skipTLSVerify ? { rejectUnauthorized: false } : {}),
    },
    headers: async () => {
      const options: RequestOptions & { headers: Record<string, string> } = { headers: {} };
      await authenticator?.applyAuthentication(user, options);
      if (typeof user.token === "string") options.headers["Authorization"] = `Bearer ${user.token}`;
      // Files end in a newline, which no header may hold.
      return Object.fromEntries(Object.entries(options.headers).map(([name, value]) => [name, value.trim()]));
    },
  };
}

async function bytesOf(file: string | undefined, base64: string | undefined): Promise<Buffer | undefined> {
  if (file !== undefined && file !== null) return await readFile(file);
  return base64 === undefined || base64 === null ? undefined : Buffer.from(base64, "base64");
}
