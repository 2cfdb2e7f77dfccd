/** Plain calls to a Kubernetes API server in tests: beside the product's own client, so that it does not check itself. */

import { readFileSync } from "node:fs";
import { request as httpsRequest, type Agent } from "node:https";
import { text } from "node:stream/consumers";
import { parseAllDocuments } from "yaml";
import { until } from "./until.ts";

/** What to send, and as whom. */
export interface ApiRequest {
  /** An object is sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
  /** Default: the administrator's. */
  readonly token?: string;
  /** For many calls; default: each has a connection of its own, so that none is left open. */
  readonly agent?: Agent;
}

/** What came back. */
export interface ApiAnswer {
  readonly status: number;
  /** Parsed where it is JSON, else the text. */
  // oxlint-disable-next-line typescript/no-explicit-any -- any object of any API: tests look at fields they know
  readonly body: any;
}

type Call = (method: string, path: string, options?: ApiRequest) => Promise<ApiAnswer>;

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

const CALL_WITHIN_MS = 15_000;

/** A caller without memory. */
export function apiClient(options: { readonly url: string; readonly caFile: string; readonly token: string }): Call {
  return (method, path, { body, contentType = "application/json", token = options.token, agent } = {}) =>
    new Promise((resolve, reject) => {
      const request = httpsRequest(new URL(path, options.url), {
        method,
        // Read each time: the server writes it at its first start.
        ca: readFileSync(options.caFile),
        agent: agent ?? false,
        headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": contentType }) },
        signal: AbortSignal.timeout(CALL_WITHIN_MS),
      });
      request.once("error", reject);
      request.once("response", (response) => {
        const status = response.statusCode as number;
        text(response).then((answer) => resolve({ status, body: parsed(answer) }), reject);
      });
      request.end(body === undefined || typeof body === "string" ? body : JSON.stringify(body));
    });
}

/** Server-side apply of every document; after a CRD waits until the API serves it. @throws with the server's own words */
export async function applyManifests(call: Call, yaml: string): Promise<void> {
  for (const document of parseAllDocuments(yaml)) {
    const manifest = document.toJS() as Manifest | null;
    if (manifest === null) continue;
    const path = await pathOf(call, manifest);
    const { status, body } = await call("PATCH", `${path}?fieldManager=test&force=true`, {
      body: manifest,
      contentType: "application/apply-patch+yaml",
    });
    if (status >= 300) throw new Error(`${manifest.kind} ${manifest.metadata.name}: ${status} ${JSON.stringify(body)}`);
    if (manifest.kind === "CustomResourceDefinition") await established(call, path);
  }
}

async function pathOf(call: Call, { apiVersion, kind, metadata }: Manifest): Promise<string> {
  const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  // A new kind takes a moment to be listed.
  const resource = await until(
    async () => {
      const { body } = await call("GET", base);
      const resources = (body.resources ?? []) as { name: string; kind: string; namespaced: boolean }[];
      return resources.find((found) => found.kind === kind && !found.name.includes("/"));
    },
    { what: `${base} to serve ${kind}` },
  );
  const namespace = resource.namespaced ? `/namespaces/${encodeURIComponent(metadata.namespace ?? "default")}` : "";
  return `${base}${namespace}/${resource.name}/${encodeURIComponent(metadata.name)}`;
}

async function established(call: Call, path: string): Promise<void> {
  const isEstablished = async (): Promise<boolean> => {
    const { body } = await call("GET", path);
    const conditions = (body.status?.conditions ?? []) as { type: string; status: string }[];
    return conditions.some(({ type, status }) => type === "Established" && status === "True");
  };
  await until(isEstablished, { what: `${path} to be established` });
}

function parsed(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return answer;
  }
}
