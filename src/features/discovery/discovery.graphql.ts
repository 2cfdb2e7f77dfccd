/** Discovery over GraphQL. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { parseArguments } from "#src/graphql/parse-arguments";
import type { GraphqlContext, GraphqlPart } from "#src/graphql/part";
import { searchAction } from "./discovery.actions.ts";
import { cursor, limit, page, searchText } from "./discovery.schemas.ts";
import { search, type Found } from "./search.ts";

interface Deps {
  readonly db: Db;
}

const typeDefs = /* GraphQL */ `
  "A page by number from 1, up to 100, or by the cursor of the page before it."
  input PaginationInput {
    "At most 50; 10 when left out."
    limit: Int
    page: Int
    cursor: String
  }

  type UserPage {
    data: [User!]!
    pagination: Pagination!
  }

  extend type Query {
    "People whose username, then those whose display name begins so, in any case."
    searchUsers(query: String!, pagination: PaginationInput): UserPage!
  }
`;

const searchArguments = z.strictObject({
  query: searchText,
  pagination: z
    .strictObject({ limit: limit.nullish(), page: page.nullish(), cursor: cursor.nullish() })
    .refine((given) => typeof given.page !== "number" || typeof given.cursor !== "string", "give page or cursor, not both")
    .nullish(),
});

export const discoveryGraphql: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    searchUsers: {
      needs: { kind: "account" },
      throttle: searchAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown): Promise<Found> => {
        if (context.actor === undefined) throw new Error("a field for accounts was resolved without one");
        const { query, pagination } = parseArguments(searchArguments, args);
        return await search(context.deps, {
          viewer: context.actor,
          prefix: query,
          limit: pagination?.limit ?? 10,
          page: pagination?.page ?? undefined,
          cursor: pagination?.cursor ?? undefined,
        });
      },
    },
  },
};
