/** The graph over GraphQL: following, and what it adds to `User`. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { readFacets } from "#src/features/profiles/public";
import type { Clock } from "#src/kernel/clock";
import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, joinParts, type GraphqlContext, type GraphqlPart } from "#src/graphql/part";
import { blocksGraphql } from "./blocks.graphql.ts";
import { countsSeenBy, type ShownCounts } from "./counts.sql.ts";
import { follow, unfollow } from "./follow.ts";
import type { Edge } from "./follow.sql.ts";
import { followAction, follows, unfollowAction, unfollows } from "./graph.actions.ts";
import { listsGraphql } from "./lists.graphql.ts";
import { relationshipsGraphql } from "./relationships.graphql.ts";

interface Deps {
  readonly db: Db;
  readonly config: { readonly rateLimits: boolean };
  readonly clock: Clock;
}

const typeDefs = /* GraphQL */ `
  extend type User {
    "Null where the account is unavailable, like everything below, and where you may not see the list."
    followersCount: Int
    followingCount: Int
    "Whether you follow them."
    isFollowing: Boolean
    "Whether your request to follow them waits."
    followRequested: Boolean
    "Whether they follow you."
    followsYou: Boolean
  }

  type FollowResult {
    "accepted, requested where their yes is waited for, or gone."
    status: String!
  }

  extend type Mutation {
    "Follow someone, or ask to where they want to be asked; doing so twice changes nothing."
    follow(userId: ID!): FollowResult!
    "Follow someone no more, or take a request back; doing so twice changes nothing."
    unfollow(userId: ID!): FollowResult!
  }
`;

const followArguments = z.strictObject({ userId: z.uuid() });

/** A `User` as the use cases give it: a profile comes with its counters, somebody in a list without. */
interface Parent extends Partial<ShownCounts> {
  readonly id: string;
  readonly status: string;
}

/** Null where the viewer may not see the list. */

const ownPart: GraphqlPart<Deps> = {
  typeDefs,
  mutations: {
    follow: {
      needs: follows,
      throttle: followAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => ({ status: await follow(context.deps, edgeOf(context, args)) }),
    },
    unfollow: {
      needs: unfollows,
      throttle: unfollowAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => ({ status: await unfollow(context.deps, edgeOf(context, args)) }),
    },
  },
  types: {
    User: {
      followersCount: async (user: Parent, _: unknown, context: GraphqlContext<Deps>) =>
        user.followersCount === undefined ? (await loadCounts(user, context))?.followersCount : user.followersCount,
      followingCount: async (user: Parent, _: unknown, context: GraphqlContext<Deps>) =>
        user.followingCount === undefined ? (await loadCounts(user, context))?.followingCount : user.followingCount,
    },
  },
};

/** With blocks, mutes, one's own followers, all lists, and what one is to many. */
export const graphGraphql: GraphqlPart<Deps> = joinParts(ownPart, blocksGraphql, listsGraphql, relationshipsGraphql);

function edgeOf(context: GraphqlContext<Deps>, args: unknown): Edge {
  return { followerId: callerOf(context).userId, followeeId: parseArguments(followArguments, args).userId };
}

/** Two statements for all users of a list, whichever counters they were asked for. */
async function loadCounts(user: Parent, context: GraphqlContext<Deps>): Promise<ShownCounts | undefined> {
  const viewer = context.actor;
  if (viewer === undefined || user.status === "unavailable" || user.status === "private") return undefined;
  const loader = context.loader<string, ShownCounts | undefined>("graph.counts", async (ids) => {
    const [counts, facets] = await Promise.all([
      countsSeenBy(context.deps.db, viewer.userId, ids),
      readFacets(context.deps, { viewer, ids }),
    ]);
    return ids.map((id) => {
      const [count, facet] = [counts.get(id), facets.get(id)];
      if (count === undefined || facet === undefined) return undefined;
      return {
        followersCount: facet.followersList ? count.followersCount : null,
        followingCount: facet.followingList ? count.followingCount : null,
      };
    });
  });
  return await loader.load(user.id);
}
