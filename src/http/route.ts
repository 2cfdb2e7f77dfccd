/** A route is data: the kit mounts it, guards it and writes OpenAPI from it. */

import type { z } from "zod";
import type { Access, Action, Actor, Client } from "#src/kernel/actor";
import type { ProblemType } from "#src/kernel/problem";
import type { Log } from "#src/kernel/log";
import type { HeadSpec, RequestHead } from "./request-head.ts";

/** What a handler answers. A `body` of undefined is an empty answer. */
export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  /** Several of one name as a list. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

/** One documented answer. */
export interface AnswerSpec {
  readonly description: string;
  readonly body?: z.ZodType;
  /** Where it is not `application/json`; the handler then sends the same in its `Content-Type` header. */
  readonly contentType?: string;
}

/** A parsed and admitted request. `actor` is there exactly when the route's access is an account (and no visitor asks), `head` when it declares what it reads. */
export interface RouteRequest<Params, Query, Body, Who, Head> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly actor: Who;
  readonly head: Head;
  readonly client: Client;
  readonly log: Log;
  /** Aborted when the client is gone or the deadline has passed. */
  readonly signal: AbortSignal;
}

type Parsed<Schema> = Schema extends z.ZodType<infer Value> ? Value : undefined;
type Who<Needs> = Needs extends { readonly kind: "account" }
  ? Needs extends { readonly visitors: Action }
    ? Actor | undefined
    : Actor
  : undefined;
type Head<Reads> = Reads extends HeadSpec ? RequestHead : undefined;

/** Everything there is to know of a route. `Deps` is what its use case needs; `main/` proves that it is met. */
export interface RouteSpec<
  Deps,
  Params extends z.ZodType | undefined,
  Query extends z.ZodType | undefined,
  Body extends z.ZodType | undefined,
  Needs extends Access,
  Reads extends HeadSpec | undefined,
> {
  readonly method: "get" | "post" | "patch" | "put" | "delete";
  /** With `:name` for parameters, e.g. `/api/users/:id/follow`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: Params;
  readonly query?: Query;
  /** Strict: unknown fields are refused. */
  readonly body?: Body;
  /** Headers and cookies that the handler reads; no others can be seen by it. */
  readonly reads?: Reads;
  readonly answers: Readonly<Record<number, AnswerSpec>>;
  /** What the use case may refuse with; those of gate, throttle and parsing are added by the kit. */
  readonly problems: readonly ProblemType[];
  readonly throttle: Action;
  readonly needs: Needs;
  readonly handle: (
    deps: Deps,
    request: RouteRequest<Parsed<Params>, Parsed<Query>, Parsed<Body>, Who<Needs>, Head<Reads>>,
  ) => Promise<Answer>;
}

/** A route whose inner types no longer matter: what features export and the kit mounts. */
export interface Route<Deps> extends Omit<
  RouteSpec<Deps, z.ZodType | undefined, z.ZodType | undefined, z.ZodType | undefined, Access, HeadSpec | undefined>,
  "handle"
> {
  readonly handle: (deps: Deps, request: RouteRequest<never, never, never, never, never>) => Promise<Answer>;
}

/** Declares a route; the types of params, query, body, actor and head follow from what is declared. */
export function route<
  Deps,
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
  Needs extends Access = Access,
  Reads extends HeadSpec | undefined = undefined,
>(spec: RouteSpec<Deps, Params, Query, Body, Needs, Reads>): Route<Deps> {
  return spec as unknown as Route<Deps>;
}
