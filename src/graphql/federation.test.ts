import { describe, expect, it } from "@jest/globals";
import { buildSchema, graphql } from "graphql";
import { account, anyone, type Gate } from "#src/kernel/actor";
import { Problem, problem } from "#src/kernel/problem";
import { RequestContext } from "./context.ts";
import { subgraphSdl } from "./federation.ts";
import type { GraphqlPart } from "./part.ts";
import { assembleSchema } from "./schema.ts";

const refused = problem("test.door_closed", 401, "Closed");
const throttle = { name: "test.read", limit: 5, windowSeconds: 60 };
const entity = { needs: account, throttle, resolveReference: (_context: unknown, { id }: Readonly<Record<string, unknown>>) => ({ id }) };
const query = { open: { needs: anyone, throttle, resolve: () => "yes" } };
const typeDefs = (types: string): string => `${types} extend type Query { open: String }`;

const part: GraphqlPart<object> = {
  typeDefs: typeDefs(`
    "A thing."
    type Thing @key(fields: "id") { id: ID!, old: String @deprecated(reason: "use id") }
    type Staff @key(fields: "id") { id: ID! }
    type Elsewhere @key(fields: "id", resolvable: false) { id: ID! }
    extend type Query { elsewhere: Elsewhere }
  `),
  queries: { ...query, elsewhere: { needs: anyone, throttle, resolve: () => null } },
  entities: { Thing: entity, Staff: { ...entity, needs: { kind: "account", role: "admin" } } },
};

const ask = async (source: string, options: { readonly introspection: boolean } = { introspection: true }) => {
  const asked: string[] = [];
  const counted: string[] = [];
  const gate: Gate = (token, needs) => {
    if (needs.kind === "anyone") return Promise.resolve(undefined);
    asked.push(needs.role ?? "user");
    return needs.role === "admin" || token === undefined ? Promise.reject(new Problem(refused)) : Promise.resolve(undefined);
  };
  const client = { address: "", addressKey: "", userAgent: "", locale: "en" } as const;
  const asker = { accessToken: "a", client, gate, throttle: ({ name }: { name: string }) => void counted.push(name) };
  const contextValue = new RequestContext({}, asker);
  const { data, errors = [] } = await graphql({ schema: assembleSchema([part], options), source, contextValue });
  const codes = errors.map(({ originalError, message }) => (originalError instanceof Problem ? originalError.code : message));
  return { data: JSON.parse(JSON.stringify(data ?? null)) as unknown, codes, asked, counted };
};

describe("a subgraph", () => {
  it("says what it is composed of: keys, descriptions and what is deprecated, and nothing of the machinery", () => {
    const sdl = subgraphSdl(assembleSchema([part]));
    expect(sdl).toContain(`type Thing @key(fields: "id") {`);
    expect(sdl).toContain(`type Elsewhere @key(fields: "id", resolvable: false) {`);
    expect(sdl).toContain(`@deprecated(reason: "use id")`);
    expect(sdl).toContain(`"""A thing."""`);
    expect(sdl).not.toMatch(/_entities|_service|_Any|_Entity|_Service|FieldSet|directive/);
    expect(() => buildSchema(sdl, { assumeValidSDL: true })).not.toThrow();
  });

  it("says so to anybody, counted by address; and to nobody where the schema is not shown", async () => {
    const shown = await ask("{ _service { sdl } }");
    expect(shown).toMatchObject({
      data: { _service: { sdl: subgraphSdl(assembleSchema([part])) } },
      asked: [],
      counted: ["graphql.service"],
    });
    const hidden = await ask("{ _service { sdl } }", { introspection: false });
    expect([hidden.data, hidden.codes]).toEqual([null, ["graphql.schema_hidden"]]);
  });

  it("has the door of each type passed once, and only those of the types that are named", async () => {
    const things = `{ _entities(representations: [{ __typename: "Thing", id: 1 }, { __typename: "Thing", id: 2 }]) { __typename ... on Thing { id } } }`;
    expect(await ask(things)).toMatchObject({
      data: {
        _entities: [
          { __typename: "Thing", id: "1" },
          { __typename: "Thing", id: "2" },
        ],
      },
      asked: ["user"],
      counted: ["test.read"],
    });
    const both = `{ _entities(representations: [{ __typename: "Thing", id: 1 }, { __typename: "Staff", id: 2 }]) { __typename } }`;
    expect(await ask(both)).toMatchObject({ data: null, codes: ["test.door_closed"] });
    expect(await ask(`{ _entities(representations: []) { __typename } }`)).toMatchObject({ data: null, codes: ["test.door_closed"] });
    const other = `{ _entities(representations: [{ __typename: "Elsewhere", id: 1 }]) { __typename } }`;
    expect(await ask(other)).toMatchObject({ data: null, codes: ["test.door_closed"] });
  });

  it("does not start where keys and resolvers of references do not fit together", () => {
    const keyed = { typeDefs: typeDefs(`type Thing @key(fields: "id") { id: ID! }`), queries: query };
    expect(() => assembleSchema([keyed])).toThrow("Thing has a @key");
    const keyless = { typeDefs: typeDefs("type Thing { id: ID! }"), queries: query, entities: { Thing: entity } };
    expect(() => assembleSchema([keyless])).toThrow("Thing are resolved, which has no @key");
  });
});
