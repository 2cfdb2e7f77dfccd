/** docs/schema.graphql is what clients of GraphQL were promised: it grows by itself, and shrinks only when somebody says so. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { subgraphSdl } from "#src/graphql/federation";
import type { GraphqlPart } from "#src/graphql/part";
import { assembleSchema } from "#src/graphql/schema";
import { features } from "#src/main/features";
import { brokenPromises, PromiseBroken, schemaToKeep, type Updating } from "../kit/schema-promise.ts";

const FILE = join(import.meta.dirname, "..", "..", "docs", "schema.graphql");

const HEADER = `# The schema of GraphQL, as a subgraph of Apollo Federation 2. What is here is promised: src/graphql/README.md says how it may change.
# Written by: UPDATE_DOCS=1 npm test -- test/house

`;

async function promisedText(): Promise<string | undefined> {
  try {
    return await readFile(FILE, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

describe("docs/schema.graphql", () => {
  it("is the schema that there is, which breaks nothing that was promised", async () => {
    const parts = features.flatMap((feature) => (feature.graphql === undefined ? [] : [feature.graphql as GraphqlPart<unknown>]));
    const present = HEADER + subgraphSdl(assembleSchema(parts));
    const updating: Updating = {
      docs: process.env["UPDATE_DOCS"] !== undefined,
      breaking: process.env["UPDATE_SCHEMA_BREAKING"] !== undefined,
    };
    const kept = schemaToKeep(await promisedText(), present, updating);
    if (updating.docs) await writeFile(FILE, kept);

    expect(await promisedText()).toBe(present);
  });
});

const PROMISED = `
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
  type Query { thing(id: ID!): Thing, things(limit: Int): [Thing!]! }
  type Thing @key(fields: "id") { id: ID!, name: String!, state: State }
  enum State { ON OFF }
  input Filter { name: String }
`;

describe("a promise", () => {
  const changed = (from: string, to: string): string => {
    expect(PROMISED).toContain(from);
    return PROMISED.replace(from, to);
  };

  it.each([
    ["a field", changed(", name: String!", ""), "Thing.name was removed."],
    ["a root field", changed(", things(limit: Int): [Thing!]!", ""), "Query.things was removed."],
    ["a type", changed("enum State { ON OFF }", "").replace("state: State", "state: String"), "State was removed."],
    ["a value", changed("ON OFF", "ON"), "OFF was removed from enum type State."],
    ["what never was null", changed("name: String!", "name: String"), "Thing.name changed type from String! to String."],
    ["an argument that was not needed", changed("limit: Int", "limit: Int!"), "Query.things arg limit has changed type from Int to Int!."],
    [
      "what an argument need not have",
      changed("{ name: String }", "{ name: String, of: ID! }"),
      "A required field of on input type Filter was added.",
    ],
    ["a key", changed(`@key(fields: "id") `, ""), `Thing by "id" is a key no more.`],
  ])("of %s is broken by taking it away", (_, present, change) => {
    expect(brokenPromises(PROMISED, present)).toContain(change);
    const keep = (updating: Updating) => () => schemaToKeep(PROMISED, present, updating);
    expect(keep({ docs: false, breaking: false })).toThrow(change);
    expect(keep({ docs: true, breaking: false })).toThrow(PromiseBroken);
    expect(keep({ docs: false, breaking: true })).toThrow(PromiseBroken);
    expect(keep({ docs: true, breaking: true })()).toBe(present);
  });

  it("is not broken by what comes in addition, or is deprecated", () => {
    const more = changed("name: String!", `name: String! @deprecated(reason: "use title"), title(short: Boolean): String`).replace(
      "ON OFF",
      "ON OFF NEW",
    );
    expect(brokenPromises(PROMISED, more)).toEqual([]);
    expect(schemaToKeep(PROMISED, more, { docs: false, breaking: false })).toBe(PROMISED);
    expect(schemaToKeep(PROMISED, more, { docs: true, breaking: false })).toBe(more);
    expect(schemaToKeep(undefined, PROMISED, { docs: true, breaking: false })).toBe(PROMISED);
  });
});
