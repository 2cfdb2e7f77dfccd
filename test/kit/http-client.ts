/** A client of the running service over its own connections, which end with it. */

import { Agent, request, type IncomingHttpHeaders } from "node:http";

/** What came back. `body` is the parsed JSON; for anything else the text. */
export interface Answer<Body> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Body;
  /** `performance.now()` when the request was begun and when the answer was whole. */
  readonly sentMs: number;
  readonly doneMs: number;
}

/** What any refusal says. */
export interface ProblemBody {
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly restriction?: {
    readonly kind: string;
    readonly reason: string;
    readonly message: string | null;
    readonly expiresAt: string | null;
  };
}

/** What GraphQL says. */
export interface GraphqlBody<Data = Record<string, unknown>> {
  readonly data?: Data | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions: { readonly code: string; readonly [name: string]: unknown };
  }[];
}

export interface Sending {
  readonly token?: string | undefined;
  /** Sent as JSON; text and bytes are sent as they are. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** 15 s when left out. */
  readonly timeoutMs?: number;
}

/** Requests to one address. Keeps connections open until it is disposed of. */
export class HttpClient implements Disposable {
  readonly url: string;
  readonly #agent: Agent;

  constructor(url: string, options: { readonly maxSockets?: number } = {}) {
    this.url = url;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.maxSockets ?? 64 });
  }

  /** @throws Error when no whole answer came */
  send<Body = ProblemBody>(method: string, path: string, sending: Sending = {}): Promise<Answer<Body>> {
    const sentMs = performance.now();
    const payload = payloadOf(sending.body);
    const headers = {
      ...(sending.token === undefined ? {} : { authorization: `Bearer ${sending.token}` }),
      ...(payload === undefined ? {} : { "content-type": "application/json", "content-length": String(Buffer.byteLength(payload)) }),
      ...sending.headers,
    };
    return new Promise((resolve, reject) => {
      const sent = request(new URL(path, this.url), { method, agent: this.#agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: parsed(response.headers, Buffer.concat(chunks).toString("utf8")) as Body,
            sentMs,
            doneMs: performance.now(),
          }),
        );
      });
      sent.setTimeout(sending.timeoutMs ?? 15_000, () => sent.destroy(new Error(`${method} ${path} was not answered in time`)));
      sent.on("error", reject);
      sent.end(payload);
    });
  }

  get<Body = ProblemBody>(path: string, token?: string): Promise<Answer<Body>> {
    return this.send<Body>("GET", path, { token });
  }

  post<Body = ProblemBody>(path: string, body?: unknown, token?: string): Promise<Answer<Body>> {
    return this.send<Body>("POST", path, { token, ...(body === undefined ? {} : { body }) });
  }

  graphql<Data = Record<string, unknown>>(
    query: string,
    token?: string,
    variables: Readonly<Record<string, unknown>> = {},
  ): Promise<Answer<GraphqlBody<Data>>> {
    return this.send<GraphqlBody<Data>>("POST", "/graphql", { token, body: { query, variables } });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

function payloadOf(body: unknown): string | Buffer | undefined {
  if (body === undefined || typeof body === "string" || Buffer.isBuffer(body)) return body;
  return JSON.stringify(body);
}

function parsed(headers: IncomingHttpHeaders, text: string): unknown {
  return /\bjson\b/.test(headers["content-type"] ?? "") && text !== "" ? JSON.parse(text) : text;
}
