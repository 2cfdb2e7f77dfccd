/** Calls to daprd's HTTP API: kept-alive connections, every call ended by its signal, every answer bounded. */

import { Pool } from "undici";
import type { Secret } from "#src/kernel/secret";

/** Where daprd is, and what it wants to see. */
export interface DaprAddress {
  /** DAPR_HTTP_PORT, on 127.0.0.1. */
  readonly httpPort: number;
  /** DAPR_API_TOKEN; daprd answers 401 without it where it is set. */
  readonly apiToken?: Secret<string> | undefined;
}

/** One call. `path` is percent-encoded already. */
export interface DaprCall {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text that is sent as it is. */
  readonly body?: string;
}

/** What came back, whoever said it: daprd itself, or an app that was invoked. */
export interface DaprAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Takes calls until it is closed; whatever is under way then is rejected. */
export interface DaprClient {
  /** @throws Error when no whole answer came: refused, cut, too large, or the signal's reason */
  readonly call: (call: DaprCall, signal: AbortSignal) => Promise<DaprAnswer>;
  readonly close: () => Promise<void>;
}

/** daprd's own limit of a body, in bytes (`--max-body-size`). */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_CONNECTIONS = 128;
/** daprd closes no idle connection by itself; one left open is only a socket on loopback. */
const IDLE_MS = 60_000;

/** Makes a client; nothing is connected before the first call. */
export function createDaprClient({ httpPort, apiToken }: DaprAddress): DaprClient {
  const pool = new Pool(`http://127.0.0.1:${httpPort}`, {
    connections: MAX_CONNECTIONS,
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: IDLE_MS,
    connect: { timeout: 2_000 },
  });
  const token = apiToken === undefined ? {} : { "dapr-api-token": apiToken.reveal() };
  return {
    call: async ({ method, path, headers, body }, signal) => {
      signal.throwIfAborted();
      const answer = await pool.request({ method, path, headers: { ...token, ...headers }, body: body ?? null, signal });
      const { statusCode, headers: answered } = answer;
      return { status: statusCode, headers: answered, text: statusCode === 204 ? await nothing(answer.body) : await bounded(answer.body) };
    },
    close: () => pool.destroy(),
  };
}

type Body = Awaited<ReturnType<Pool["request"]>>["body"];

async function nothing(body: Body): Promise<string> {
  await body.dump();
  return "";
}

async function bounded(body: Body): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`daprd's answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
