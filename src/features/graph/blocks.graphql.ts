/** Blocks, mutes and one's own followers over GraphQL. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, type GraphqlContext, type GraphqlPart, type RootField } from "#src/graphql/part";
import { account, type Action } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { block, unblock } from "./block.ts";
import type { Pair } from "./follow.sql.ts";
import { answerRequestAction, blockAction, muteAction, removeFollowerAction } from "./graph.actions.ts";
import { muteBody } from "./graph.schemas.ts";
import { muteView, unblockView } from "./graph.views.ts";
import { mute, unmute } from "./mute.ts";
import { acceptRequest, rejectRequest, removeFollower } from "./requests.ts";

interface Deps {
  readonly db: Db;
  readonly clock: Clock;
}

const typeDefs = /* GraphQL */ `
  type BlockResult {
    status: String!
  }

  type UnblockResult {
    status: String!
    cut: Cut!
  }

  "What a block ended, each requested or accepted: your follow of them, and theirs of you."
  type Cut {
    follow: String
    followed: String
  }

  type MuteResult {
    status: String!
    "RFC 3339, UTC; null where it has no end."
    until: String
    notifications: Boolean!
  }

  extend type Mutation {
    "Block someone: ends follows both ways, and neither learns of the other any more."
    block(userId: ID!): BlockResult!
    "Unblock someone; what the block ended stays ended."
    unblock(userId: ID!): UnblockResult!
    "Mute someone without their noticing; until when, and whether notices are muted too (they are when left out)."
    mute(userId: ID!, until: String, notifications: Boolean): MuteResult!
    unmute(userId: ID!): FollowResult!
    "Have someone follow you no more."
    removeFollower(userId: ID!): FollowResult!
    "Let someone follow you who asked to."
    acceptFollowRequest(userId: ID!): FollowResult!
    rejectFollowRequest(userId: ID!): FollowResult!
  }
`;

const pairArguments = z.strictObject({ userId: z.uuid() });
const muteArguments = pairArguments.extend({
  until: muteBody.shape.until.unwrap().optional(),
  notifications: z.boolean().nullish(),
});

/** A mutation about one person. */
function towards(throttle: Action, act: (deps: Deps, pair: Pair) => Promise<object>): RootField<Deps> {
  return {
    needs: account,
    throttle,
    resolve: async (context: GraphqlContext<Deps>, args: unknown) =>
      await act(context.deps, pairOf(context, parseArguments(pairArguments, args).userId)),
  };
}

export const blocksGraphql: GraphqlPart<Deps> = {
  typeDefs,
  mutations: {
    block: towards(blockAction, async (deps, pair) => ({ status: await block(deps, pair) })),
    unblock: towards(blockAction, async (deps, pair) => unblockView(await unblock(deps, pair))),
    mute: {
      needs: account,
      throttle: muteAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
        const { userId, until, notifications } = parseArguments(muteArguments, args);
        const wanted = { until: typeof until === "string" ? new Date(until) : null, notifications: notifications ?? true };
        return muteView(await mute(context.deps, pairOf(context, userId), wanted));
      },
    },
    unmute: towards(muteAction, async (deps, pair) => ({ status: await unmute(deps, pair) })),
    removeFollower: towards(removeFollowerAction, async (deps, pair) => ({ status: await removeFollower(deps, pair) })),
    acceptFollowRequest: towards(answerRequestAction, async (deps, pair) => ({ status: await acceptRequest(deps, pair) })),
    rejectFollowRequest: towards(answerRequestAction, async (deps, pair) => ({ status: await rejectRequest(deps, pair) })),
  },
};

function pairOf(context: GraphqlContext<Deps>, otherId: string): Pair {
  return { actorId: callerOf(context).userId, otherId };
}
