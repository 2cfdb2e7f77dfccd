/** The public listener's application: Koa around a table of routes, mounts and documents. */

import type { RequestListener } from "node:http";
import Koa, { type Context, type Middleware } from "koa";
import type { Gate } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { Problem, internalError, type ProblemType } from "#src/kernel/problem";
import { createCors } from "./cors.ts";
import { documentEntries } from "./documents.ts";
import { Exchange, type ExchangeOptions } from "./exchange.ts";
import { methodNotAllowed, routeNotFound } from "./http.errors.ts";
import { writeOpenApi, type OpenApi } from "./openapi.ts";
import { checkPath } from "./query.ts";
import { inTrace } from "./request-span.ts";
import { RouteTable, type Entry } from "./route-table.ts";
import type { Route } from "./route.ts";
import { securityHeaders } from "./security-headers.ts";
import { serveRoute, type Serving } from "./serve-route.ts";
import type { CountingThrottle } from "./throttle.ts";

/** How long a request may take from its head to its answer, in ms. */
const DEADLINE_MS = 10_000;

/** Middleware of another room behind the same door, e.g. GraphQL. It reads and bounds its body itself; what it passes on is not there. */
export interface Mount {
  /** With `:name` for parameters. */
  readonly path: string;
  readonly methods: readonly ("GET" | "POST")[];
  readonly middleware: Middleware;
}

/** What is told of each request and of each error that nobody expected. */
export interface AppMetrics {
  readonly httpRequest: (request: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly durationMs: number;
  }) => void;
  /** Counts the error and gives the fingerprint under which its like are grouped. */
  readonly unexpectedError: (error: unknown) => string;
}

export interface PublicAppOptions<Deps> {
  readonly routes: readonly Route<Deps>[];
  readonly deps: Deps;
  readonly gate: Gate;
  /** What the gate refuses with, for the OpenAPI document. */
  readonly accountProblems: readonly ProblemType[];
  readonly throttle: CountingThrottle;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AppMetrics;
  readonly production: boolean;
  /** Without a slash at the end. */
  readonly publicUrl: string;
  readonly corsOrigins: readonly string[];
  readonly trustedProxyHops: number;
  readonly version: string;
  readonly mounts?: readonly Mount[];
  /** The AsyncAPI document, when there is one. */
  readonly asyncApi?: object;
  readonly deadlineMs?: number;
}

/** The application, for one `node:http` server that it may share with Socket.IO. */
export interface PublicApp {
  readonly listener: RequestListener;
  readonly openApi: OpenApi;
}

type Served = (exchange: Exchange, params: Readonly<Record<string, string>>, context: Context) => Promise<void>;

/** Puts routes, mounts and documents behind one listener. @throws Error when two of them want the same method and path */
export function createPublicApp<Deps>(options: PublicAppOptions<Deps>): PublicApp {
  const { routes, mounts = [], log, clock, metrics, deadlineMs = DEADLINE_MS } = options;
  const security = securityHeaders(options.publicUrl.startsWith("https:"));
  const openApi = writeOpenApi(options);
  const serving: Serving<Deps> = { ...options, checkAnswers: !options.production };
  const table = new RouteTable<Served>([
    ...routes.map((route): Entry<Served> => ({
      methods: [route.method.toUpperCase()],
      path: route.path,
      served: serveRoute(route, serving),
    })),
    ...mounts.map((mount) => mountEntry(mount, security.answer)),
    ...documentEntries({ openApi, asyncApi: options.asyncApi, pageHeaders: security.page }),
  ]);
  const cors = createCors(options.corsOrigins);
  const exchangeOptions: ExchangeOptions = { log, trustedProxyHops: options.trustedProxyHops, answerHeaders: security.answer };

  const app = new Koa();
  app.use(async (context) => {
    const startedMs = clock.monotonicMs();
    context.respond = false;
    const exchange = new Exchange(context.req, context.res, exchangeOptions);
    const { method = "GET", headers } = context.req;
    const preflight = cors.preflightHeaders(method, headers);
    if (preflight !== undefined) {
      exchange.send({ status: 204, headers: preflight });
      return;
    }
    exchange.headers.push(...cors.answerHeaders(headers.origin));
    await inTrace(exchange, async () => {
      try {
        await exchange.within(deadlineMs, dispatch(table, exchange, context));
      } catch (error) {
        refuse(exchange, error, metrics);
      }
      exchange.status ||= context.status;
    });
    metrics.httpRequest({
      method,
      route: exchange.routePath,
      status: exchange.status,
      durationMs: clock.monotonicMs() - startedMs,
    });
  });
  // Only what breaks while an answer is being sent comes here: the client went away.
  app.on("error", (error: Error) => log.debug({ error }, "a connection broke while it was answered"));
  return { listener: app.callback() as RequestListener, openApi };
}

async function dispatch(table: RouteTable<Served>, exchange: Exchange, context: Context): Promise<void> {
  checkPath(exchange.path);
  const { method = "GET" } = exchange.request;
  const found = table.find(method, exchange.path);
  if (found.outcome === "found") return await found.served(exchange, found.params, context);
  exchange.refuseLargeBody();
  if (method === "OPTIONS" && exchange.path === "*") return exchange.send({ status: 204 });
  if (found.outcome === "nothing") throw new Problem(routeNotFound);
  const allow = ["Allow", [...found.methods, "OPTIONS"].join(", ")];
  if (method === "OPTIONS") exchange.send({ status: 204, headers: allow });
  else throw new Problem(methodNotAllowed, { headers: { Allow: allow[1] ?? "" } });
}

function refuse(exchange: Exchange, error: unknown, metrics: AppMetrics): void {
  if (error instanceof Problem) {
    const { type, cause } = error;
    if (type.status >= 500) exchange.log.warn({ code: type.code, cause }, "a request could not be served");
    if (exchange.mayRefuseWith?.has(type) === false)
      exchange.log.error({ code: type.code }, "a route refused with a problem that it does not list");
    exchange.refuse(error);
    return;
  }
  exchange.log.error({ error, fingerprint: metrics.unexpectedError(error) }, "an error nobody expected");
  exchange.refuse(new Problem(internalError));
}

function mountEntry({ path, methods, middleware }: Mount, headers: readonly string[]): Entry<Served> {
  const served: Served = async (exchange, _params, context) => {
    exchange.routePath = path;
    setFlat(context, [...headers, ...exchange.headers, "Cache-Control", "no-store"]);
    await middleware(context, () => Promise.reject(new Problem(routeNotFound)));
    context.respond = true;
  };
  return { methods, path, served };
}

function setFlat(context: Context, headers: readonly string[]): void {
  for (let at = 0; at < headers.length; at += 2) context.set(headers[at] ?? "", headers[at + 1] ?? "");
}
