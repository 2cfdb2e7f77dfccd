/** One request and its answer on their way through the kit. */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Actor, Client } from "#src/kernel/actor";
import type { Log } from "#src/kernel/log";
import { Problem, type ProblemType } from "#src/kernel/problem";
import { clientOf } from "./client-address.ts";
import { bodyTooLarge, deadlinePassed, requestTimedOut } from "./http.errors.ts";
import { MAX_BODY_BYTES, hasBody } from "./json-body.ts";
import { placedDocument, problemHeaders } from "./problem-document.ts";
import { splitTarget } from "./query.ts";
import { traceIdOf } from "./trace.ts";

/** How long what a refused client still sends is thrown away, so that it can read the refusal before the connection ends. */
const LINGER_MS = 1_000;

/** What `routePath` is before a route was found. */
export const NO_ROUTE = "(none)";

/** What makes an answer: its status, a body that is already text, and headers flat (name, value, name, value). */
export interface Sending {
  readonly status: number;
  readonly type?: string;
  readonly body?: string | Buffer;
  readonly headers?: readonly string[];
  /** Security headers in place of those of a JSON answer. */
  readonly security?: readonly string[];
}

/** What an exchange needs to know of the process. */
export interface ExchangeOptions {
  readonly log: Log;
  readonly trustedProxyHops: number;
  /** Put on every answer. */
  readonly answerHeaders: readonly string[];
}

/** Trace, log and signal are made when first asked for: most requests end without any of them. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: string;
  readonly client: Client;
  /** Headers of this answer alone, flat: CORS, limits. */
  readonly headers: string[] = [];
  /** The path as declared, for metrics and logs: ids in it would be labels without end. */
  routePath = NO_ROUTE;
  actor: Actor | undefined;
  /** Set while the body is awaited, to tell a slow client from a slow service. */
  readingBody = false;
  /** What the route says it may refuse with; known only where answers are checked. */
  mayRefuseWith: ReadonlySet<ProblemType> | undefined;
  /** What the answer's status is or will be. */
  status = 0;
  /** The code of the problem it was refused with. */
  problemCode: string | undefined;
  readonly #options: ExchangeOptions;
  #traceId: string | undefined;
  #ended: AbortController | undefined;
  #late: Problem | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, options: ExchangeOptions) {
    this.request = request;
    this.response = response;
    this.#options = options;
    ({ path: this.path, query: this.query } = splitTarget(request.url ?? "/"));
    this.client = clientOf(request, options.trustedProxyHops);
  }

  get traceId(): string {
    this.#traceId ??= traceIdOf(this.request.headers["traceparent"]);
    return this.#traceId;
  }

  /** Where spans are made the request's span decides, so that logs and refusals name what a trace is found by. */
  set traceId(traceId: string) {
    this.#traceId = traceId;
  }

  /** The log with this request's trace, route and account on each line. */
  get log(): Log {
    const fields = {
      traceId: this.traceId,
      route: `${this.request.method} ${this.routePath}`,
      userId: this.actor?.userId,
      ...impersonatorOf(this.actor),
    };
    const { log } = this.#options;
    return {
      debug: (more, message) => log.debug({ ...fields, ...more }, message),
      info: (more, message) => log.info({ ...fields, ...more }, message),
      warn: (more, message) => log.warn({ ...fields, ...more }, message),
      error: (more, message) => log.error({ ...fields, ...more }, message),
    };
  }

  /** Aborted when the deadline has passed or the client went away before its answer. */
  get signal(): AbortSignal {
    if (this.#ended === undefined) {
      const ended = new AbortController();
      this.#ended = ended;
      if (this.#late !== undefined) ended.abort(this.#late);
      this.response.once("close", () => {
        if (!this.response.writableFinished) ended.abort(new Error("the client went away"));
      });
    }
    return this.#ended.signal;
  }

  /** Waits for `work`, at most `deadlineMs`. @throws Problem `service.deadline_passed`, or `request.timed_out` while the body is awaited */
  within<Result>(deadlineMs: number, work: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#late = this.readingBody ? new Problem(requestTimedOut) : new Problem(deadlinePassed, { retryAfterSeconds: 1 });
        this.#ended?.abort(this.#late);
        reject(this.#late);
      }, deadlineMs);
      const settled = (): void => clearTimeout(timer);
      work.then(resolve, reject).finally(settled);
    });
  }

  /** Writes the answer whole. Does nothing when one was written already: the work of a request past its deadline goes on unheard. */
  send({ status, type, body = "", headers = [], security = this.#options.answerHeaders }: Sending): void {
    if (this.response.headersSent) return;
    this.status = status;
    const head = [...security, ...this.headers, ...headers];
    if (type !== undefined) head.push("Content-Type", type);
    if (status !== 204 && status !== 304) head.push("Content-Length", String(Buffer.byteLength(body)));
    const unread = this.#unreadBody();
    if (unread) head.push("Connection", "close");
    // One flat list: through setHeader and Koa's `ctx.body` the same answer costs 6 µs more (a bare one costs 16).
    this.response.writeHead(status, head);
    if (unread) endLingering(this.request, this.response, body);
    else this.response.end(body);
  }

  /** Writes a refusal as problem+json. */
  refuse(problem: Problem, headers: readonly string[] = []): void {
    const document = placedDocument(problem, { instance: this.path.slice(0, 300), traceId: this.traceId });
    this.problemCode = problem.code;
    this.#dropHeaders(Object.keys(problem.details.headers ?? {}));
    this.send({
      status: document.status,
      type: "application/problem+json",
      body: JSON.stringify(document),
      headers: ["Cache-Control", "no-store", ...problemHeaders(problem), ...headers],
    });
  }

  /** What a refusal says of limits counts, not what the route's throttle has said before. */
  #dropHeaders(names: readonly string[]): void {
    if (names.length === 0) return;
    const kept = this.headers.filter((_, at) => !names.includes(this.headers[at - (at % 2)] ?? ""));
    this.headers.splice(0, this.headers.length, ...kept);
  }

  /** @throws Problem `body.too_large` when the head already says so: nothing of such a body is read */
  refuseLargeBody(): void {
    if (declaredBytes(this.request) > MAX_BODY_BYTES)
      throw new Problem(bodyTooLarge, { detail: `A body may have ${MAX_BODY_BYTES} bytes` });
  }

  // The rest of a small body of known length is thrown away by Node; anything else would have to be read without end.
  #unreadBody(): boolean {
    if (this.request.complete || !hasBody(this.request)) return false;
    return this.readingBody || declaredBytes(this.request) > MAX_BODY_BYTES || this.request.headers["transfer-encoding"] !== undefined;
  }
}

function impersonatorOf(actor: Actor | undefined): { readonly impersonatorId?: string } {
  return actor?.impersonatorId === undefined ? {} : { impersonatorId: actor.impersonatorId };
}

/** The length of the body that the head announces, in bytes; 0 where it does not. */
export function declaredBytes(request: IncomingMessage): number {
  return Number(request.headers["content-length"] ?? 0);
}

// The answer goes out at once, but its end is held back: closing with unread bytes resets the connection, and the client would lose the answer.
function endLingering(request: IncomingMessage, response: ServerResponse, body: string | Buffer): void {
  response.write(body);
  const timer = setTimeout(() => response.end(), LINGER_MS);
  request.once("close", () => {
    clearTimeout(timer);
    response.end();
  });
  request.resume();
}
