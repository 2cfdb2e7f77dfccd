/** Puts the features' parts together to one schema whose root fields are guarded. */

import {
  buildASTSchema,
  concatAST,
  isObjectType,
  parse,
  type GraphQLFieldResolver,
  type GraphQLObjectType,
  type GraphQLSchema,
} from "graphql";
import type { RequestContext } from "./context.ts";
import { entitiesResolver, federationSdl, nameEntities, requireKeys, serviceField, subgraphSdl } from "./federation.ts";
import type { Entity, GraphqlPart, ObjectField, RootField, SubscriptionField } from "./part.ts";

const BASE = `
  type Query

  "https://relay.dev/graphql/connections.htm; lists are read forwards only."
  type PageInfo {
    hasNextPage: Boolean!
    "False: what may be before is not looked for."
    hasPreviousPage: Boolean!
    startCursor: String
    "Hand this back as after to get the next page."
    endCursor: String
  }

  "Where the next page of a list begins, and the total where it is known."
  type Pagination {
    "Hand this back to get the next page; null at the end."
    nextCursor: String
    total: Int
    "False when total is the bound up to which was counted."
    totalIsExact: Boolean
    pages: Int
  }
`;

type Resolver<Deps> = GraphQLFieldResolver<unknown, RequestContext<Deps>>;

/** Whether the schema is shown to whoever asks; it is when this is left out. */
interface Showing {
  readonly introspection: boolean;
}

/**
 * Builds the schema. Parts extend `Query`, `Mutation` and `Subscription`; where one has entities, it is a subgraph.
 * @throws Error when SDL and resolvers do not name the same fields: a root field without a guard must not come to be
 */
export function assembleSchema<Deps>(parts: readonly GraphqlPart<Deps>[], showing: Showing = { introspection: true }): GraphQLSchema {
  const entities = entitiesOf(parts);
  const schema = buildASTSchema(concatAST(textsOf(parts, entities).map((sdl) => parse(sdl))));
  for (const part of parts) addResolvers(schema, part);
  requireKeys(schema, entities);
  addSubgraph(schema, entities, showing);
  for (const root of [schema.getQueryType(), schema.getMutationType()]) requireGuards(root, "resolve");
  requireGuards(schema.getSubscriptionType(), "subscribe");
  return schema;
}

function entitiesOf<Deps>(parts: readonly GraphqlPart<Deps>[]): ReadonlyMap<string, Entity<Deps>> {
  return new Map(parts.flatMap((part) => Object.entries(part.entities ?? {})));
}

function textsOf<Deps>(parts: readonly GraphqlPart<Deps>[], entities: ReadonlyMap<string, Entity<Deps>>): readonly string[] {
  const has = (kind: "mutations" | "subscriptions"): boolean => parts.some((part) => Object.keys(part[kind] ?? {}).length > 0);
  const roots = [...(has("mutations") ? ["type Mutation"] : []), ...(has("subscriptions") ? ["type Subscription"] : [])];
  return [BASE, ...roots, ...parts.map((part) => part.typeDefs), federationSdl(entities)];
}

function addSubgraph<Deps>(schema: GraphQLSchema, entities: ReadonlyMap<string, Entity<Deps>>, { introspection }: Showing): void {
  if (entities.size === 0) return;
  // Written once: whoever composes asks again and again.
  const sdl = introspection ? subgraphSdl(schema) : undefined;
  setResolver(schema.getQueryType(), "_service", guarded(serviceField<Deps>(sdl), "query"));
  setResolver(schema.getQueryType(), "_entities", entitiesResolver(entities));
  nameEntities(schema);
}

function addResolvers<Deps>(schema: GraphQLSchema, part: GraphqlPart<Deps>): void {
  for (const [name, field] of Object.entries(part.queries ?? {})) setResolver(schema.getQueryType(), name, guarded(field, "query"));
  for (const [name, field] of Object.entries(part.mutations ?? {})) setResolver(schema.getMutationType(), name, guarded(field, "mutation"));
  for (const [name, field] of Object.entries(part.subscriptions ?? {})) {
    setResolver<Deps>(schema.getSubscriptionType(), name, (event) => event);
    setSubscriber(schema.getSubscriptionType(), name, field);
  }
  for (const [typeName, fields] of Object.entries(part.types ?? {})) {
    const type = schema.getType(typeName);
    const object = isObjectType(type) ? type : undefined;
    for (const [name, field] of Object.entries(fields)) setResolver(object, name, objectResolver(field));
  }
}

function guarded<Deps>(field: RootField<Deps>, kind: "query" | "mutation"): Resolver<Deps> {
  return async (_root, args, context, info) => {
    await context.admit(field, kind);
    return await field.resolve(context, args as never, info);
  };
}

/** A door below the root is admitted as a query's field also where a mutation leads there: it only reads. */
function objectResolver<Deps>(field: ObjectField<Deps>): Resolver<Deps> {
  if (typeof field === "function") return field as unknown as Resolver<Deps>;
  return async (parent, args, context) => {
    await context.admit(field, "query");
    return await field.resolve(parent as never, args as never, context);
  };
}

function setResolver<Deps>(type: GraphQLObjectType | null | undefined, name: string, resolve: Resolver<Deps>): void {
  const field = type?.getFields()[name];
  if (type === null || type === undefined || field === undefined)
    throw new Error(`a resolver for ${type?.name ?? "an unknown type"}.${name}, which the SDL does not have`);
  if (field.resolve !== undefined) throw new Error(`two resolvers for ${type.name}.${name}`);
  field.resolve = resolve as GraphQLFieldResolver<unknown, unknown>;
}

/** The guard of a subscription stands where it begins; each event is then its own root value. */
function setSubscriber<Deps>(root: GraphQLObjectType | null | undefined, name: string, field: SubscriptionField<Deps>): void {
  const declared = root?.getFields()[name];
  if (declared === undefined) throw new Error(`a subscription ${name}, which the SDL does not have`);
  const subscribe: Resolver<Deps> = async (_root, args, context) => {
    await context.admit(field, "subscription");
    return await context.subscribe(field, args);
  };
  declared.subscribe = subscribe as GraphQLFieldResolver<unknown, unknown>;
}

function requireGuards(root: GraphQLObjectType | null | undefined, guard: "resolve" | "subscribe"): void {
  for (const field of Object.values(root?.getFields() ?? {})) {
    if (field[guard] === undefined) throw new Error(`${root?.name}.${field.name} is in the SDL but has no resolver, hence no guard`);
  }
}
