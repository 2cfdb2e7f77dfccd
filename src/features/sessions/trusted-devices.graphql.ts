/** One's own trusted devices over GraphQL. */

import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, type GraphqlContext, type GraphqlPart } from "#src/graphql/part";
import { account } from "#src/kernel/actor";
import { endAction, listAction } from "./sessions.actions.ts";
import { sessionParams } from "./sessions.schemas.ts";
import { forgetTrustedDevice, forgetTrustedDevices, listTrustedDevices } from "./trusted-devices.ts";

type Deps = Parameters<typeof forgetTrustedDevice>[0];

const typeDefs = /* GraphQL */ `
  type TrustedDevice {
    id: ID!
    "What its user agent said when it was trusted; null when it said nothing."
    device: String
    "RFC 3339, UTC, like what follows."
    trustedAt: String!
    trustedUntil: String!
    "When it last signed in without the second factor."
    lastUsedAt: String
  }

  type ForgetResult {
    "How many are trusted no more."
    devicesForgotten: Int!
  }

  extend type Query {
    "The devices that your second factor is not asked for on, the newest first; at most 20."
    trustedDevices: [TrustedDevice!]!
  }

  extend type Mutation {
    "Trusts one of your devices no more; the next sign-in on it asks for the second factor."
    forgetTrustedDevice(id: ID!): ForgetResult!
    "Trusts none of your devices any more; sessions stay."
    forgetTrustedDevices: ForgetResult!
  }
`;

export const trustedDevicesGraphql: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    trustedDevices: {
      needs: account,
      throttle: listAction,
      resolve: (context: GraphqlContext<Deps>) => listTrustedDevices(context.deps, callerOf(context)),
    },
  },
  mutations: {
    forgetTrustedDevice: {
      needs: account,
      throttle: endAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
        await forgetTrustedDevice(context.deps, { actor: callerOf(context), id: parseArguments(sessionParams, args).id });
        return { devicesForgotten: 1 };
      },
    },
    forgetTrustedDevices: {
      needs: account,
      throttle: endAction,
      resolve: (context: GraphqlContext<Deps>) => forgetTrustedDevices(context.deps, callerOf(context)),
    },
  },
};
