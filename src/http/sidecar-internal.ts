/** From a declared internal route to what serves it: its callers, then the same steps as a public route. */

import { z } from "zod";
import { anyone } from "#src/kernel/actor";
import type { Exchange } from "./exchange.ts";
import type { InternalRequest, InternalRoute } from "./internal-route.ts";
import type { Entry } from "./route-table.ts";
import type { Route } from "./route.ts";
import { serveRoute, type Serving } from "./serve-route.ts";
import { callerRefused } from "./sidecar-app.errors.ts";
import { Refusal } from "./sidecar-guard.ts";

/** Serves a request whose caller is known to be who it is, and not yet to be allowed. */
export type ServeInternal = (exchange: Exchange, params: Readonly<Record<string, string>>, caller: string) => Promise<void>;

/** What internal routes are served with. */
export interface InternalServing<Deps> {
  readonly deps: Deps;
  /** Checks each answer against its declared schema. */
  readonly checkAnswers: boolean;
}

/** Unknown parameters are ignored where none is taken. */
const ignored = z.object({});

/**
 * An entry of the route table.
 * @throws Error for a path outside `/internal/`, and for a route that nobody may call: mistakes of ours
 */
export function internalEntry<Deps>(route: InternalRoute<Deps>, serving: InternalServing<Deps>): Entry<ServeInternal> {
  if (!route.path.startsWith("/internal/")) throw new Error(`${route.path} is not below /internal/`);
  if (route.callers.length === 0) throw new Error(`nobody may call ${route.path}`);
  const { deps, checkAnswers } = serving;
  // Neighbours are known and few: no throttle, and no account to ask the gate for.
  const unguarded: Serving<Deps> = {
    deps,
    checkAnswers,
    accountProblems: [],
    throttle: () => undefined,
    gate: () => Promise.resolve(undefined),
  };
  const served: ServeInternal = async (exchange, params, caller) => {
    exchange.routePath = route.path;
    if (!route.callers.includes(caller)) throw new Refusal(callerRefused, "caller");
    await serveRoute(asRoute(route, caller), unguarded)(exchange, params);
  };
  return { methods: [route.method.toUpperCase()], path: route.path, served };
}

function asRoute<Deps>(route: InternalRoute<Deps>, caller: string): Route<Deps> {
  return {
    ...route,
    query: route.query ?? ignored,
    tag: "internal",
    throttle: { name: "internal", limit: 0, windowSeconds: 1 },
    needs: anyone,
    handle: (deps, { params, query, body, log, signal }) => {
      const request: InternalRequest<unknown, unknown, unknown> = {
        params,
        query: route.query === undefined ? undefined : query,
        body,
        caller,
        log,
        signal,
      };
      return route.handle(deps, request as InternalRequest<never, never, never>);
    },
  };
}
