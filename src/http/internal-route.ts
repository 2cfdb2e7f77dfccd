/** A route of the sidecar listener: for other apps of the mesh, each named. Data, like a public route. */

import type { z } from "zod";
import type { ProblemType } from "#src/kernel/problem";
import type { Log } from "#src/kernel/log";
import type { Answer, AnswerSpec, Route } from "./route.ts";

/** A parsed request of an app that may make it. */
export interface InternalRequest<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** The Dapr app id that called, checked against the route's `callers`. */
  readonly caller: string;
  readonly log: Log;
  /** Aborted when the caller is gone or the deadline has passed. */
  readonly signal: AbortSignal;
}

type Parsed<Schema> = Schema extends z.ZodType<infer Value> ? Value : undefined;

/** Everything there is to know of an internal route. Schemas ignore unknown fields, since versions of neighbours overlap. */
export interface InternalRouteSpec<
  Deps,
  Params extends z.ZodType | undefined,
  Query extends z.ZodType | undefined,
  Body extends z.ZodType | undefined,
> {
  readonly method: Route<Deps>["method"];
  /** Begins with `/internal/`; `:name` for parameters, which arrive decoded. */
  readonly path: string;
  readonly summary: string;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly answers: Readonly<Record<number, AnswerSpec>>;
  readonly problems: readonly ProblemType[];
  /** Dapr app ids that may call; everyone else gets 403 and is told of as a security event. */
  readonly callers: readonly string[];
  readonly handle: (deps: Deps, request: InternalRequest<Parsed<Params>, Parsed<Query>, Parsed<Body>>) => Promise<Answer>;
}

/** An internal route whose inner types no longer matter. */
export interface InternalRoute<Deps> extends Omit<
  InternalRouteSpec<Deps, z.ZodType | undefined, z.ZodType | undefined, z.ZodType | undefined>,
  "handle"
> {
  readonly handle: (deps: Deps, request: InternalRequest<never, never, never>) => Promise<Answer>;
}

/** Declares an internal route; the types of params, query and body follow from what is declared. */
export function internalRoute<
  Deps,
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(spec: InternalRouteSpec<Deps, Params, Query, Body>): InternalRoute<Deps> {
  return spec as unknown as InternalRoute<Deps>;
}
