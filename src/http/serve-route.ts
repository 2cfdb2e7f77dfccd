/** From a declared route to the function that serves it: gate, throttle, parse, handle, answer. */

import { isDeepStrictEqual } from "node:util";
import { actionOf, type Access, type Actor, type Gate } from "#src/kernel/actor";
import type { ProblemType } from "#src/kernel/problem";
import type { Exchange } from "./exchange.ts";
import { bodyTooLarge, everyRoute, routesWithBody } from "./http.errors.ts";
import { hasBody, readJsonBody } from "./json-body.ts";
import { parseInputs, type Input, type Parsed } from "./parse-input.ts";
import { parseQuery } from "./query.ts";
import { requestHead, type HeadSpec, type RequestHead } from "./request-head.ts";
import type { Answer, Route, RouteRequest } from "./route.ts";
import type { CountingThrottle } from "./throttle.ts";

/** What serving routes takes. */
export interface Serving<Deps> {
  readonly deps: Deps;
  readonly gate: Gate;
  readonly throttle: CountingThrottle;
  /** What the gate refuses with. */
  readonly accountProblems: readonly ProblemType[];
  /** Checks each answer against its declared schema: on everywhere but in production. */
  readonly checkAnswers: boolean;
}

/** Everything a route may refuse with: what it lists, and what kit and gate add. */
export function problemsOf<Deps>(route: Route<Deps>, accountProblems: readonly ProblemType[]): ProblemType[] {
  const gate = route.needs.kind === "account" ? accountProblems : [];
  const body = route.body === undefined ? [bodyTooLarge] : routesWithBody;
  return [...new Set([...route.problems, ...gate, ...body, ...everyRoute])];
}

/** Serves one request whose path has matched; `params` are as they stand in the path, decoded. */
export type Serve = (exchange: Exchange, params: Readonly<Record<string, string>>) => Promise<void>;

/** The steps of §1 of the conventions, in their order: cheap refusals come before the body is read. */
export function serveRoute<Deps>(route: Route<Deps>, serving: Serving<Deps>): Serve {
  const routePath = route.path;
  const mayRefuseWith = serving.checkAnswers ? new Set(problemsOf(route, serving.accountProblems)) : undefined;
  if (routePath.includes(":") && route.params === undefined) throw new Error(`${routePath} has parameters but no schema for them`);
  return async (exchange, params) => {
    exchange.routePath = routePath;
    exchange.mayRefuseWith = mayRefuseWith;
    const actor = await admitted(exchange, route.needs, serving.gate);
    exchange.actor = actor;
    const limits = serving.throttle(actionOf(route, actor), { actor, client: exchange.client });
    if (limits !== undefined) exchange.headers.push(...limits);
    const parsed = parseInputs(await inputsOf(exchange, route, params));
    const request = new ParsedRequest(exchange, parsed, route.reads) as unknown as RouteRequest<never, never, never, never, never>;
    const answer = await route.handle(serving.deps, request);
    if (serving.checkAnswers) checkAnswer(route, answer);
    sendAnswer(exchange, answer);
  };
}

const BEARER = /^bearer +([^\s]+) *$/i;

/** The token of the `Authorization` header; nowhere else is one looked for (RFC 6750, section 2.3 is what not to do). */
function bearerOf(exchange: Exchange): string | undefined {
  const header = exchange.request.headers.authorization;
  return header === undefined ? undefined : BEARER.exec(header)?.[1];
}

async function admitted(exchange: Exchange, needs: Access, gate: Gate): Promise<Actor | undefined> {
  if (needs.kind === "anyone") return undefined;
  const actor = await gate(bearerOf(exchange), needs);
  if (actor === undefined && needs.visitors === undefined) throw new Error("the gate let a nobody through a door for accounts");
  return actor;
}

async function inputsOf<Deps>(exchange: Exchange, route: Route<Deps>, params: Readonly<Record<string, string>>): Promise<Input[]> {
  const inputs: Input[] = [];
  if (route.params !== undefined) inputs.push({ place: "params", schema: route.params, given: params });
  if (route.query !== undefined || exchange.query !== "")
    inputs.push({ place: "query", schema: route.query, given: parseQuery(exchange.query) });
  exchange.refuseLargeBody();
  if (route.body !== undefined) inputs.push({ place: "body", schema: route.body, given: await bodyOf(exchange) });
  return inputs;
}

async function bodyOf(exchange: Exchange): Promise<unknown> {
  // No body at all is told field by field, like an empty object.
  if (!hasBody(exchange.request)) return {};
  exchange.readingBody = true;
  const body = await readJsonBody(exchange.request);
  exchange.readingBody = false;
  return body;
}

/** What a handler sees. Signal and head are made on demand, hence getters. */
class ParsedRequest {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly #exchange: Exchange;
  readonly #reads: HeadSpec | undefined;

  constructor(exchange: Exchange, parsed: Parsed, reads: HeadSpec | undefined) {
    this.#exchange = exchange;
    this.#reads = reads;
    this.params = parsed.params;
    this.query = parsed.query;
    this.body = parsed.body;
  }

  get actor(): Actor | undefined {
    return this.#exchange.actor;
  }
  get head(): RequestHead | undefined {
    return this.#reads === undefined ? undefined : requestHead(this.#exchange.request.headers, this.#reads);
  }
  get client(): Exchange["client"] {
    return this.#exchange.client;
  }
  get log(): Exchange["log"] {
    return this.#exchange.log;
  }
  get signal(): AbortSignal {
    return this.#exchange.signal;
  }
}

function sendAnswer(exchange: Exchange, { status, body, headers = {} }: Answer): void {
  const own = Object.keys(headers).map((name) => name.toLowerCase());
  const flat = Object.entries(headers).flatMap(([name, values]) => [values].flat().flatMap((value) => [name, value]));
  if (!own.includes("cache-control")) flat.push("Cache-Control", "no-store");
  if (body === undefined) exchange.send({ status, headers: flat });
  else if (own.includes("content-type"))
    exchange.send({ status, body: typeof body === "string" ? body : JSON.stringify(body), headers: flat });
  else exchange.send({ status, type: "application/json", body: JSON.stringify(body), headers: flat });
}

/** @throws Error (a bug of ours) when the answer is not as declared: a field too many might be one that must not leave */
function checkAnswer<Deps>(route: Route<Deps>, answer: Answer): void {
  const name = `the answer ${answer.status} of ${route.method.toUpperCase()} ${route.path}`;
  const spec = route.answers[answer.status];
  if (spec === undefined) throw new Error(`${name} is not declared`);
  if ((spec.body === undefined) !== (answer.body === undefined))
    throw new Error(`${name} has a body where none is declared, or none where one is`);
  if (spec.body === undefined) return;
  const sent: unknown = JSON.parse(JSON.stringify(answer.body));
  const result = spec.body.safeParse(sent);
  if (!result.success) {
    const issues = result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw new Error(`${name} is not as declared: ${issues.join("; ")}`);
  }
  if (!isDeepStrictEqual(result.data, sent)) throw new Error(`${name} has fields that are not declared`);
}
