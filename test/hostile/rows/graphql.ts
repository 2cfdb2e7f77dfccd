import { expect } from "@jest/globals";
import { encodeCursor } from "#src/kernel/page";
import { rowsOf, told, type Row } from "../row.ts";
import type { Target } from "../target.ts";

const nest = (depth: number): string => `{ ${"a { ".repeat(depth)}b${" }".repeat(depth)} }`;
const many = (count: number, one: (index: number) => string): string => Array.from({ length: count }, (_, index) => one(index)).join(" ");
const circle = "{ me { ...A } } fragment A on User { ...B } fragment B on User { ...A }";
const doubling = `{ me { ...F0 } } ${many(20, (index) => `fragment F${index} on User { ...F${index + 1} ...F${index + 1} }`)} fragment F20 on User { id }`;

type Document = readonly [name: string, text: string, code: string | RegExp, advisory?: Row["advisory"]];

const DOCUMENTS: readonly Document[] = [
  ["a depth bomb", nest(200), "graphql.too_deep"],
  ["an alias flood", `{ ${many(100, (index) => `a${index}: me { id }`)} }`, "graphql.too_many_aliases"],
  ["a flood of root fields", `{ ${"me { id } ".repeat(100)} }`, "graphql.too_many_fields"],
  ["too many tokens", `{ ${"a ".repeat(3_000)} }`, "graphql.too_many_tokens"],
  ["60 KB of nothing", `{ me { id } } #${"x".repeat(60_000)}`, "graphql.document_too_long"],
  [
    "the overlap rule's worst",
    `{ me { ${many(400, () => "id")} ${many(400, () => "username")} } }`,
    "graphql.too_many_fields",
    "CVE-2023-26144",
  ],
  [
    "the same in a fragment that nobody uses",
    `{ me { id } } fragment F on User { ${many(900, () => "id")} }`,
    "graphql.too_many_fields",
    "CVE-2023-26144",
  ],
  ["fragments in a circle", circle, /^graphql\.(too_deep|document_invalid)$/],
  ["fragments that double", doubling, /^graphql\.too_/],
  ["directives without end", `{ me { id ${"@include(if: true) ".repeat(400)} } }`, "graphql.too_many_tokens"],
  ["a syntax error", "{ me { id ", "graphql.syntax_error"],
  ["an unknown field", "{ me { passwordHash } }", "graphql.document_invalid"],
  ["a subscription over HTTP", `subscription { notification { id } }`, "graphql.subscription_over_http"],
  [
    "a page too large",
    `{ searchUsers(query: "a", pagination: { limit: 5000 }) { data { id } } }`,
    /^(graphql\.too_costly|input\.invalid)$/,
  ],
  ["a list of a billion", "{ me { followers(first: 1000000000) { edges { cursor } } } }", "graphql.too_costly"],
  [
    "lists in lists",
    "{ me { followers(first: 100) { edges { node { followers(first: 100) { edges { node { id } } } } } } } }",
    "graphql.too_costly",
  ],
  [
    "lists in lists without end",
    `{ me { ${"followers(first: 1) { edges { node { ".repeat(20)}id${" } } }".repeat(20)} } }`,
    "graphql.too_deep",
  ],
  ["a list of less than nothing", "{ me { followers(first: -1) { edges { cursor } } } }", "input.invalid"],
  ["a cursor of another list", `{ blocks(after: "${encodeCursor("mutes", ["1"])}") { edges { cursor } } }`, "input.invalid"],
  ["NUL in a literal", `{ user(username: "a\\u0000") { id } }`, "input.invalid"],
  ["half a surrogate pair in a literal", `{ user(username: "a\\ud800") { id } }`, /^(input\.invalid|graphql\.syntax_error)$/],
  [
    "references of types that have no key",
    `{ _entities(representations: [{ __typename: "Mutation", id: 1 }]) { __typename } }`,
    "input.invalid",
  ],
  [
    "a reference by its prototype",
    `{ _entities(representations: [{ __proto__: { __typename: "User" } }]) { __typename } }`,
    "input.invalid",
  ],
  ["101 references", `{ _entities(representations: [${many(101, () => `{__typename:"User"}`)}]) { __typename } }`, "input.invalid"],
  ["somebody else's argument type", `{ user(id: { ne: 1 }) { id } }`, "graphql.document_invalid"],
];

