import { describe, expect, it } from "@jest/globals";
import { Validator } from "@seriousme/openapi-schema-validator";
import { z } from "zod";
import { account, anyone, type Action } from "#src/kernel/actor";
import { problem } from "#src/kernel/problem";
import { serveApp, tokenInvalid } from "../../test/kit/http-app.ts";
import { writeOpenApi, type Operation } from "./openapi.ts";
import { route } from "./route.ts";

const throttle: Action = { name: "test.open", limit: 30, windowSeconds: 60 };
const notFound = problem("test.not_found", 404, "Nobody is called that");

const user = z.strictObject({ id: z.uuid(), username: z.string(), createdAt: z.iso.datetime() }).meta({ id: "User" });
const list = z.strictObject({ data: z.array(user), next: user.nullable() });
const common = { tag: "users", problems: [notFound], throttle } as const;

const getOne = route({
  ...common,
  method: "get",
  path: "/api/users/:idOrUsername",
  summary: "One user",
  params: z.strictObject({ idOrUsername: z.string().describe("An id or a username") }),
  query: z.strictObject({ limit: z.coerce.number().int().min(1).max(100).default(20), cursor: z.string().optional() }),
  answers: { 200: { description: "The user", body: user } },
  needs: account,
  handle: async () => ({ status: 200 }),
});
const create = route({
  ...common,
  method: "post",
  path: "/api/users",
  summary: "Makes one",
  body: z.strictObject({ username: z.string().trim().min(3), when: z.iso.datetime().transform((text) => new Date(text)) }),
  answers: { 201: { description: "Made", body: list }, 204: { description: "Was there" } },
  needs: anyone,
  handle: async () => ({ status: 204 }),
});
const moderate = route({
  ...common,
  method: "delete",
  path: "/api/users/:idOrUsername",
  summary: "Removes one",
  params: z.strictObject({ idOrUsername: z.string() }),
  answers: { 204: { description: "Gone" } },
  needs: { kind: "account", role: "moderator", capability: "post" },
  handle: async () => ({ status: 204 }),
});
const byHead = route({
  ...common,
  method: "put",
  path: "/api/users/head",
  summary: "Reads its head",
  reads: { headers: { "X-Mode": "How" }, cookies: { crumb: "A crumb" } },
  answers: { 204: { description: "Read" } },
  needs: anyone,
  handle: async (_deps, { head }) => ({ status: 204, headers: { "X-Read": `${head.header("X-Mode")} ${head.cookies("crumb").join()}` } }),
});
const routes = [byHead, getOne, create, moderate];
const document = writeOpenApi<unknown>({ routes, accountProblems: [tokenInvalid], version: "1.2.3" });

function operationOf(path: string, method: string): Operation {
  const found = document.paths[path]?.[method];
  if (found === undefined) throw new Error(`${method} ${path} is not in the document`);
  return found;
}

/** Every `$ref` within. */
function references(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) => (key === "$ref" && typeof value === "string" ? [value] : references(value)));
}

function resolve(reference: string): unknown {
  return reference
    .slice(2)
    .split("/")
    .reduce<unknown>(
      (node, part) => (node as Record<string, unknown> | undefined)?.[part.replaceAll("~1", "/").replaceAll("~0", "~")],
      document,
    );
}

