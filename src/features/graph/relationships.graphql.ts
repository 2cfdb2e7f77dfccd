/** What one is to many people, over GraphQL. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { manyIds } from "#src/features/profiles/public";
import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, type GraphqlContext, type GraphqlPart } from "#src/graphql/part";
import { accountOrLook } from "#src/kernel/actor";
import { relationshipsAction } from "./graph.actions.ts";
import { readRelationships } from "./relationships.ts";

interface Deps {
  readonly db: Db;
}

const typeDefs = /* GraphQL */ `
  "What you are to somebody."
  type Relationship {
    "Of whom it is."
    id: ID!
    "Whether you follow them."
    isFollowing: Boolean!
    "Whether your request to follow them waits."
    followRequested: Boolean!
    followsYou: Boolean!
    "Whether their request to follow you waits."
    asksToFollowYou: Boolean!
    "Whether you blocked them; all else is then false or null."
    isBlocking: Boolean!
    "How you muted them; null where you did not, or its end has passed."
    muting: Muting
  }

  type Muting {
    "RFC 3339, UTC; null where it has no end."
    until: String
    "Whether notices and pushes are muted too."
    notifications: Boolean!
  }

  extend type Query {
    "What you are to many people, at most 100: in the order of the ids, each once, without yourself and whoever is not there for you."
    relationships(ids: [ID!]!): [Relationship!]!
  }
`;

const relationshipsArguments = z.strictObject({ ids: manyIds });

export const relationshipsGraphql: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    relationships: {
      needs: accountOrLook,
      throttle: relationshipsAction,
      resolve: (context: GraphqlContext<Deps>, args: unknown) =>
        readRelationships(context.deps, { viewer: callerOf(context), ids: parseArguments(relationshipsArguments, args).ids }),
    },
  },
};
