/** Discovery over GraphQL. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, type GraphqlContext, type GraphqlPart } from "#src/graphql/part";
import { account, accountOrLook } from "#src/kernel/actor";
import { dismissAction, searchAction, suggestAction } from "./discovery.actions.ts";
import { cursor, limit, page, searchText } from "./discovery.schemas.ts";
import { search, type Found } from "./search.ts";
import { dismiss, suggest, type Suggestion } from "./suggestions.ts";

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

  type Suggestion {
    user: User!
    reason: SuggestionReason!
  }

  type SuggestionReason {
    "followed_by or popular."
    kind: String!
    "Whom you follow that follow them: two at most, and how many; null where that is not why."
    by: [User!]
    count: Int
  }

  type DismissResult {
    status: String!
  }

  extend type Query {
    "People whose username, then those whose display name begins so, in any case; where they are few, those whose names are near."
    searchUsers(query: String!, pagination: PaginationInput): UserPage!
    "Whom you might follow, and why; at most 50, 10 when limit is left out."
    suggestions(limit: Int): [Suggestion!]!
  }

  extend type Mutation {
    "Have somebody not suggested for 90 days."
    dismissSuggestion(userId: ID!): DismissResult!
  }
`;

const searchArguments = z.strictObject({
  query: searchText,
  pagination: z
    .strictObject({ limit: limit.nullish(), page: page.nullish(), cursor: cursor.nullish() })
    .refine((given) => typeof given.page !== "number" || typeof given.cursor !== "string", "give page or cursor, not both")
    .nullish(),
});

const suggestionsArguments = z.strictObject({ limit: limit.nullish() });
const dismissArguments = z.strictObject({ userId: z.uuid() });

export const discoveryGraphql: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    searchUsers: {
      needs: accountOrLook,
      throttle: searchAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown): Promise<Found> => {
        const { query, pagination } = parseArguments(searchArguments, args);
        return await search(context.deps, {
          viewer: callerOf(context),
          prefix: query,
          limit: pagination?.limit ?? 10,
          page: pagination?.page ?? undefined,
          cursor: pagination?.cursor ?? undefined,
        });
      },
    },
    suggestions: {
      needs: accountOrLook,
      throttle: suggestAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown): Promise<Suggestion[]> =>
        await suggest(context.deps, { viewer: callerOf(context), limit: parseArguments(suggestionsArguments, args).limit ?? 10 }),
    },
  },
  mutations: {
    dismissSuggestion: {
      needs: account,
      throttle: dismissAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
        await dismiss(context.deps, { viewer: callerOf(context), id: parseArguments(dismissArguments, args).userId });
        return { status: "dismissed" };
      },
    },
  },
};
