/** People over GraphQL. The counters of `User` are the graph's part. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, joinParts, type GraphqlContext, type GraphqlPart } from "#src/graphql/part";
import { accountOrLook } from "#src/kernel/actor";
import { isUuid } from "#src/kernel/ids";
import { readMe, updateProfile } from "./me.ts";
import { readPeople, readProfile } from "./people.ts";
import { privacyGraphql } from "./privacy.graphql.ts";
import { editsProfile, readMeAction, readPeopleAction, readProfileAction, readsProfile, updateProfileAction } from "./profiles.actions.ts";
import { manyIds, personParams, profileChange } from "./profiles.schemas.ts";
import { selectSocial } from "./profiles.sql.ts";
import { socialView, type PersonView, type SocialView } from "./profiles.views.ts";

interface Deps {
  readonly db: Db;
  readonly config: { readonly avatarHosts: readonly string[] | undefined };
}

const typeDefs = /* GraphQL */ `
  type User @key(fields: "id") {
    id: ID!
    username: String!
    "Null where the account is unavailable, like everything personal."
    displayName: String
    avatarUrl: String
    bio: String
    "https; null in lists, like what follows."
    links: [ProfileLink!]
    pronouns: String
    location: String
    "A name of the IANA database, like Europe/Budapest."
    timezone: String
    "Your own address; of others where they let you see it, and never in lists."
    email: String
    "Whether you have proved to read it; null on everybody else."
    emailVerified: Boolean
    "active; private where they do not show you more than names and picture; unavailable for a restricted account; moderators see suspended and banned."
    status: String!
    profileVersion: Int
    "The name you asked by, where they have left it; null in lists."
    movedFrom: String
    "RFC 3339, UTC."
    createdAt: String
    "What the social service told last; null until it has, and where the account is unavailable."
    social: SocialFigures
  }

  type ProfileLink {
    label: String!
    url: String!
  }

  type SocialFigures {
    postsCount: Int!
    "Null where the social service does not say."
    reactionsCount: Int
    "When it was so: RFC 3339, UTC."
    asOf: String!
  }

  extend type Query {
    "Someone, by id or by username ignoring case: exactly one of the two. Where PUBLIC_PROFILES is on, also without a token."
    user(id: ID, username: String): User
    "Many people by their ids, at most 100, as in lists: in the order of the ids, each once, without whoever is not there for you."
    users(ids: [ID!]!): [User!]!
    "You."
    me: User!
  }

  "What is left out stays; a null avatarUrl takes the picture away."
  input ProfileInput {
    "Twice in 30 days, and by a sign-in or step-up within the last ten minutes."
    username: String
    displayName: String
    bio: String
    avatarUrl: String
    "At most five, https."
    links: [ProfileLinkInput!]
    "A null takes it away, as with what follows."
    pronouns: String
    location: String
    timezone: String
  }

  input ProfileLinkInput {
    label: String!
    url: String!
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

const usersArguments = z.strictObject({ ids: manyIds });

const userReference = z.object({ id: z.string() });

const updateArguments = z.strictObject({ input: profileChange });

/** A `User` as the use cases give it: a profile comes with its figures, somebody in a list without. */
interface Parent {
  readonly id: string;
  readonly status: string;
  readonly social?: SocialView;
}

const ownPart: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    user: {
      needs: readsProfile,
      throttle: readProfileAction,
      resolve: (context: GraphqlContext<Deps>, args: unknown) =>
        readProfile(context.deps, { viewer: context.actor ?? null, idOrUsername: parseArguments(userArguments, args) }),
    },
    users: {
      needs: accountOrLook,
      throttle: readPeopleAction,
      resolve: (context: GraphqlContext<Deps>, args: unknown) =>
        readPeople(context.deps, { viewer: callerOf(context), ids: parseArguments(usersArguments, args).ids, action: "view" }),
    },
    me: {
      needs: accountOrLook,
      throttle: readMeAction,
      resolve: (context: GraphqlContext<Deps>) => readMe(context.deps, callerOf(context)),
    },
  },
  entities: {
    User: {
      needs: accountOrLook,
      throttle: readProfileAction,
      resolveReference: (context: GraphqlContext<Deps>, reference: unknown) =>
        loadPerson(parseArguments(userReference, reference).id, context),
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
      needs: editsProfile,
      throttle: updateProfileAction,
      resolve: (context: GraphqlContext<Deps>, args: unknown) =>
        updateProfile(context.deps, { actor: callerOf(context), change: parseArguments(updateArguments, args).input }),
    },
  },
};

/** With one's privacy. */
export const profilesGraphql: GraphqlPart<Deps> = joinParts(ownPart, privacyGraphql);

/** Somebody as in a list; one statement for all references of a request. Whoever may not be known of is nobody. */
async function loadPerson(id: string, context: GraphqlContext<Deps>): Promise<PersonView | null> {
  if (!isUuid(id)) return null;
  const loader = context.loader<string, PersonView | null>("profiles.people", async (ids) => {
    const people = await readPeople(context.deps, { viewer: callerOf(context), ids, action: "view" });
    const found = new Map(people.map((person) => [person.id, person]));
    return ids.map((one) => found.get(one) ?? null);
  });
  return await loader.load(id.toLowerCase());
}

/** One statement for all users of a list. */
async function loadSocial(user: Parent, context: GraphqlContext<Deps>): Promise<SocialView> {
  if (user.status === "unavailable" || user.status === "private") return null;
  const loader = context.loader<string, SocialView>("profiles.social", async (ids) => {
    const found = await selectSocial(context.deps.db, ids);
    return ids.map((id) => {
      const social = found.get(id);
      return social === undefined ? null : socialView(social);
    });
  });
  return await loader.load(user.id);
}