const hashed = (hash: string): object => ({ persistedQuery: { version: 1, sha256Hash: hash } });
const query = JSON.stringify({ query: "{ me { id } }" });
const charset = (text: string): Readonly<Record<string, string>> => ({ "content-type": `application/json; charset=${text}` });

const BODIES: readonly (readonly [string, string, Readonly<Record<string, string>>, string, Row["advisory"]?])[] = [
  ["a batch", `[${query},${query}]`, {}, "400 graphql.batch_refused"],
  ["10 MB", JSON.stringify({ query: "x".repeat(10 * 1024 * 1024) }), {}, "413 graphql.body_too_large"],
  ["variables that are none", JSON.stringify({ query: "{ me { id } }", variables: "x" }), {}, "400 graphql.request_invalid"],
  [
    "10,000 references",
    JSON.stringify({ query: "query($r:[_Any!]!){_entities(representations:$r){__typename}}", variables: { r: Array(10_000).fill({}) } }),
    {},
    "400 graphql.too_costly",
  ],
  [
    "a hash of another document",
    JSON.stringify({ query: "{ me { id } }", extensions: hashed("0".repeat(64)) }),
    {},
    "400 graphql.hash_mismatch",
  ],
  ["a hash that is none", JSON.stringify({ extensions: hashed("__proto__") }), {}, "400 graphql.request_invalid"],
  ["a hash that nobody knows", JSON.stringify({ extensions: hashed("0".repeat(64)) }), {}, "200 PERSISTED_QUERY_NOT_FOUND"],
  ["members it does not know", JSON.stringify({ query: "{ me { id } }", admin: true }), {}, "400 graphql.request_invalid"],
  ...["x".repeat(5_000), "utf-7", "utf-16le", "utf-8;charset=utf-16"].map(
    (text) => [`the charset ${text.slice(0, 20)}`, query, charset(text), "415 graphql.unsupported_media_type", "CVE-2026-23897"] as const,
  ),
  ["a form", "query=%7Bme%7Bid%7D%7D", { "content-type": "application/x-www-form-urlencoded" }, "415 graphql.unsupported_media_type"],
  ["malformed JSON", "{", {}, "400 graphql.request_invalid"],
];

const matching = (code: string | RegExp): RegExp => (typeof code === "string" ? new RegExp(`^${code.replaceAll(".", "\\.")}$`) : code);

export const graphqlRows: readonly Row[] = [
  ...DOCUMENTS.map(([name, text, code, advisory]): Row => ({
    area: "graphql",
    name,
    ...(advisory === undefined ? {} : { advisory }),
    attack: async ({ api, bystander }: Target) => {
      const { status, body } = await api.http.graphql(text, bystander.accessToken);
      expect(status).toBeLessThan(500);
      expect(body.errors?.[0]?.extensions.code).toMatch(matching(code));
      expect(JSON.stringify(body)).not.toMatch(/stacktrace|node_modules/);
    },
  })),
  ...BODIES.map(([name, body, headers, expected, advisory]): Row => ({
    area: "graphql",
    name: `sent as ${name}`,
    ...(advisory === undefined ? {} : { advisory }),
    attack: async ({ api, bystander }: Target) => {
      expect(told(await api.http.send("POST", "/graphql", { token: bystander.accessToken, body, headers }))).toBe(expected);
    },
  })),
  ...rowsOf("graphql", [
    [
      "a change by GET, and whatever a page could send unasked",
      async (target) => {
        const person = await target.newcomer();
        const mutation = encodeURIComponent(`mutation { follow(userId: "${target.bystander.id}") { status } }`);
        expect(told(await target.api.http.get(`/graphql?query=${mutation}`, person.accessToken))).toBe("405 graphql.mutation_by_get");
        expect(told(await target.api.http.get("/graphql?query=%7Bme%7Bid%7D%7D", person.accessToken))).toBe("400 graphql.csrf_refused");
        const byHash = encodeURIComponent(JSON.stringify(hashed("0".repeat(64))));
        expect(told(await target.api.http.get(`/graphql?extensions=${byHash}`, person.accessToken))).toBe("400 graphql.csrf_refused");
        const simple = { token: person.accessToken, body: query, headers: { "content-type": "text/plain" } };
        expect(told(await target.api.http.send("POST", "/graphql", simple))).toBe("415 graphql.unsupported_media_type");
        const { body } = await target.api.http.get<{ followingCount: number }>("/api/users/me", person.accessToken);
        expect(body.followingCount).toBe(0);
      },
    ],
  ]),
];
