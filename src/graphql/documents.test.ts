import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import Koa from "koa";
import { anyone } from "#src/kernel/actor";
import { silentLog } from "#src/kernel/log";
import { createDocuments, type TrustedDocuments } from "./documents.ts";
import { createGraphql } from "./graphql.ts";
import { readManifest } from "./manifest.ts";
import type { GraphqlPart } from "./part.ts";

const throttle = { name: "test.read", limit: 5, windowSeconds: 60 };
let ran: string[] = [];

const part: GraphqlPart<object> = {
  typeDefs: `
    type Thing { id: ID!, owner: Thing, name: String }
    extend type Query { thing(id: ID!): Thing, things(limit: Int): [Thing!]! }
    extend type Mutation { rename(name: String!): Thing }
  `,
  queries: {
    thing: {
      needs: anyone,
      throttle,
      resolve: (_context, { id }: { id: string }) => {
        ran.push(`thing ${id}`);
        return { id };
      },
    },
    things: { needs: anyone, throttle, resolve: () => [] },
  },
  mutations: {
    rename: {
      needs: anyone,
      throttle,
      resolve: (_context, { name }: { name: string }) => {
        ran.push(`rename ${name}`);
        return { id: name };
      },
    },
  },
};

const stack = new AsyncDisposableStack();

