/** The Kubernetes API over one TLS connection: plain requests, merge patches and watch streams. */

import { subscribe } from "node:diagnostics_channel";
import { Agent, request, type Dispatcher } from "undici";
import type { KubeAccess } from "./kube-access.ts";

/** The API server said no. */
export class KubeError extends Error {
  override readonly name = "KubeError";
  readonly status: number;
  /** In one word, e.g. `AlreadyExists`, `Conflict`; empty where it gave none. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** One line of a watch stream. */
export interface WatchEvent<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: T;
}

/** Told of every request; for metrics, and for tests that count or stop at one. */
export interface KubeObserver {
  readonly sending?: (method: string, path: string) => void;
  readonly answered?: (method: string, path: string, status: number) => void;
}

/** Requests are bounded in time and end with their signal. */
export interface Kube extends AsyncDisposable {
  /** @throws KubeError for an answer that is not 2xx, and what undici throws where there is none */
  readonly send: <T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, signal: AbortSignal, body?: unknown) => Promise<T>;
  /** A JSON merge patch, the one form that custom resources and built-in ones both take. With a `resourceVersion` in it, it is refused once the object has changed. */
  readonly patch: <T>(path: string, patch: unknown, signal: AbortSignal) => Promise<T>;
  /** Yields until the server closes the stream. @throws as `send`; an `ERROR` line is a KubeError too */
  readonly watch: <T>(path: string, signal: AbortSignal) => AsyncGenerator<WatchEvent<T>>;
}

const REQUEST_TIMEOUT_MS = 10_000;
/** A dead connection is known after two of these: well before a Lease could not be renewed in time. */
const PING_EVERY_MS = 2_000;
/** Longer than the pause between two bookmarks, which is a minute. */
const SILENCE_MS = 150_000;

/**
 * Node makes a stream of its own of an answer that comes just when its request was given up (`onSessionHeaders`). undici does not
 * know of it, so when the connection ends with an error, that would be an error nobody listens to, and the end of the process.
 */
let areStreamsHeard = false;
function hearStreams(): void {
  if (areStreamsHeard) return;
  areStreamsHeard = true;
  subscribe("http2.client.stream.created", (message) => {
    (message as { readonly stream: NodeJS.EventEmitter }).stream.on("error", () => {});
  });
}

/**
 * Opens nothing before the first request. HTTP/2, and one connection only: client-node 2.0.1 makes a TLS connection for each
 * call (500 status patches, 500 connections, 4.8 ms CPU each; one connection 1.8 ms).
 */
export function createKube(access: KubeAccess, observer: KubeObserver = {}): Kube {
  hearStreams();
  const dispatcher = new Agent({
    connections: 1,
    allowH2: true,
    h2Options: { pingInterval: PING_EVERY_MS },
    connect: { ...access.tls, timeout: REQUEST_TIMEOUT_MS, keepAlive: true, keepAliveInitialDelay: 30_000 },
  });
  const connection: Connection = { access, dispatcher, observer };
  return {
    send: async (method, path, signal, body) => await exchange(connection, { method, path, contentType: "application/json", body }, signal),
    patch: async (path, patch, signal) =>
      await exchange(connection, { method: "PATCH", path, contentType: "application/merge-patch+json", body: patch }, signal),
    watch: (path, signal) => watch(connection, path, signal),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  };
}

interface Connection {
  readonly access: KubeAccess;
  readonly dispatcher: Dispatcher;
  readonly observer: KubeObserver;
}

interface Message {
  readonly method: "GET" | "POST" | "PUT" | "DELETE" | "PATCH";
  readonly path: string;
  readonly contentType: string;
  readonly body: unknown;
}

async function exchange<T>(connection: Connection, message: Message, signal: AbortSignal): Promise<T> {
  using deadline = within(REQUEST_TIMEOUT_MS, signal);
  const answer = await open(connection, message, { signal: deadline.signal });
  const text = await answer.body.text();
  if (answer.statusCode >= 200 && answer.statusCode < 300) return JSON.parse(text) as T;
  throw errorOf(answer.statusCode, text);
}

/** Instead of AbortSignal.timeout and AbortSignal.any: those live on for the whole time-out, and a thousand requests with them. */
function within(limitMs: number, outer: AbortSignal): Disposable & { readonly signal: AbortSignal } {
  const inner = new AbortController();
  const stop = (): void => inner.abort(outer.reason);
  const timer = setTimeout(() => inner.abort(new Error(`the API server did not answer in ${limitMs} ms`)), limitMs);
  if (outer.aborted) stop();
  else outer.addEventListener("abort", stop, { once: true });
  const dispose = (): void => {
    clearTimeout(timer);
    outer.removeEventListener("abort", stop);
  };
  return { signal: inner.signal, [Symbol.dispose]: dispose };
}

async function open(
  { access, dispatcher, observer }: Connection,
  { method, path, contentType, body }: Message,
  options: { readonly signal: AbortSignal; readonly bodyTimeout?: number },
): Promise<Dispatcher.ResponseData> {
  const headers = {
    accept: "application/json",
    "user-agent": "user-service-controller",
    ...(body === undefined ? {} : { "content-type": contentType }),
    ...(await access.headers()),
  };
  observer.sending?.(method, path);
  const answer = await request(`${access.server}${path}`, {
    dispatcher,
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...options,
  });
  observer.answered?.(method, path, answer.statusCode);
  return answer;
}

async function* watch<T>(connection: Connection, path: string, signal: AbortSignal): AsyncGenerator<WatchEvent<T>> {
  const message: Message = { method: "GET", path, contentType: "application/json", body: undefined };
  const answer = await open(connection, message, { signal, bodyTimeout: SILENCE_MS });
  if (answer.statusCode !== 200) throw errorOf(answer.statusCode, await answer.body.text());
  for await (const line of linesOf(answer.body)) {
    const event = JSON.parse(line) as { readonly type: string; readonly object: unknown };
    if (event.type === "ERROR") throw statusError(event.object);
    yield event as WatchEvent<T>;
  }
}

async function* linesOf(body: Dispatcher.ResponseData["body"]): AsyncGenerator<string> {
  body.setEncoding("utf8");
  let rest = "";
  for await (const chunk of body as AsyncIterable<string>) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.filter((line) => line !== "");
  }
}

function errorOf(status: number, text: string): KubeError {
  try {
    return statusError({ ...(JSON.parse(text) as object), code: status });
  } catch {
    return new KubeError(status, "", `the API server answered ${status}`);
  }
}

/** A `Status` object of the API. */
function statusError(object: unknown): KubeError {
  const { code, reason, message } = object as { readonly code?: number; readonly reason?: string; readonly message?: string };
  return new KubeError(code ?? 500, reason ?? "", message ?? `the API server answered ${code ?? 500}`);
}