describe("the OpenAPI document", () => {
  it("has every route", () => {
    const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(documented.sort()).toEqual([
      "delete /api/users/{idOrUsername}",
      "get /api/users/{idOrUsername}",
      "post /api/users",
      "put /api/users/head",
    ]);
  });

  it("says what a route takes: parameters and body as they are sent", () => {
    expect(operationOf("/api/users/{idOrUsername}", "get").parameters).toEqual([
      { name: "idOrUsername", in: "path", required: true, description: "An id or a username", schema: { type: "string" } },
      { name: "limit", in: "query", required: false, schema: expect.objectContaining({ default: 20, minimum: 1, maximum: 100 }) },
      { name: "cursor", in: "query", required: false, schema: { type: "string" } },
    ]);
    expect(operationOf("/api/users", "post").requestBody).toMatchObject({
      required: true,
      content: { "application/json": { schema: { type: "object", additionalProperties: false, required: ["username", "when"] } } },
    });
  });

  it("says what a route gives, with named schemas once", () => {
    expect(operationOf("/api/users/{idOrUsername}", "get").responses["200"]).toMatchObject({
      content: { "application/json": { schema: { $ref: "#/components/schemas/User" } } },
    });
    expect(operationOf("/api/users", "post").responses["201"]).toMatchObject({
      content: { "application/json": { schema: { properties: { data: { items: { $ref: "#/components/schemas/User" } } } } } },
    });
    expect(operationOf("/api/users", "post").responses["204"]).toEqual({ description: "Was there" });
    expect(document.components["schemas"]?.["User"]).toMatchObject({ type: "object", required: ["id", "username", "createdAt"] });
  });

  it("lists every code a route may refuse with, with an example: its own, the gate's, and the kit's", () => {
    const { responses } = operationOf("/api/users/{idOrUsername}", "get");
    const codes = (status: string): string[] => {
      const { content } = responses[status] as { content: Record<string, { examples: Record<string, unknown> }> };
      return Object.keys(content["application/problem+json"]?.examples ?? {});
    };
    expect(codes("404")).toEqual(["test.not_found"]);
    expect(codes("401")).toEqual(["test.token_invalid"]);
    expect(codes("429")).toEqual(["rate.limited"]);
    expect(codes("400")).toEqual(["input.invalid", "path.malformed"]);
    expect(codes("503")).toEqual(["service.busy", "service.deadline_passed"]);
    expect(Object.keys(operationOf("/api/users", "post").responses)).not.toContain("401");
    expect(Object.keys(operationOf("/api/users", "post").responses)).toEqual(expect.arrayContaining(["408", "413", "415"]));
  });

  it("says who may come and how often", () => {
    expect(operationOf("/api/users/{idOrUsername}", "delete")).toMatchObject({
      security: [{ bearer: [] }],
      description: expect.stringMatching(/Needs the role moderator\. .*post[^]*Limit: 30 in 60 s/),
    });
    expect(operationOf("/api/users", "post").security).toEqual([]);
  });

  it("is sound by the schema of OpenAPI 3.1 itself", async () => {
    const sound = (candidate: object): Promise<{ valid: boolean }> =>
      new Validator().validate(JSON.parse(JSON.stringify(candidate)) as Record<string, unknown>);
    expect(await sound(document)).toEqual({ valid: true });
    expect(await sound({ ...document, info: {} })).toMatchObject({ valid: false });
  });

  it("refers to nothing that is not there, and names each operation once", () => {
    const all = references(document);
    expect(all.length).toBeGreaterThan(10);
    for (const reference of all) expect([reference, resolve(reference)]).toEqual([reference, expect.anything()]);
    const ids = Object.values(document.paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId));
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain("getUsersByIdOrUsername");
  });

  it("is not written from schemas that JSON cannot say, or that share a name", () => {
    const dated = { ...getOne, answers: { 200: { description: "x", body: z.strictObject({ at: z.date() }) } } };
    expect(() => writeOpenApi<unknown>({ routes: [dated], accountProblems: [], version: "1" })).toThrow(/date/i);
    const other = z.strictObject({ name: z.string() }).meta({ id: "User" });
    const twice = { ...create, answers: { 201: { description: "x", body: z.strictObject({ other }) } } };
    expect(() => writeOpenApi<unknown>({ routes: [getOne, twice], accountProblems: [], version: "1" })).toThrow("named User");
  });
});

describe("the documents", () => {
  it("are served, and not sent again to who has them", async () => {
    await using app = await serveApp(routes, { asyncApi: { asyncapi: "3.0.0" } });
    const response = await fetch(`${app.url}/openapi.json`);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toMatchObject({ openapi: "3.1.0", paths: { "/api/users": {} } });
    const etag = response.headers.get("etag") ?? "";
    expect((await fetch(`${app.url}/openapi.json`, { headers: { "if-none-match": etag } })).status).toBe(304);
    expect(await (await fetch(`${app.url}/asyncapi.json`)).json()).toEqual({ asyncapi: "3.0.0" });
  });

  it("are not there when there are none", async () => {
    await using app = await serveApp(routes);
    expect((await fetch(`${app.url}/asyncapi.json`)).status).toBe(404);
  });

  it("have a page whose every part comes from here, under a policy that allows no inline script", async () => {
    await using app = await serveApp(routes);
    const page = await fetch(`${app.url}/docs`);
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    const html = await page.text();
    expect(html).not.toMatch(/<script(?![^>]*src=)|\son\w+=|style=|https?:/i);
    for (const [, path] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const part = await fetch(`${app.url}${path}`);
      expect([path, part.status]).toEqual([path, 200]);
      expect(part.headers.get("x-content-type-options")).toBe("nosniff");
      expect((await part.arrayBuffer()).byteLength).toBeGreaterThan(50);
    }
  });

  it.each([
    "index.html",
    "package.json",
    "..%2fpackage.json",
    "%2e%2e%2fpackage.json",
    "swagger-ui-bundle.js.map",
    "constructor",
    "__proto__",
  ])("do not let %s out", async (file) => {
    await using app = await serveApp(routes);
    expect((await fetch(`${app.url}/docs/${file}`)).status).toBe(404);
  });
});

describe("headers and cookies that a route reads", () => {
  it("are in the document, and reach the handler", async () => {
    const read = (name: string, place: string, description: string): object => ({
      name,
      in: place,
      required: false,
      description,
      schema: { type: "string" },
    });
    expect(operationOf("/api/users/head", "put").parameters).toEqual([read("X-Mode", "header", "How"), read("crumb", "cookie", "A crumb")]);
    await using app = await serveApp(routes);
    const answer = await fetch(`${app.url}/api/users/head`, { method: "PUT", headers: { "x-mode": "m", cookie: "a=b; crumb=1; crumb=2" } });
    expect(answer.headers.get("x-read")).toBe("m 1,2");
  });
});
