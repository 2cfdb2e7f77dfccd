/**
 * This schema as a subgraph of Apollo Federation 2: its SDL with keys, and what other services' references name.
 * Subgraph specification: https://www.apollographql.com/docs/graphos/reference/federation/subgraph-spec (ADR 25 says why by hand).
 */

import {
  isObjectType,
  isUnionType,
  Kind,
  parse,
  print,
  printSchema,
  type ConstDirectiveNode,
  type DefinitionNode,
  type DocumentNode,
  type GraphQLFieldResolver,
  type GraphQLObjectType,
  type GraphQLSchema,
} from "graphql";
import { anyone, type Action } from "#src/kernel/actor";
import { inputInvalid, Problem } from "#src/kernel/problem";
import type { RequestContext } from "./context.ts";
import { schemaHidden } from "./graphql.errors.ts";
import type { Entity, RootField } from "./part.ts";

const KEY_SDL = `
  scalar federation__FieldSet
  directive @key(fields: federation__FieldSet!, resolvable: Boolean = true) repeatable on OBJECT | INTERFACE
`;

/** What gateways look for before the SDL is anything but Federation 1. */
const LINK = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])`;

/** References of one `_entities` field. A gateway asks for as many as a list of another service is long. */
const MOST_REPRESENTATIONS = 100;

const serviceAction: Action = { name: "graphql.service", limit: 60, windowSeconds: 60 };

/** A reference as a gateway sends it: the type, its key, and what else the gateway thinks it should know. */
type Representation = Readonly<Record<string, unknown>> & { readonly __typename: string };

type Entities<Deps> = ReadonlyMap<string, Entity<Deps>>;

/** What features write keys with, and the machinery's own types and fields for a schema with these entities. */
export function federationSdl(entities: ReadonlyMap<string, unknown>): string {
  if (entities.size === 0) return KEY_SDL;
  return `
    ${KEY_SDL}
    "A reference of a federated graph: __typename, and the fields of its key."
    scalar _Any
    union _Entity = ${[...entities.keys()].join(" | ")}
    type _Service {
      "What a federated graph is composed of."
      sdl: String!
    }
    extend type Query {
      "Whom or what these references of other services name, as in lists: null for what you may not know of. At most ${MOST_REPRESENTATIONS}."
      _entities(representations: [_Any!]!): [_Entity]!
      "For the composition of a federated graph; refused where the schema is not shown."
      _service: _Service!
    }
  `;
}

/**
 * `_service`: readable without a token, as introspection is.
 * @param sdl undefined where the schema is not shown
 */
export function serviceField<Deps>(sdl: string | undefined): RootField<Deps> {
  return {
    needs: anyone,
    throttle: serviceAction,
    resolve: () => {
      if (sdl === undefined) throw new Problem(schemaHidden);
      return { sdl };
    },
  };
}

/** `_entities`: each type's door is passed once, whatever the number of references to it. */
export function entitiesResolver<Deps>(entities: Entities<Deps>): GraphQLFieldResolver<unknown, RequestContext<Deps>> {
  return async (_root, args, context) => {
    const given = (args as { readonly representations: readonly unknown[] }).representations;
    for (const entity of doorsOf(entities, given)) await context.admit(entity, "query");
    const representations = checked(entities, given);
    return representations.map(async (reference) => {
      const { __typename } = reference;
      const found = await entities.get(__typename)?.resolveReference(context, reference);
      return typeof found === "object" && found !== null ? { ...found, __typename } : null;
    });
  };
}

/** Those of the types named; of all where none is, so that nobody is told what there is before a door was passed. */
function doorsOf<Deps>(entities: Entities<Deps>, given: readonly unknown[]): readonly Entity<Deps>[] {
  const named = new Set(given.map(typeNameOf));
  const doors = [...entities].filter(([name]) => named.has(name));
  return (doors.length === 0 ? [...entities] : doors).map(([, entity]) => entity);
}

function typeNameOf(reference: unknown): unknown {
  if (typeof reference !== "object" || reference === null || !Object.hasOwn(reference, "__typename")) return undefined;
  return (reference as Readonly<Record<string, unknown>>)["__typename"];
}

/** @throws Problem `input.invalid` naming the first that is none */
function checked(entities: ReadonlyMap<string, unknown>, given: readonly unknown[]): readonly Representation[] {
  const path = "arguments.representations";
  if (given.length > MOST_REPRESENTATIONS) {
    throw new Problem(inputInvalid, { errors: [{ path, message: `at most ${MOST_REPRESENTATIONS}` }] });
  }
  const wrong = given.findIndex((reference) => {
    const name = typeNameOf(reference);
    return typeof name !== "string" || !entities.has(name);
  });
  if (wrong >= 0) {
    throw new Problem(inputInvalid, { errors: [{ path: `${path}.${wrong}.__typename`, message: "the name of a type with a key" }] });
  }
  return given as readonly Representation[];
}

/** @throws Error when a type has a key and no resolver of references, or the other way round */
export function requireKeys(schema: GraphQLSchema, entities: ReadonlyMap<string, unknown>): void {
  const keyed = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && isResolvable(keysOf(type)));
  const names = new Set(keyed.map(({ name }) => name));
  for (const name of names) if (!entities.has(name)) throw new Error(`${name} has a @key but nothing that resolves references to it`);
  for (const name of entities.keys()) if (!names.has(name)) throw new Error(`references to ${name} are resolved, which has no @key`);
}

function keysOf(type: GraphQLObjectType): readonly ConstDirectiveNode[] {
  const nodes = [type.astNode, ...type.extensionASTNodes];
  return nodes.flatMap((node) => (node?.directives ?? []).filter(({ name }) => name.value === "key"));
}

/** `resolvable: false` names somebody else's type and promises nothing. */
function isResolvable(keys: readonly ConstDirectiveNode[]): boolean {
  return keys.some(
    (key) => !(key.arguments ?? []).some(({ name, value }) => name.value === "resolvable" && value.kind === Kind.BOOLEAN && !value.value),
  );
}

const MACHINERY = new Set(["key", "federation__FieldSet", "_Any", "_Entity", "_Service"]);
const MACHINERY_FIELDS = new Set(["_entities", "_service"]);

/** The schema's text as gateways compose it: with keys, without what every subgraph has. Also the text of `docs/schema.graphql`. */
export function subgraphSdl(schema: GraphQLSchema): string {
  const document: DocumentNode = parse(printSchema(schema));
  const definitions = document.definitions.flatMap((definition) => (isMachinery(definition) ? [] : [withKeys(schema, definition)]));
  return `${LINK}\n\n${print({ ...document, definitions })}\n`;
}

function isMachinery(definition: DefinitionNode): boolean {
  return "name" in definition && definition.name !== undefined && MACHINERY.has(definition.name.value);
}

/** printSchema tells of no directive but `@deprecated`, `@specifiedBy` and `@oneOf`. */
function withKeys(schema: GraphQLSchema, definition: DefinitionNode): DefinitionNode {
  if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION) return definition;
  const type = schema.getType(definition.name.value);
  const fields = (definition.fields ?? []).filter(({ name }) => !MACHINERY_FIELDS.has(name.value));
  return { ...definition, directives: [...(definition.directives ?? []), ...(isObjectType(type) ? keysOf(type) : [])], fields };
}

/** Which type a resolved reference is of: its own name says. */
export function nameEntities(schema: GraphQLSchema): void {
  const union = schema.getType("_Entity");
  if (isUnionType(union)) union.resolveType = (value) => String((value as { readonly __typename: string }).__typename);
}
