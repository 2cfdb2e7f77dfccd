/** The span of a request, in the trace of whoever sent it. */

import { isTracing, withRemoteTrace, type Span } from "#src/kernel/trace";
import { NO_ROUTE, type Exchange } from "./exchange.ts";

/**
 * Serves a request in its trace. `serve` answers and never rejects; when it ends, the exchange knows route and status.
 * Probes and scrapes make no spans: they come every few seconds and tell nothing. Nor does daprd: what it asks
 * is asked once, and the span of what it delivers is the inbox's.
 */
export function inTrace(exchange: Exchange, serve: () => Promise<void>): Promise<void> {
  const { method = "GET", headers } = exchange.request;
  // Without a caller's trace there is nothing to carry, and nothing to pay.
  if (!isTracing()) return headers["traceparent"] === undefined ? serve() : withRemoteTrace(headers["traceparent"], CARRIED, serve);
  if (UNTRACED.test(exchange.path)) return serve();
  const known = METHODS.has(method) ? method : "_OTHER";
  // Neither path, query nor address: paths have ids in them, and addresses are of people.
  const spec = { name: known === "_OTHER" ? "HTTP" : known, kind: "server", attributes: { "http.request.method": known } } as const;
  return withRemoteTrace(headers["traceparent"], spec, async (span) => {
    if (span === undefined) return await serve();
    exchange.traceId = span.traceId;
    await serve();
    describe(span, exchange, spec.name);
  });
}

/** Where no span is made nobody reads it. */
const CARRIED = { name: "request", kind: "server" } as const;
const UNTRACED = /^\/(?:(?:healthz?|metrics)(?:\/|$)|(?:events|dapr)\/)/;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"]);

/** OpenTelemetry semantic conventions for HTTP servers, 1.38: a refusal of the client's making is no error of ours. */
function describe(span: Span, exchange: Exchange, method: string): void {
  const { routePath, status, actor, problemCode } = exchange;
  if (routePath !== NO_ROUTE) {
    span.rename(`${method} ${routePath}`);
    span.set({ "http.route": routePath });
  }
  span.set({
    "http.response.status_code": status,
    ...(actor === undefined ? {} : { "enduser.id": actor.userId }),
    ...(problemCode === undefined ? {} : { "problem.code": problemCode }),
  });
  if (status >= 500) span.fail(problemCode ?? String(status));
}
