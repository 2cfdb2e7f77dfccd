import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { getIntrospectionQuery, type GraphQLObjectType } from "graphql";
import Koa from "koa";
import { account, anyone, type Actor, type Gate } from "#src/kernel/actor";
import type { SessionId, UserId } from "#src/kernel/ids";
import { silentLog, type Log, type LogFields } from "#src/kernel/log";
import { Problem, problem } from "#src/kernel/problem";
import { createGraphql, type Graphql } from "./graphql.ts";
import { joinParts, type GraphqlPart } from "./part.ts";
import { assembleSchema } from "./schema.ts";

const tokenMissing = problem("token.missing", 401, "An access token is needed");
const restricted = problem("account.restricted", 403, "The account is restricted");
const denied = problem("access.denied", 403, "This needs a role that the account does not have");
const limited = problem("rate.limited", 429, "Too many tries");
const gone = problem("thing.not_found", 404, "There is no such thing");

const ann: Actor = {
  userId: "0190a000-0000-7000-8000-000000000001" as UserId,
  sessionId: "0190a000-0000-7000-8000-0000000000aa" as SessionId,
  role: "user",
  restricted: false,
  limited: new Set(),
  tokenExpiresAt: new Date("2099-01-01"),
};

interface Deps {
  readonly label: string;
}

const typeDefs = `
  input PageInput { limit: Int, cursor: String }
  type Thing { id: ID!, name(style: String): String, owner: Thing, secrets: String, log: String, parts(limit: Int): [Thing!]!, broken: String }
  type ThingPage { data: [Thing!]!, pagination: Pagination! }
  extend type Query { me: Thing, thing(id: ID!): Thing, things(query: String, pagination: PageInput): ThingPage, open: String, crash: String, whoami: String }
  extend type Mutation { rename(name: String!): Thing }
`;

/** What happened on the server, told in order. */
let seen: string[] = [];
let logged: LogFields[] = [];

const thing = (id: string): { id: string; name: string } => ({ id, name: `thing ${id}` });
const throttle = { name: "test.read", limit: 5, windowSeconds: 60 };

const part: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    me: { needs: account, throttle, resolve: ({ actor }) => thing(actor?.userId ?? "nobody") },
    thing: {
      needs: account,
      throttle,
      resolve: ({ loader }, { id }: { id: string }) => {
        seen.push("resolve thing");
        if (id === "gone") throw new Problem(gone);
        return loader<string, object>("things", (ids) => {
          seen.push(`batch of ${ids.length}`);
          return Promise.resolve(ids.map(thing));
        }).load(id);
      },
    },
    things: { needs: account, throttle, resolve: () => ({ data: [], pagination: { nextCursor: null } }) },
    open: { needs: anyone, throttle, resolve: ({ deps }) => deps.label },
    whoami: { needs: { kind: "account", role: "moderator" }, throttle, resolve: ({ actor }) => actor?.role },
    crash: {
      needs: anyone,
      throttle,
      resolve: () => {
        throw new TypeError("select secret from /srv/code/file.ts failed");
      },
    },
  },
  mutations: {
    rename: {
      needs: account,
      throttle,
      resolve: (_context, { name }: { name: string }) => {
        seen.push(`renamed to ${name}`);
        return thing(name);
      },
    },
  },
  types: {
    Thing: {
      parts: () => [],
      owner: (_thing, _args, { actor }) => (actor === undefined ? null : thing(actor.userId)),
      secrets: {
        needs: { kind: "account", role: "moderator" },
        throttle: { name: "test.secrets", limit: 2, windowSeconds: 60 },
        resolve: ({ id }: { id: string }) => `of ${id}`,
      },
      log: { needs: { kind: "account", role: "admin" }, throttle, resolve: () => "lines" },
    },
  },
};

const gate: Gate = (token, access) => {
  if (access.kind === "anyone") return Promise.resolve(undefined);
  seen.push(`gate ${access.role ?? "user"}`);
  if (token === undefined) return Promise.reject(new Problem(tokenMissing));
  if (access.role === "admin") return Promise.reject(new Problem(denied));
  if (token === "banned") return Promise.reject(new Problem(restricted, { extensions: { restriction: { kind: "ban" } } }));
  return Promise.resolve(ann);
};

const counts = new Map<string, number>();
const count = (action: { name: string; limit: number }, who: { actor?: Actor | undefined }): void => {
  const key = `${action.name} ${who.actor?.userId ?? "address"}`;
  counts.set(key, (counts.get(key) ?? 0) + 1);
  if ((counts.get(key) ?? 0) > action.limit) throw new Problem(limited, { retryAfterSeconds: 7 });
};

