/** The graph over GraphQL: following, and what it adds to `User`. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { parseArguments } from "#src/graphql/parse-arguments";
import type { GraphqlContext, GraphqlPart } from "#src/graphql/part";
import { countsOf, type Counts } from "./counts.sql.ts";
import { follow, unfollow } from "./follow.ts";
import type { Edge } from "./follow.sql.ts";
import { followAction, unfollowAction } from "./graph.actions.ts";

interface Deps {
  readonly db: Db;
}

const typeDefs = /* GraphQL */ `
  extend type User {
    "Null where the account is unavailable, like everything below."
    followersCount: Int
    followingCount: Int
    "Whether you follow them."
    isFollowing: Boolean
    "Whether they follow you."
    followsYou: Boolean
  }

  type FollowResult {
    "accepted after follow, gone after unfollow."
    status: String!
  }

  extend type Mutation {
    "Follow someone; doing so twice changes nothing."
    follow(userId: ID!): FollowResult!
    "Follow someone no more; doing so twice changes nothing."
    unfollow(userId: ID!): FollowResult!
  }
`;

const followArguments = z.strictObject({ userId: z.uuid() });

/** A `User` as the use cases give it: a profile comes with its counters, somebody in a list without. */
interface Parent extends Partial<Counts> {
  readonly id: string;
  readonly status: string;
}

export const graphGraphql: GraphqlPart<Deps> = {
  typeDefs,
  mutations: {
    follow: {
      needs: { kind: "account", capability: "follow" },
      throttle: followAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => ({ status: await follow(context.deps, edgeOf(context, args)) }),
    },
    unfollow: {
      needs: { kind: "account" },
      throttle: unfollowAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => ({ status: await unfollow(context.deps, edgeOf(context, args)) }),
    },
  },
  types: {
    User: {
      followersCount: async (user: Parent, _: unknown, context: GraphqlContext<Deps>) =>
        user.followersCount ?? (await loadCounts(user, context))?.followersCount,
      followingCount: async (user: Parent, _: unknown, context: GraphqlContext<Deps>) =>
        user.followingCount ?? (await loadCounts(user, context))?.followingCount,
    },
  },
};

function edgeOf(context: GraphqlContext<Deps>, args: unknown): Edge {
  if (context.actor === undefined) throw new Error("a field for accounts was resolved without one");
  return { followerId: context.actor.userId, followeeId: parseArguments(followArguments, args).userId };
}

/** One statement for all users of a list, whichever counters they were asked for. */
async function loadCounts(user: Parent, context: GraphqlContext<Deps>): Promise<Counts | undefined> {
  if (user.status === "unavailable") return undefined;
  const loader = context.loader<string, Counts | undefined>("graph.counts", async (ids) => {
    const counts = await countsOf(context.deps.db, ids);
    return ids.map((id) => counts.get(id));
  });
  return await loader.load(user.id);
}
