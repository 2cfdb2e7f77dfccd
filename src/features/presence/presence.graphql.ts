/** Subscriptions about people: what those who watch are told. */

import type { Db } from "#src/db/pool";
import { profileUpdated } from "#src/features/profiles/public";
import { parseArguments } from "#src/graphql/parse-arguments";
import { subscription, type GraphqlPart, type SubscriberHandle } from "#src/graphql/part";
import { accountOrLook } from "#src/kernel/actor";
import { watchAction } from "./presence.actions.ts";
import { watchPayload } from "./presence.schemas.ts";
import { userStatus } from "./presence.sockets.ts";
import type { StatusView } from "./presence.views.ts";
import { watch, watchedIn } from "./watch.ts";

interface Deps {
  readonly db: Db;
}

const typeDefs = /* GraphQL */ `
  type UserStatus {
    userId: ID!
    "online, away or offline; offline also of whom you may not see."
    status: String!
    "RFC 3339, UTC; null where it is unknown, or not for you."
    lastSeenAt: String
    "A whole number that grows with each change of this user; keep the one with the highest."
    seq: Float!
  }

  "The public part of a profile that changed, whole."
  type ProfileUpdate {
    userId: ID!
    username: String!
    displayName: String!
    avatarUrl: String
    bio: String!
    links: [ProfileLink!]
    pronouns: String
    location: String
    timezone: String
    "Where the name changed, the one that was left."
    previousUsername: String
    "Grows with each change; keep the one with the highest."
    profileVersion: Int!
  }

  extend type Subscription {
    "How these people are now, one after another, and from then on who comes, is away or goes. At most 500; those you may not see look offline."
    userStatus(userIds: [ID!]!): UserStatus!
    "The profiles of these people whenever they change, your own among them if you name yourself. At most 500; of whom you may not see, nothing."
    profileUpdated(userIds: [ID!]!): ProfileUpdate!
  }
`;

interface Watched {
  readonly ids: ReadonlySet<string>;
  readonly statuses: readonly StatusView[];
}

/** Watches as a socket does. @throws Problem `presence.too_many_watched`, `input.invalid` */
async function watchThese({ db }: Deps, subscriber: SubscriberHandle, args: unknown): Promise<Watched> {
  const { userIds } = parseArguments(watchPayload, args);
  const { actor: viewer, join, leave } = subscriber;
  const statuses = await watch({ db }, { viewer, userIds, watched: watchedIn(subscriber.rooms()), join, leave });
  return { ids: new Set(statuses.map(({ userId }) => userId)), statuses };
}

export const presenceGraphql: GraphqlPart<Deps> = {
  typeDefs,
  subscriptions: {
    userStatus: subscription({
      needs: accountOrLook,
      throttle: watchAction,
      event: userStatus,
      begin: async ({ deps }, subscriber, args) => {
        const { ids, statuses } = await watchThese(deps, subscriber, args);
        return { first: statuses, wants: ({ userId }) => ids.has(userId) };
      },
    }),
    profileUpdated: subscription({
      needs: accountOrLook,
      throttle: watchAction,
      event: profileUpdated,
      begin: async ({ deps }, subscriber, args) => {
        const { ids } = await watchThese(deps, subscriber, args);
        // One's own comes twice, as one's own and as one that is watched; and any may come again.
        const newest = new Map<string, number>();
        return {
          wants: ({ userId, profileVersion }) => {
            if (!ids.has(userId) || profileVersion <= (newest.get(userId) ?? 0)) return false;
            newest.set(userId, profileVersion);
            return true;
          },
        };
      },
    }),
  },
};
