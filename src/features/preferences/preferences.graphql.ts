/** One's preferences over GraphQL. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, type GraphqlContext, type GraphqlPart } from "#src/graphql/part";
import { account } from "#src/kernel/actor";
import { changePreferencesAction, readPreferencesAction } from "./preferences.actions.ts";
import { changePreferences, readPreferences } from "./preferences.ts";
import { preferencesChange } from "./preferences.schemas.ts";
import { NOTICE_KINDS } from "./versions.ts";

interface Deps {
  readonly db: Db;
}

const typeDefs = /* GraphQL */ `
  type Preferences {
    "In which we write to you."
    language: String!
    "system, light or dark."
    theme: String!
    reducedMotion: Boolean!
    notifications: NotificationPreferences!
  }

  "By kind of notice. Those of security and moderation are always told."
  type NotificationPreferences {
    ${NOTICE_KINDS.map((kind) => `${kind}: NotificationChannels!`).join("\n    ")}
  }

  type NotificationChannels {
    "In the list of your notices; off: no notice anywhere. Events of your own sockets (user:followed …) are no notices."
    app: Boolean!
    "On your sockets."
    push: Boolean!
  }

  "What is left out stays, at every depth."
  input PreferencesInput {
    language: String
    theme: String
    reducedMotion: Boolean
    notifications: NotificationPreferencesInput
  }

  input NotificationPreferencesInput {
    ${NOTICE_KINDS.map((kind) => `${kind}: NotificationChannelsInput`).join("\n    ")}
  }

  input NotificationChannelsInput {
    app: Boolean
    push: Boolean
  }

  extend type Query {
    "How you like the service to look, speak and tell."
    preferences: Preferences!
  }

  extend type Mutation {
    updatePreferences(input: PreferencesInput!): Preferences!
  }
`;

const updateArguments = z.strictObject({ input: preferencesChange });

export const preferencesGraphql: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    preferences: {
      needs: account,
      throttle: readPreferencesAction,
      resolve: (context: GraphqlContext<Deps>) => readPreferences(context.deps, callerOf(context)),
    },
  },
  mutations: {
    updatePreferences: {
      needs: account,
      throttle: changePreferencesAction,
      resolve: (context: GraphqlContext<Deps>, args: unknown) =>
        changePreferences(context.deps, { actor: callerOf(context), change: parseArguments(updateArguments, args).input }),
    },
  },
};
