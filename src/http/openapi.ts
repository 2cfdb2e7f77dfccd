/** The OpenAPI 3.1 document, written from the routes that are served: what is not in a route cannot be in the document. */

import { z } from "zod";
import type { Access, Action } from "#src/kernel/actor";
import type { ProblemType } from "#src/kernel/problem";
import { SchemaComponents, type JsonSchema } from "./openapi-schemas.ts";
import { problemUri } from "#src/kernel/problem-document";
import type { AnswerSpec, Route } from "./route.ts";
import { problemsOf } from "./serve-route.ts";

/** The document, as it is served at `/openapi.json`. */
export interface OpenApi {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** One method of one path. */
export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly object[];
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, object>>;
}

export interface OpenApiOptions<Deps> {
  readonly routes: readonly Route<Deps>[];
  readonly accountProblems: readonly ProblemType[];
  readonly version: string;
}

const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    instance: z.string().optional(),
    code: z.string().describe("Stable; switch on this"),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    traceId: z.string().optional(),
  })
  .meta({ id: "Problem", description: "RFC 9457 problem details" });

/** Writes the document. @throws Error for a schema that JSON Schema cannot say */
export function writeOpenApi<Deps>({ routes, accountProblems, version }: OpenApiOptions<Deps>): OpenApi {
  const schemas = new SchemaComponents();
  const problem = schemas.toJson(problemSchema, "output");
  const paths: Record<string, Record<string, Operation>> = {};
  const refusals = new Map<string, ProblemType>();
  for (const route of routes) {
    const problems = problemsOf(route, accountProblems);
    for (const type of problems) refusals.set(type.code, type);
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method]: operation(route, { schemas, problem, problems }) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "User Service", version, description: "Accounts, sessions, profiles, follows, presence and moderation." },
    servers: [{ url: "/" }],
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.all,
      examples: Object.fromEntries([...refusals.values()].map((type) => [type.code, { summary: type.title, value: exampleOf(type) }])),
      securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } },
    },
  };
}

interface Writing {
  readonly schemas: SchemaComponents;
  /** The reference to the problem schema. */
  readonly problem: JsonSchema;
  readonly problems: readonly ProblemType[];
}

function operation<Deps>(route: Route<Deps>, writing: Writing): Operation {
  const { schemas } = writing;
  const parameters = [
    ...parametersOf("path", route.params, schemas),
    ...parametersOf("query", route.query, schemas),
    ...headParametersOf("header", route.reads?.headers),
    ...headParametersOf("cookie", route.reads?.cookies),
  ];
  return {
    operationId: operationId(route.method, route.path),
    tags: [route.tag],
    summary: route.summary,
    description: [route.description, accessText(route.needs), limitText(route.throttle)].filter((part) => part !== undefined).join("\n\n"),
    security: route.needs.kind === "account" ? [{ bearer: [] }] : [],
    ...(parameters.length > 0 && { parameters }),
    ...(route.body !== undefined && {
      requestBody: { required: true, content: { "application/json": { schema: schemas.toJson(route.body, "input") } } },
    }),
    responses: { ...answersOf(route.answers, schemas), ...refusalsOf(writing) },
  };
}

/** `get /api/users/:id/followers` → `getUsersByIdFollowers`. */
function operationId(method: string, path: string): string {
  const words = path
    .replace(/^\/api\//, "/")
    .replaceAll(/:/g, "by-")
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== "");
  return method + words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join("");
}

function accessText(needs: Access): string | undefined {
  if (needs.kind === "anyone") return undefined;
  const parts = [
    needs.role === undefined ? undefined : `Needs the role ${needs.role}.`,
    needs.capability === undefined ? undefined : `Refused to accounts that a restriction keeps from: ${needs.capability}.`,
    needs.restricted === undefined ? undefined : "Open to suspended and banned accounts too.",
    needs.impersonation === undefined ? undefined : "Open to impersonation.",
    needs.visitors === undefined ? undefined : visitorsText(needs.visitors),
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join(" ");
}

function visitorsText({ name, limit, windowSeconds }: Action): string {
  return `Where PUBLIC_PROFILES is on, open without a token too: ${limit} in ${windowSeconds} s an address (\`${name}\`).`;
}

function limitText({ name, limit, windowSeconds }: Action): string {
  return `Limit: ${limit} in ${windowSeconds} s (\`${name}\`).`;
}

function parametersOf(place: "path" | "query", schema: z.ZodType | undefined, schemas: SchemaComponents): object[] {
  if (schema === undefined) return [];
  const { properties, required = [] } = schemas.toJson(schema, "input") as { properties?: Record<string, JsonSchema>; required?: string[] };
  if (properties === undefined) throw new Error(`a ${place} schema must be an object with fields, without an id of its own`);
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    ...(description !== undefined && { description }),
    schema: rest,
  }));
}

function headParametersOf(place: "header" | "cookie", described: Readonly<Record<string, string>> = {}): object[] {
  return Object.entries(described).map(([name, description]) => ({
    name,
    in: place,
    required: false,
    description,
    schema: { type: "string" },
  }));
}

function answersOf(answers: Readonly<Record<number, AnswerSpec>>, schemas: SchemaComponents): Record<string, object> {
  const entries = Object.entries(answers).map(([status, { description, body, contentType = "application/json" }]) => [
    status,
    { description, ...(body !== undefined && { content: { [contentType]: { schema: schemas.toJson(body, "output") } } }) },
  ]);
  return Object.fromEntries(entries) as Record<string, object>;
}

function refusalsOf({ problem, problems }: Writing): Record<string, object> {
  const byStatus = Map.groupBy(problems, (type) => type.status);
  const entries = [...byStatus].map(([status, types]) => [
    String(status),
    {
      description: types.map((type) => `\`${type.code}\`: ${type.title}`).join("; "),
      content: {
        "application/problem+json": {
          schema: problem,
          examples: Object.fromEntries(types.map((type) => [type.code, { $ref: `#/components/examples/${type.code}` }])),
        },
      },
    },
  ]);
  return Object.fromEntries(entries) as Record<string, object>;
}

function exampleOf(type: ProblemType): object {
  const errors = type.code === "input.invalid" ? { errors: [{ path: "body.email", message: "is required" }] } : {};
  return {
    type: problemUri(type),
    title: type.title,
    status: type.status,
    code: type.code,
    ...errors,
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  };
}
