/** The sidecar listener's application: what daprd asks, the events it delivers, and what other apps invoke. On loopback only. */

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Clock } from "#src/kernel/clock";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem, internalError } from "#src/kernel/problem";
import type { Secret } from "#src/kernel/secret";
import { Exchange } from "./exchange.ts";
import { methodNotAllowed, routeNotFound } from "./http.errors.ts";
import type { InternalRoute } from "./internal-route.ts";
import type { AppMetrics } from "./public-app.ts";
import { inTrace } from "./request-span.ts";
import { RouteTable } from "./route-table.ts";
import { callerRefused } from "./sidecar-app.errors.ts";
import { answerEvent, eventTable, readEvent, type Deliver, type EventOutcome, type EventTable } from "./sidecar-events.ts";
import {
  Refusal,
  callerOf,
  checkSidecarPath,
  claimedCaller,
  refuseInvocations,
  requireDaprd,
  tokenCheck,
  type TokenCheck,
} from "./sidecar-guard.ts";
import { internalEntry, type ServeInternal } from "./sidecar-internal.ts";

/**
 * The subscriptions of this process; `DaprSidecar` has both. They must be there before the listener opens: daprd asks once, as
 * soon as it can, and keeps to the answer.
 */
export interface EventSource {
  /** What `GET /dapr/subscribe` answers. */
  readonly subscriptionDocument: () => unknown;
  /** What takes the events that are posted to a path. A new table is a new object. */
  readonly deliveries: () => ReadonlyMap<string, Deliver>;
}

export interface SidecarAppOptions<Deps> {
  /** APP_API_TOKEN. Without one there must be no listener. */
  readonly appToken: Secret<string>;
  readonly events: EventSource;
  readonly routes: readonly InternalRoute<Deps>[];
  readonly deps: Deps;
  /** The Kubernetes namespace that callers must be in; any when left out. */
  readonly callerNamespace?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AppMetrics;
  readonly production: boolean;
  /** Largest event, in bytes; 1 MiB when left out. A larger one is answered DROP: it goes to the dead-letter topic. */
  readonly maxEventBytes?: number;
  /** How long a request may take, in ms; 10 s when left out. An event that takes longer is answered RETRY. */
  readonly deadlineMs?: number;
}

/** For one `node:http` server of its own; see `createServer`. */
export interface SidecarApp {
  readonly listener: RequestListener;
}

interface Listening {
  readonly options: Omit<SidecarAppOptions<unknown>, "routes" | "deps">;
  readonly maxEventBytes: number;
  readonly deadlineMs: number;
  readonly checkToken: TokenCheck;
  readonly internal: RouteTable<ServeInternal>;
  readonly eventsAt: EventTable;
}

/** Puts deliveries and internal routes behind one listener. @throws Error when two routes want the same method and path */
export function createSidecarApp<Deps>(options: SidecarAppOptions<Deps>): SidecarApp {
  const serving = { deps: options.deps, checkAnswers: !options.production };
  const listening: Listening = {
    options,
    maxEventBytes: options.maxEventBytes ?? 1024 * 1024,
    deadlineMs: options.deadlineMs ?? 10_000,
    checkToken: tokenCheck(options.appToken.reveal()),
    internal: new RouteTable(options.routes.map((route) => internalEntry(route, serving))),
    eventsAt: eventTable(options.events.deliveries),
  };
  return { listener: (request, response) => void serve(listening, request, response) };
}

async function serve(listening: Listening, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { log, clock, metrics } = listening.options;
  const startedMs = clock.monotonicMs();
  const exchange = new Exchange(request, response, { log, trustedProxyHops: 0, answerHeaders: [] });
  // What breaks while an answer is on its way: daprd went away.
  response.on("error", (error) => log.debug({ error }, "a connection broke while it was answered"));
  if (isProbe(request)) answerProbe(exchange);
  else
    await inTrace(exchange, async () => {
      try {
        await dispatch(listening, exchange);
      } catch (error) {
        refuse(listening, exchange, error);
      }
    });
  metrics.httpRequest({
    method: request.method ?? "GET",
    route: exchange.routePath,
    status: exchange.status,
    durationMs: clock.monotonicMs() - startedMs,
  });
}

const PROBE = "/healthz";