const log: Log = { ...silentLog, error: (fields) => logged.push(fields) };

interface Running {
  readonly graphql: Graphql;
  readonly url: string;
  readonly close: () => Promise<void>;
}

async function run(production: boolean): Promise<Running> {
  const clientOf = (): { address: string; addressKey: string; userAgent: string; locale: "en" } => ({
    address: "127.0.0.1",
    addressKey: "127.0.0.1",
    userAgent: "",
    locale: "en",
  });
  const graphql = await createGraphql({
    parts: [part],
    deps: { label: "hello" },
    gate,
    throttle: count,
    clientOf,
    log,
    introspection: !production,
  });
  const app = new Koa().use(graphql.middleware);
  const handle = app.callback();
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    graphql,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`,
    close: async () => {
      await graphql.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: {
    data?: Record<string, unknown> | null;
    errors?: { message: string; extensions: Record<string, unknown>; path?: unknown[] }[];
  };
  readonly code: unknown;
}

let development: Running;
let production: Running;

async function send(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  const body = JSON.parse(text) as Answer["body"];
  return { status: response.status, text, body, code: body.errors?.[0]?.extensions["code"] };
}

function ask(
  query: unknown,
  more: { variables?: unknown; token?: string | null; on?: Running; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { variables, token = "ann", on = production, headers = {} } = more;
  const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
  return send(on.url, {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization, ...headers },
    body: JSON.stringify({ query, ...(variables === undefined ? {} : { variables }) }),
  });
}

beforeAll(async () => {
  development = await run(false);
  production = await run(true);
});
afterAll(async () => {
  await development.close();
  await production.close();
});
beforeEach(() => {
  seen = [];
  logged = [];
  counts.clear();
});

describe("GraphQL root fields", () => {
  it("answers the actor's own data", async () => {
    const { status, body } = await ask("{ me { id } }");
    expect(status).toBe(200);
    expect(body.data).toEqual({ me: { id: ann.userId } });
  });

  it("asks the gate once for fields of the same access, and again for another", async () => {
    await ask("{ me { id } a: thing(id: 1) { id } whoami open }");
    expect(seen.filter((one) => one.startsWith("gate"))).toEqual(["gate user", "gate moderator"]);
  });

  it("asks the gate anew for each mutation, since the one before may have ended the session", async () => {
    await ask(`mutation { a: rename(name: "a") { id } b: rename(name: "b") { id } }`);
    expect(seen).toEqual(["gate user", "renamed to a", "gate user", "renamed to b"]);
  });

  it("asks no gate for a field that is open to anyone", async () => {
    const { body } = await ask("{ open }", { token: null });
    expect(body.data).toEqual({ open: "hello" });
    expect(seen).toEqual([]);
  });

  it("keeps the actor for the fields below, whatever open fields stand beside", async () => {
    const { body } = await ask("{ me { owner { id } } open }");
    expect(body.data).toEqual({ me: { owner: { id: ann.userId } }, open: "hello" });
  });

  it("says token.missing with HTTP 200 when there is no bearer token", async () => {
    const { status, code } = await ask("{ me { id } }", { token: null, headers: { authorization: "Basic abc" } });
    expect(status).toBe(200);
    expect(code).toBe("token.missing");
  });

  it("tells a restricted account what a REST answer would tell, with HTTP 200", async () => {
    const { status, body } = await ask("{ me { id } }", { token: "banned" });
    expect(status).toBe(200);
    expect(body.errors?.[0]?.extensions).toMatchObject({ code: "account.restricted", status: 403, restriction: { kind: "ban" } });
  });

  it("counts every alias against the throttle", async () => {
    const { body } = await ask(`{ ${[1, 2, 3, 4, 5, 6, 7].map((n) => `a${n}: thing(id: ${n}) { id }`).join(" ")} }`);
    expect(body.errors?.map(({ extensions }) => extensions["code"])).toEqual(["rate.limited", "rate.limited"]);
    expect(body.errors?.[0]?.extensions["retryAfterSeconds"]).toBe(7);
    expect(seen.filter((one) => one === "resolve thing")).toHaveLength(5);
  });

  it("loads what many fields want in one batch", async () => {
    await ask("{ a: thing(id: 1) { id } b: thing(id: 2) { id } c: thing(id: 1) { id } }");
    expect(seen).toContain("batch of 2");
  });

  it("admits to a door below the root by its own access, whatever led there, and counts each object", async () => {
    const { body } = await ask("{ a: thing(id: 1) { id secrets } b: thing(id: 2) { id secrets } c: thing(id: 3) { id secrets log } }");
    expect(seen.filter((one) => one.startsWith("gate"))).toEqual(["gate user", "gate moderator", "gate admin"]);
    expect(body.data).toEqual({
      a: { id: "1", secrets: "of 1" },
      b: { id: "2", secrets: "of 2" },
      c: { id: "3", secrets: null, log: null },
    });
    expect(body.errors?.map(({ extensions }) => extensions["code"]).sort()).toEqual(["access.denied", "rate.limited"]);
    const changed = await ask(`mutation { rename(name: "a") { id log } }`);
    expect([changed.code, changed.body.data]).toEqual(["access.denied", { rename: { id: "a", log: null } }]);
  });

  it("joins parts of one feature that add to the same type", () => {
    const one = { typeDefs: "extend type Thing { one: Int }", types: { Thing: { one: () => 1 } } };
    const two = { typeDefs: "extend type Thing { two: Int }", types: { Thing: { two: () => 2 } } };
    const schema = assembleSchema([part, joinParts<Deps>(one, two)]);
    const fields = (schema.getType("Thing") as GraphQLObjectType).getFields();
    expect([fields["one"]?.resolve, fields["two"]?.resolve].every((resolve) => resolve !== undefined)).toBe(true);
  });

  it("answers a refusal of one field beside the data of another", async () => {
    const { body, code } = await ask(`{ thing(id: "gone") { id } open }`);
    expect(code).toBe("thing.not_found");
    expect(body.data).toEqual({ thing: null, open: "hello" });
    expect(body.errors?.[0]?.path).toEqual(["thing"]);
  });

  it("tells nothing of an unexpected error but logs it whole", async () => {
    for (const on of [development, production]) {
      const { text, code } = await ask("{ crash }", { on });
      expect(code).toBe("service.internal_error");
      expect(text).not.toMatch(/secret|file\.ts|stack|TypeError/);
    }
    expect(String(logged[0]?.["error"])).toContain("TypeError: select secret");
  });

  it("does not start when a root field has no resolver, hence no guard", async () => {
    const broken: GraphqlPart<Deps> = { typeDefs: "extend type Query { unguarded: String }" };
    const start = createGraphql({
      parts: [broken],
      deps: { label: "" },
      gate,
      throttle: count,
      clientOf: () => ({ address: "", addressKey: "", userAgent: "", locale: "en" }),
      log,
      introspection: false,
    });
    await expect(start).rejects.toThrow("unguarded");
  });
});

describe("GraphQL limits, before validation", () => {
  const refused = async (query: string): Promise<unknown> => {
    const { status, code } = await ask(query);
    expect(status).toBe(400);
    expect(seen).toEqual([]);
    return code;
  };
  const nested = (levels: number): string => `{ me ${"{ owner ".repeat(levels)} { id } ${"}".repeat(levels)} }`;

  it("refuses depth bombs, and takes what is just within", async () => {
    expect(await refused(nested(200))).toBe("graphql.too_deep");
    expect(await refused(nested(7))).toBe("graphql.too_deep");
    expect((await ask(nested(6))).body.errors).toBeUndefined();
  });

  it("follows fragments when it measures depth", async () => {
    const fragments = Array.from({ length: 9 }, (_, n) => `fragment f${n} on Thing { owner { ${n === 8 ? "id" : `...f${n + 1}`} } }`);
    expect(await refused(`{ me { ...f0 } } ${fragments.join(" ")}`)).toBe("graphql.too_deep");
  });

  it("survives circular fragments and refuses them", async () => {
    expect(await refused("{ me { ...a } } fragment a on Thing { owner { ...b } } fragment b on Thing { owner { ...a } }")).toBe(
      "graphql.document_invalid",
    );
    expect(await refused("{ me { ...a } } fragment a on Thing { ...a }")).toBe("graphql.document_invalid");
  });

  it("counts fragments that double at each step without walking them", async () => {
    const fragments = Array.from({ length: 40 }, (_, n) => `fragment f${n} on Thing { ${n === 39 ? "id" : `...f${n + 1} ...f${n + 1}`} }`);
    expect(await refused(`{ me { ...f0 } } ${fragments.join(" ")}`)).toBe("graphql.too_many_fields");
  });

  it("refuses alias floods", async () => {
    expect(await refused(`{ ${Array.from({ length: 16 }, (_, n) => `a${n}: me { id }`).join(" ")} }`)).toBe("graphql.too_many_aliases");
    expect(await refused(`{ me { ${Array.from({ length: 16 }, (_, n) => `a${n}: name`).join(" ")} } }`)).toBe("graphql.too_many_aliases");
  });

  it("refuses more root fields than an operation may have, also through fragments", async () => {
    const roots = Array.from({ length: 16 }, () => "open").join(" ");
    expect(await refused(`{ ${roots} }`)).toBe("graphql.too_many_fields");
    expect(await refused(`{ ...r } fragment r on Query { ${roots} }`)).toBe("graphql.too_many_fields");
  });

  it("lets no document for the overlap rule reach validation (CVE-2023-26144)", async () => {
    expect(await refused(`{ me { ${"name ".repeat(1_500)} }`)).toBe("graphql.too_many_tokens");
    expect(await refused(`{ me { ${"name ".repeat(900)} } }`)).toBe("graphql.too_many_fields");
    expect(await refused(`{ open } fragment unused on Thing { ${"name ".repeat(900)} }`)).toBe("graphql.too_many_fields");
    expect(
      await refused(
        `{ me { ${Array.from({ length: 90 }, (_, n) => `name(style: "${n}")`)
          .join(" ")
          .repeat(3)} } }`,
      ),
    ).toBe("graphql.too_many_tokens");
  });

  it("refuses a document of more than 10,000 characters", async () => {
    expect(await refused(`{ open } #${"x".repeat(10_000)}`)).toBe("graphql.document_too_long");
  });

  it("refuses what costs too much, by literals, variables and their defaults, before anything runs", async () => {
    const page = (limit: string): string => `{ things(pagination: { limit: ${limit} }) { data { parts(limit: 50) { id } } } }`;
    expect(await refused(page("100"))).toBe("graphql.too_costly");
    expect((await ask(page("5"))).body.errors).toBeUndefined();
    seen = [];
    const query = "query q($l: Int, $p: PageInput = { limit: 100 }) { things(pagination: $p) { data { parts(limit: $l) { id } } } }";
    const costly = await ask(query, { variables: { l: 100 } });
    expect([costly.status, costly.code]).toEqual([400, "graphql.too_costly"]);
    expect(seen).toEqual([]);
    expect((await ask(query, { variables: { l: 5, p: { limit: 5 } } })).body.errors).toBeUndefined();
  });

  it("refuses the second try as it refused the first", async () => {
    expect(await refused(nested(50))).toBe("graphql.too_deep");
    expect(await refused(nested(50))).toBe("graphql.too_deep");
  });
});

