/** One's privacy over GraphQL. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, type GraphqlContext, type GraphqlPart } from "#src/graphql/part";
import { account, accountOrLook } from "#src/kernel/actor";
import { changePrivacy, readPrivacy } from "./privacy.ts";
import { changePrivacyAction, readPrivacyAction } from "./profiles.actions.ts";
import { privacyChange } from "./profiles.schemas.ts";
import { privacyView } from "./profiles.views.ts";

interface Deps {
  readonly db: Db;
}

const typeDefs = /* GraphQL */ `
  "Each everyone, followers or nobody, but the last."
  type PrivacySettings {
    "open, friends or private; null where the settings are none of them."
    preset: String
    "Who sees more than names and picture; also a condition of email and the lists."
    profile: String!
    email: String!
    followersList: String!
    followingList: String!
    "Online too."
    lastSeen: String!
    typing: String!
    discoverable: String!
    messages: String!
    requireFollowApproval: Boolean!
  }

  "The preset first, then the keys; what is left out stays."
  input PrivacyInput {
    preset: String
    profile: String
    email: String
    followersList: String
    followingList: String
    lastSeen: String
    typing: String
    discoverable: String
    messages: String
    requireFollowApproval: Boolean
  }

  extend type Query {
    "Whom you let see and do what."
    privacy: PrivacySettings!
  }

  extend type Mutation {
    "Changes whom you let see and do what; holds at once."
    updatePrivacy(input: PrivacyInput!): PrivacySettings!
  }
`;

const updateArguments = z.strictObject({ input: privacyChange });

export const privacyGraphql: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    privacy: {
      needs: accountOrLook,
      throttle: readPrivacyAction,
      resolve: async (context: GraphqlContext<Deps>) => privacyView(await readPrivacy(context.deps, callerOf(context))),
    },
  },
  mutations: {
    updatePrivacy: {
      needs: account,
      throttle: changePrivacyAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
        const { input } = parseArguments(updateArguments, args);
        return privacyView(await changePrivacy(context.deps, { actor: callerOf(context), change: input }));
      },
    },
  },
};