/** daprd's probes carry no token, and come every second: no span, no line. */
function isProbe({ url, method }: IncomingMessage): boolean {
  return url === PROBE && (method === "GET" || method === "HEAD");
}

/** What it tells is that this process turns its loop; it must not depend on any other part, or daprd would stop deliveries. */
function answerProbe(exchange: Exchange): void {
  exchange.routePath = PROBE;
  exchange.send({ status: 200, type: "application/json", body: "{}" });
}

async function dispatch(listening: Listening, exchange: Exchange): Promise<void> {
  const { request, path } = exchange;
  const { url = "" } = request;
  listening.checkToken(request);
  checkSidecarPath(url.startsWith("/") ? path : url);
  if (path.startsWith("/events/")) return await takeEvent(listening, exchange);
  if (path.startsWith("/internal/")) return await serveInternal(listening, exchange);
  if (path === "/dapr/subscribe") return answerDaprd(exchange, listening.options.events.subscriptionDocument());
  if (path === "/dapr/config") return answerDaprd(exchange, {});
  throw new Refusal(routeNotFound, "nothing there");
}

function answerDaprd(exchange: Exchange, document: unknown): void {
  requireDaprd(exchange.request);
  if (exchange.request.method !== "GET") throw new Refusal(methodNotAllowed, "method");
  exchange.routePath = exchange.path;
  exchange.send({ status: 200, type: "application/json", body: JSON.stringify(document) });
}

async function serveInternal({ internal, options, deadlineMs }: Listening, exchange: Exchange): Promise<void> {
  const caller = callerOf(exchange.request, options.callerNamespace);
  const found = internal.find(exchange.request.method ?? "GET", exchange.path);
  if (found.outcome === "found") return await exchange.within(deadlineMs, found.served(exchange, found.params, caller));
  throw found.outcome === "nothing" ? new Refusal(routeNotFound, "nothing there") : new Refusal(methodNotAllowed, "method");
}

async function takeEvent(listening: Listening, exchange: Exchange): Promise<void> {
  refuseInvocations(exchange.request);
  const deliver = exchange.request.method === "POST" ? listening.eventsAt(exchange.path) : undefined;
  // Not 404, which daprd takes for DROP: should it ever deliver where nothing is, it shall keep the event.
  if (deliver === undefined) throw new Refusal(callerRefused, "unknown event path");
  // Neither log nor metric may tell the hidden part of the path.
  exchange.routePath = "/events/:topic";
  answerEvent(exchange, await outcomeOf(listening, exchange, deliver));
}

async function outcomeOf(listening: Listening, exchange: Exchange, deliver: Deliver): Promise<EventOutcome> {
  const { deadlineMs, maxEventBytes, options } = listening;
  try {
    return await exchange.within(deadlineMs, handOver(exchange, deliver, maxEventBytes));
  } catch (error) {
    const fingerprint = error instanceof Problem ? error.code : options.metrics.unexpectedError(error);
    exchange.log.warn({ error, fingerprint }, "a delivery failed and is tried again");
    return "RETRY";
  }
}

async function handOver(exchange: Exchange, deliver: Deliver, limitBytes: number): Promise<EventOutcome> {
  exchange.readingBody = true;
  const read = await readEvent(exchange, limitBytes);
  if (read === "too-large") {
    exchange.log.error({ limitBytes }, "an event is larger than this service takes: dropped to the dead-letter topic");
    return "DROP";
  }
  exchange.readingBody = false;
  return await deliver(read.event);
}

function refuse({ options }: Listening, exchange: Exchange, error: unknown): void {
  const { log, request } = exchange;
  if (error instanceof Refusal) {
    securityEvent(log, { kind: "sidecar.refused", reason: error.reason, actorId: claimedCaller(request) });
    return exchange.refuse(error);
  }
  if (error instanceof Problem) {
    if (error.type.status >= 500) log.warn({ code: error.code, cause: error.cause }, "a request could not be served");
    if (exchange.mayRefuseWith?.has(error.type) === false)
      log.error({ code: error.code }, "a route refused with a problem that it does not list");
    return exchange.refuse(error);
  }
  log.error({ error, fingerprint: options.metrics.unexpectedError(error) }, "an error nobody expected");
  exchange.refuse(new Problem(internalError));
}
