/** People over GraphQL. The counters of `User` are the graph's part. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { parseArguments } from "#src/graphql/parse-arguments";
import type { GraphqlContext, GraphqlPart } from "#src/graphql/part";
import type { Actor } from "#src/kernel/actor";
import { readMe, updateProfile } from "./me.ts";
import { readProfile } from "./people.ts";
import { readMeAction, readProfileAction, updateProfileAction } from "./profiles.actions.ts";
import { personParams, profileChange } from "./profiles.schemas.ts";
import { selectSocial } from "./profiles.sql.ts";
import { socialView, type SocialView } from "./profiles.views.ts";

interface Deps {
  readonly db: Db;
}

const typeDefs = /* GraphQL */ `
  type User {
    id: ID!
    username: String!
    "Null where the account is unavailable, like everything personal."
    displayName: String
    avatarUrl: String
    bio: String
    "Your own address; null on everybody else."
    email: String
    "active, or unavailable for a restricted account; moderators see suspended and banned."
    status: String!
    profileVersion: Int
    "RFC 3339, UTC."
    createdAt: String
    "What the social service told last; null until it has, and where the account is unavailable."
    social: SocialFigures
  }

  type SocialFigures {
    postsCount: Int!
    "Null where the social service does not say."
    reactionsCount: Int
    "When it was so: RFC 3339, UTC."
    asOf: String!
  }

  extend type Query {
    "Someone, by id or by username ignoring case: exactly one of the two."
    user(id: ID, username: String): User
    "You."
    me: User!
  }

  "What is left out stays; a null avatarUrl takes the picture away."
  input ProfileInput {
    displayName: String
    bio: String
    avatarUrl: String
  }

  extend type Mutation {
    "Changes your own profile."
    updateProfile(input: ProfileInput!): User!
  }
`;

const { idOrUsername } = personParams.shape;

const userArguments = z
  .strictObject({ id: z.uuid().nullish(), username: idOrUsername.nullish() })
  .refine(({ id, username }) => (typeof id === "string") !== (typeof username === "string"), "give either id or username")
  .transform(({ id, username }) => id ?? username ?? "");

const updateArguments = z.strictObject({ input: profileChange });

/** A `User` as the use cases give it: a profile comes with its figures, somebody in a list without. */
interface Parent {
  readonly id: string;
  readonly status: string;
  readonly social?: SocialView;
}

export const profilesGraphql: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    user: {
      needs: { kind: "account" },
      throttle: readProfileAction,
      resolve: (context: GraphqlContext<Deps>, args: unknown) =>
        readProfile(context.deps, { viewer: callerOf(context), idOrUsername: parseArguments(userArguments, args) }),
    },
    me: {
      needs: { kind: "account" },
      throttle: readMeAction,
      resolve: (context: GraphqlContext<Deps>) => readMe(context.deps, callerOf(context)),
    },
  },
  types: {
    User: {
      social: (user: Parent, _: unknown, context: GraphqlContext<Deps>) =>
        user.social === undefined ? loadSocial(user, context) : user.social,
    },
  },
  mutations: {
    updateProfile: {
      needs: { kind: "account", capability: "edit_profile" },
      throttle: updateProfileAction,
      resolve: (context: GraphqlContext<Deps>, args: unknown) =>
        updateProfile(context.deps, { actor: callerOf(context), change: parseArguments(updateArguments, args).input }),
    },
  },
};

/** One statement for all users of a list. */
async function loadSocial(user: Parent, context: GraphqlContext<Deps>): Promise<SocialView> {
  if (user.status === "unavailable") return null;
  const loader = context.loader<string, SocialView>("profiles.social", async (ids) => {
    const found = await selectSocial(context.deps.db, ids);
    return ids.map((id) => {
      const social = found.get(id);
      return social === undefined ? null : socialView(social);
    });
  });
  return await loader.load(user.id);
}

/** The gate has admitted an account: these fields need one. */
function callerOf(context: GraphqlContext<Deps>): Actor {
  if (context.actor === undefined) throw new Error("a field for accounts was resolved without one");
  return context.actor;
}
