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
import type { GraphqlPart, RootField } from "./part.ts";

const BASE = `
  type Query

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

/**
 * Builds the schema. Parts extend `Query` and `Mutation`.
 * @throws Error when SDL and resolvers do not name the same fields: a root field without a guard must not come to be
 */
export function assembleSchema<Deps>(parts: readonly GraphqlPart<Deps>[]): GraphQLSchema {
  const hasMutations = parts.some((part) => Object.keys(part.mutations ?? {}).length > 0);
  const documents = [BASE, ...(hasMutations ? ["type Mutation"] : []), ...parts.map((part) => part.typeDefs)].map((sdl) => parse(sdl));
  const schema = buildASTSchema(concatAST(documents));
  for (const part of parts) {
    for (const [name, field] of Object.entries(part.queries ?? {})) setResolver(schema.getQueryType(), name, guarded(field, "query"));
    for (const [name, field] of Object.entries(part.mutations ?? {}))
      setResolver(schema.getMutationType(), name, guarded(field, "mutation"));
    for (const [typeName, fields] of Object.entries(part.types ?? {})) {
      const type = schema.getType(typeName);
      const object = isObjectType(type) ? type : undefined;
      for (const [name, resolve] of Object.entries(fields)) setResolver(object, name, resolve as unknown as Resolver<Deps>);
    }
  }
  for (const root of [schema.getQueryType(), schema.getMutationType()]) requireGuards(root);
  return schema;
}

function guarded<Deps>(field: RootField<Deps>, kind: "query" | "mutation"): Resolver<Deps> {
  return async (_root, args, context, info) => {
    await context.admit(field, kind);
    return await field.resolve(context, args as never, info);
  };
}

function setResolver<Deps>(type: GraphQLObjectType | null | undefined, name: string, resolve: Resolver<Deps>): void {
  const field = type?.getFields()[name];
  if (type === null || type === undefined || field === undefined)
    throw new Error(`a resolver for ${type?.name ?? "an unknown type"}.${name}, which the SDL does not have`);
  if (field.resolve !== undefined) throw new Error(`two resolvers for ${type.name}.${name}`);
  field.resolve = resolve as GraphQLFieldResolver<unknown, unknown>;
}

function requireGuards(root: GraphQLObjectType | null | undefined): void {
  for (const field of Object.values(root?.getFields() ?? {})) {
    if (field.resolve === undefined) throw new Error(`${root?.name}.${field.name} is in the SDL but has no resolver, hence no guard`);
  }
}