describe("GraphQL over HTTP", () => {
  const raw = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<Answer> =>
    send(production.url, { method: "POST", headers, body });
  const json = { "content-type": "application/json" };

  it("refuses charsets other than UTF-8 at once (CVE-2026-23897)", async () => {
    for (const charset of ["utf-7", "utf-16", "utf-16le", "utf-32", "latin1", "utf-8;charset=utf-16", `${"x".repeat(5_000)}`]) {
      const { status, code } = await raw(`{"query":"{ open }"}`, { "content-type": `application/json; charset=${charset}` });
      expect([status, code]).toEqual([415, "graphql.unsupported_media_type"]);
    }
    expect((await raw(`{"query":"{ open }"}`, { "content-type": "application/json; charset=UTF-8" })).body.data).toEqual({ open: "hello" });
  });

  it("refuses bodies that a page may send without preflight, and compressed ones", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
      expect((await raw(`{"query":"{ open }"}`, { "content-type": type })).status).toBe(415);
    }
    expect((await raw(`{"query":"{ open }"}`, { ...json, "content-encoding": "gzip" })).status).toBe(415);
  });

  it("refuses a body over 64 KB with 413", async () => {
    const { status, code } = await raw(JSON.stringify({ query: "{ open }", variables: { a: "x".repeat(70_000) } }), json);
    expect([status, code]).toEqual([413, "graphql.body_too_large"]);
  });

  it("refuses batches, JSON that is none, and members it does not know", async () => {
    expect((await raw(`[{"query":"{ open }"},{"query":"{ open }"}]`, json)).code).toBe("graphql.batch_refused");
    for (const body of [
      `{"query":`,
      `"text"`,
      `{}`,
      `{"query":7}`,
      `{"query":"{ open }","variables":[1]}`,
      `{"query":"{ open }","debug":true}`,
      new Uint8Array([0x7b, 0xff, 0x7d]),
    ]) {
      const { status, code } = await raw(body, json);
      expect([status, code]).toEqual([400, "graphql.request_invalid"]);
    }
    expect((await raw(`{"query":"{ open }","variables":${"[".repeat(20_000)}${"]".repeat(20_000)}}`, json)).status).toBe(400);
    expect((await raw(`{"query":"{ open }","variables":{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}}`, json)).code).toBe(
      "input.invalid",
    );
  });

  it("refuses NUL and lone surrogates in variables and literals", async () => {
    const query = "query q($id: ID!) { thing(id: $id) { id } }";
    for (const id of ["a\0b", "\ud800", "x\udfff"]) expect((await ask(query, { variables: { id } })).code).toBe("input.invalid");
    expect((await ask(`{ thing(id: "a\\u0000b") { id } }`)).code).toBe("input.invalid");
    expect(seen).toEqual([]);
  });

  it("says which variable is wrong", async () => {
    const { status, code, body } = await ask("query q($id: ID!) { thing(id: $id) { id } }", { variables: { id: { nested: true } } });
    expect([status, code]).toEqual([400, "input.invalid"]);
    expect(body.errors?.[0]?.message).toContain("$id");
    expect((await ask("query q($id: ID!) { thing(id: $id) { id } }")).code).toBe("input.invalid");
  });

  it("names the place of a syntax error and refuses unknown fields and operations", async () => {
    const { code, body } = await ask("{ me { id }");
    expect(code).toBe("graphql.syntax_error");
    expect(body.errors?.[0]?.extensions).toMatchObject({ line: 1, column: 12 });
    expect((await ask("{ nothing }")).code).toBe("graphql.document_invalid");
    expect((await ask("query a { open } query b { open }")).code).toBe("graphql.operation_unknown");
  });

  const get = (search: Record<string, string>, headers: Record<string, string> = { "apollo-require-preflight": "1" }): Promise<Answer> =>
    send(`${production.url}?${new URLSearchParams(search).toString()}`, { headers: { authorization: "Bearer ann", ...headers } });

  it("answers queries by GET, and refuses a GET that a page could send unasked", async () => {
    expect((await get({ query: "query q($id: ID!) { thing(id: $id) { id } }", variables: `{"id":"7"}` })).body.data).toEqual({
      thing: { id: "7" },
    });
    const blocked = await get({ query: "{ open }" }, {});
    expect([blocked.status, blocked.code]).toEqual([400, "graphql.csrf_refused"]);
  });

  it("refuses mutations by GET", async () => {
    const { status, code } = await get({ query: `mutation { rename(name: "x") { id } }` });
    expect([status, code]).toEqual([405, "graphql.mutation_by_get"]);
    expect((await get({ query: `query a { open } mutation b { rename(name: "x") { id } }`, operationName: "b" })).status).toBe(405);
    expect(seen).toEqual([]);
  });

  it("holds GET to the same limits", async () => {
    expect((await get({ query: `{ me { ${"name ".repeat(900)} } }` })).code).toBe("graphql.too_many_fields");
    expect(
      (await send(`${production.url}?query=%7Bopen%7D&query=%7Bme%7Bid%7D%7D`, { headers: { "apollo-require-preflight": "1" } })).code,
    ).toBe("graphql.request_invalid");
    expect((await get({ query: "{ open }", variables: "[1" })).code).toBe("graphql.request_invalid");
  });

  it("refuses other methods", async () => {
    expect((await send(production.url, { method: "PUT", headers: json, body: "{}" })).status).toBe(405);
  });

  it("shows the schema in development and not in production, hints included", async () => {
    const inDevelopment = await ask(getIntrospectionQuery(), { on: development });
    expect(inDevelopment.body.data).toHaveProperty("__schema");
    expect((await ask(getIntrospectionQuery())).code).toBe("graphql.document_invalid");
    for (const text of [
      "{ opne }",
      "{ thing(idd: 1) { id } }",
      "{ things(pagination: { limt: 1 }) { data { id } } }",
      "{ me { ...on Thng { id } } }",
    ]) {
      expect((await ask(text)).text).not.toMatch(/did you mean/i);
      expect((await ask(text, { on: development })).text).toMatch(/did you mean/i);
    }
    expect((await ask("{ opne }")).text).not.toContain("open");
    // Variables are looked at when validation is over.
    const query = "query q($p: PageInput) { things(pagination: $p) { data { id } } }";
    const hinted = { variables: { p: { limt: 1 } } };
    expect((await ask(query, { ...hinted, on: development })).text).toMatch(/did you mean/i);
    expect(await ask(query, hinted)).toMatchObject({ code: "input.invalid", text: expect.not.stringMatching(/did you mean|limit/i) });
  });

  it("has no page to land on", async () => {
    const response = await fetch(production.url, { headers: { accept: "text/html" } });
    expect(response.status).toBe(400);
  });
});