/** @returns the address */
async function serve(trusted?: TrustedDocuments): Promise<string> {
  const graphql = await createGraphql({
    parts: [part],
    deps: {},
    gate: () => Promise.resolve(undefined),
    throttle: () => {},
    clientOf: () => ({ address: "", addressKey: "", userAgent: "", locale: "en" }),
    log: silentLog,
    introspection: false,
    trusted,
  });
  const handle = new Koa().use(graphql.middleware).callback();
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stack.defer(async () => {
    await graphql.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
}

let url: string;
beforeAll(async () => {
  url = await serve();
});
beforeEach(() => {
  ran = [];
});
afterAll(() => stack.disposeAsync());

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const extensions = (hash: unknown): object => ({ persistedQuery: { version: 1, sha256Hash: hash } });

interface Answer {
  readonly status: number;
  readonly body: {
    readonly data?: unknown;
    readonly errors?: readonly { readonly message: string; readonly extensions: Readonly<Record<string, unknown>> }[];
  };
  readonly code: unknown;
}

async function send(at: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(at, init);
  const body = (await response.json()) as Answer["body"];
  return { status: response.status, body, code: body.errors?.[0]?.extensions["code"] };
}

const postText = (body: string, type = "application/json", at = url): Promise<Answer> =>
  send(at, { method: "POST", headers: { "content-type": type }, body });
const post = (body: object, at = url): Promise<Answer> => postText(JSON.stringify(body), undefined, at);
const get = (
  members: Readonly<Record<string, unknown>>,
  headers: Record<string, string> = { "apollo-require-preflight": "1" },
): Promise<Answer> => {
  const search = Object.entries(members).map(([name, value]): [string, string] => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return send(`${url}?${new URLSearchParams(search).toString()}`, { headers });
};

const byHash = (text: string, at = url): Promise<Answer> => post({ extensions: extensions(sha256(text)) }, at);
const withBoth = (text: string, more: object = {}): Promise<Answer> => post({ query: text, extensions: extensions(sha256(text)), ...more });
const UNKNOWN = "PERSISTED_QUERY_NOT_FOUND";

let made = 0;
/** A document that no other test has sent. */
const fresh = (text = `{ thing(id: "7") { id } }`): string => `${text} # ${(made += 1)}`;

describe("automatic persisted queries", () => {
  it("ask for a document whose hash is unknown, and run it by its hash from then on", async () => {
    const text = fresh();
    const unknown = await byHash(text);
    expect(unknown).toMatchObject({
      status: 200,
      body: { errors: [{ message: "PersistedQueryNotFound", extensions: { code: UNKNOWN } }] },
    });
    expect(ran).toEqual([]);
    expect((await withBoth(text)).body).toEqual({ data: { thing: { id: "7" } } });
    expect((await byHash(text)).body).toEqual({ data: { thing: { id: "7" } } });
    expect((await get({ extensions: extensions(sha256(text)) })).body).toEqual({ data: { thing: { id: "7" } } });
  });

  it("do so by GET as well", async () => {
    const text = fresh("query q($id: ID!) { thing(id: $id) { id } }");
    const asked = { extensions: extensions(sha256(text)), variables: { id: "8" } };
    expect((await get(asked)).code).toBe(UNKNOWN);
    expect((await get({ ...asked, query: text })).body).toEqual({ data: { thing: { id: "8" } } });
    expect((await get({ ...asked, variables: { id: "9" } })).body).toEqual({ data: { thing: { id: "9" } } });
  });

  it("are refused with a hash that is not the document's, and nothing is kept under either", async () => {
    const [text, other] = [fresh(), fresh()];
    const forged = { query: text, extensions: extensions(sha256(other)) };
    expect(await post(forged)).toMatchObject({ status: 400, code: "graphql.hash_mismatch" });
    expect(await get(forged)).toMatchObject({ status: 400, code: "graphql.hash_mismatch" });
    expect([ran, (await byHash(text)).code, (await byHash(other)).code]).toEqual([[], UNKNOWN, UNKNOWN]);
  });

  it("are refused in any other form", async () => {
    const hash = sha256(fresh());
    const forms = [
      ...[undefined, null, 7, "", "x", hash.toUpperCase(), hash.slice(1), `${hash}0`, ` ${hash}`, [hash], { hash }, "__proto__"].map(
        extensions,
      ),
      ...[undefined, 0, 2, "1", [1]].map((version) => ({ persistedQuery: { version, sha256Hash: hash } })),
      ...[null, false, 0, "", hash, [], {}].map((persistedQuery) => ({ persistedQuery })),
      {},
      { persisted: { version: 1, sha256Hash: hash } },
    ];
    for (const form of forms) {
      expect([form, await post({ extensions: form })]).toMatchObject([form, { status: 400, code: "graphql.request_invalid" }]);
      expect([form, await get({ extensions: form })]).toMatchObject([form, { status: 400, code: "graphql.request_invalid" }]);
    }
    const known = fresh();
    await withBoth(known);
    ran = [];
    for (const text of [
      `{"extensions":{"__proto__":${JSON.stringify(extensions(sha256(known)))}}}`,
      `{"__proto__":{"extensions":${JSON.stringify(extensions(sha256(known)))}}}`,
      `{"query":null,"extensions":${JSON.stringify(extensions(sha256(known)))}}`,
      `{"query":"","extensions":${JSON.stringify(extensions(sha256(known)))}}`,
    ])
      expect([text, await postText(text)]).toMatchObject([text, { status: 400, code: "graphql.request_invalid" }]);
    expect(ran).toEqual([]);
  });

  it("pass the limits that every document passes, and are kept only when they have", async () => {
    const circle = "{ thing(id: 1) { ...a } } fragment a on Thing { owner { ...b } } fragment b on Thing { owner { ...a } }";
    const refused: readonly (readonly [text: string, code: string])[] = [
      [`{ thing(id: 1) ${"{ owner ".repeat(50)} { id } ${"}".repeat(50)} }`, "graphql.too_deep"],
      [`{ ${Array.from({ length: 16 }, (_, n) => `a${n}: thing(id: 1) { id }`).join(" ")} }`, "graphql.too_many_aliases"],
      [`{ thing(id: 1) { ${"id ".repeat(400)} } }`, "graphql.too_many_fields"],
      [`{ thing(id: 1) { id } } ${"#".repeat(10_000)}`, "graphql.document_too_long"],
      [circle, "graphql.document_invalid"],
      ["{ nothing }", "graphql.document_invalid"],
      ["{ thing(id: 1) { id }", "graphql.syntax_error"],
      ["{ things(limit: 2000) { id } }", "graphql.too_costly"],
      [`{ thing(id: "a\\u0000") { id } }`, "input.invalid"],
    ];
    for (const [text, code] of refused) {
      expect([text, (await withBoth(text)).code, (await byHash(text)).code]).toEqual([text, code, UNKNOWN]);
    }
    expect(ran).toEqual([]);
  });

  it("have what they cost counted each time, by the variables of that time", async () => {
    const text = fresh("query q($n: Int) { things(limit: $n) { id } }");
    const asked = { extensions: extensions(sha256(text)) };
    expect((await withBoth(text, { variables: { n: 1 } })).body).toEqual({ data: { things: [] } });
    expect((await post({ ...asked, variables: { n: 2_000 } })).code).toBe("graphql.too_costly");
    expect((await post({ ...asked, variables: { n: 2 } })).body).toEqual({ data: { things: [] } });
  });

  it("change nothing by GET, however their hash became known", async () => {
    const text = fresh(`mutation { rename(name: "x") { id } }`);
    expect((await withBoth(text)).body).toEqual({ data: { rename: { id: "x" } } });
    ran = [];
    expect(await get({ extensions: extensions(sha256(text)) })).toMatchObject({ status: 405, code: "graphql.mutation_by_get" });
    const other = fresh(`mutation { rename(name: "y") { id } }`);
    expect(await get({ query: other, extensions: extensions(sha256(other)) })).toMatchObject({
      status: 405,
      code: "graphql.mutation_by_get",
    });
    expect([ran, (await byHash(other)).code]).toEqual([[], UNKNOWN]);
  });

  it("are not for pages that could send them without asking, to run or to make known", async () => {
    const [known, unknown] = [fresh(), fresh()];
    await withBoth(known);
    ran = [];
    const hash = { extensions: extensions(sha256(known)) };
    const both = { query: unknown, extensions: extensions(sha256(unknown)) };
    for (const headers of [
      {},
      { "content-type": "text/plain" },
      { "content-type": "application/x-www-form-urlencoded" },
      { "apollo-require-preflight": "" },
    ]) {
      for (const asked of [hash, both, { extensions: both.extensions }]) {
        expect(await get(asked, headers as Record<string, string>)).toMatchObject({ status: 400, code: "graphql.csrf_refused" });
      }
    }
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "text/plain; application/json",
    ]) {
      for (const asked of [hash, both]) {
        expect(await postText(JSON.stringify(asked), type)).toMatchObject({ status: 415, code: "graphql.unsupported_media_type" });
      }
    }
    expect([ran, (await byHash(unknown)).code]).toEqual([[], UNKNOWN]);
    // What a page cannot send unasked.
    for (const headers of [{ "x-apollo-operation-name": "q" }, { "content-type": "application/json" }]) {
      expect((await get(hash, headers as Record<string, string>)).body).toEqual({ data: { thing: { id: "7" } } });
    }
  });

  it("are kept within a bound, the least recently used going first", async () => {
    const first = fresh();
    await withBoth(first);
    const long = Array.from({ length: 50 }, (_, n) => fresh(`{ thing(id: ${n}) { id } } #${"x".repeat(9_000)}\n`));
    for (const text of long) {
      await withBoth(text);
      await byHash(long[0] ?? "");
    }
    expect((await byHash(first)).code).toBe(UNKNOWN);
    expect((await byHash(long[0] ?? "")).code).toBeUndefined();
    expect((await byHash(long.at(-1) ?? "")).code).toBeUndefined();
  });

  it("that are tiny count for more than their characters", async () => {
    const { cache, textOf } = createDocuments();
    const hashes = Array.from({ length: 20_000 }, (_, n) => sha256(String(n)));
    for (const hash of hashes) await cache.set(`apq:${hash}`, "{a}");
    const kept = hashes.filter((hash) => textOf({ query: undefined, hash }) !== undefined);
    expect(kept.length).toBeLessThan(4_000);
    expect(kept.length).toBeGreaterThan(3_000);
  });
});

const LISTED = "query q($id: ID!) { thing(id: $id) { id } }";
const manifest = new Map([[sha256(LISTED), LISTED]]);

describe("trusted documents", () => {
  it("are run by hash or text without having been sent, and where nothing else is trusted, nothing else is run or kept", async () => {
    const at = await serve({ manifest, only: true });
    const variables = { id: "7" };
    const answered = { data: { thing: { id: "7" } } };
    expect((await post({ extensions: extensions(sha256(LISTED)), variables }, at)).body).toEqual(answered);
    expect((await post({ query: LISTED, variables }, at)).body).toEqual(answered);
    ran = [];
    const text = fresh();
    for (const asked of [
      { query: text },
      { query: `${LISTED} `, variables },
      { query: text, extensions: extensions(sha256(text)) },
      { extensions: extensions(sha256(text)) },
      { query: "{ __schema { types { name } } }" },
      { query: `mutation { rename(name: "x") { id } }` },
    ])
      expect([asked, await post(asked, at)]).toMatchObject([asked, { status: 400, code: "graphql.document_untrusted" }]);
    expect(await post({ query: text, extensions: extensions(sha256(LISTED)) }, at)).toMatchObject({ code: "graphql.hash_mismatch" });
    expect(ran).toEqual([]);
  });

  it("are known beside others where others are run too", async () => {
    const at = await serve({ manifest, only: false });
    expect((await post({ extensions: extensions(sha256(LISTED)), variables: { id: "7" } }, at)).code).toBeUndefined();
    expect((await post({ query: fresh() }, at)).code).toBeUndefined();
    expect((await byHash(fresh(), at)).code).toBe(UNKNOWN);
  });

  it("that would be refused stop the start, and say why", async () => {
    const starting = (text: string): Promise<string> => serve({ manifest: new Map([[sha256(text), text]]), only: true });
    await expect(starting("{ nothing }")).rejects.toThrow(/trusted document [0-9a-f]{16} would be refused: Cannot query field "nothing"/);
    await expect(starting(`{ ${Array.from({ length: 16 }, (_, n) => `a${n}: thing(id: 1) { id }`).join(" ")} }`)).rejects.toThrow(
      "too many aliases",
    );
  });
});

describe("the file of trusted documents", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "documents-"));
    stack.defer(() => rm(folder, { recursive: true }));
  });
  const read = async (text: string): Promise<ReadonlyMap<string, string>> => {
    const path = join(folder, "documents.json");
    await writeFile(path, text);
    return await readManifest(path);
  };

  it("is read whole", async () => {
    expect(await read(JSON.stringify({ [sha256(LISTED)]: LISTED }))).toEqual(manifest);
  });

  it.each([
    ["no JSON", "{", "cannot be read"],
    ["a list", JSON.stringify([LISTED]), "must be one JSON object"],
    ["no text", JSON.stringify({ [sha256(LISTED)]: { body: LISTED } }), "must be one JSON object"],
    ["nothing", "{}", "are none"],
    ["a wrong hash", JSON.stringify({ [sha256("x")]: LISTED }), "not its SHA-256"],
    ["an upper-case hash", JSON.stringify({ [sha256(LISTED).toUpperCase()]: LISTED }), "not its SHA-256"],
    ["the prototype", `{"__proto__":"${LISTED}"}`, /are none|not its SHA-256/],
  ])("with %s is refused, by name", async (_, text, why) => {
    await expect(read(text)).rejects.toThrow(why);
    await expect(read(text)).rejects.toThrow("GRAPHQL_DOCUMENTS");
  });

  it("that is not there is named", async () => {
    await expect(readManifest(join(folder, "nothing.json"))).rejects.toThrow(/nothing\.json\) cannot be read/);
  });
});
