/** One's own sessions and trusted devices over GraphQL. What gives tokens is not here: aliases would multiply tries. */

import type { Db } from "#src/db/pool";
import { connectionArguments, connectionOf } from "#src/graphql/connection";
import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, joinParts, type GraphqlContext, type GraphqlPart } from "#src/graphql/part";
import { account, accountOrLook } from "#src/kernel/actor";
import type { Log } from "#src/kernel/log";
import { listSessions } from "./list-sessions.ts";
import { renameSession } from "./rename-session.ts";
import { logout, logoutAll, revokeOwnOthers, revokeOwnSession } from "./revoke.ts";
import type { SessionLimits } from "./session-limits.ts";
import { endAction, leaves, leavesEverywhere, listAction, renameAction } from "./sessions.actions.ts";
import { renameBody, sessionParams } from "./sessions.schemas.ts";
import type { PlaceOf } from "./sessions.views.ts";
import { trustedDevicesGraphql } from "./trusted-devices.graphql.ts";

interface Deps {
  readonly db: Db;
  readonly log: Log;
  readonly sessionLimits: SessionLimits;
  readonly placeOf?: PlaceOf;
  /** Waits until this process itself has read what was just committed. */
  readonly revocationsSettled: () => Promise<void>;
}

const typeDefs = /* GraphQL */ `
  type Session {
    id: ID!
    "What you call it; null until you name it."
    name: String
    "What the user agent says, like Firefox on Windows; null when it says nothing."
    device: String
    "Roughly where the address is; null when that is not known."
    place: SessionPlace
    userAgent: String!
    address: String!
    "RFC 3339, UTC, like what follows."
    createdAt: String!
    lastSeenAt: String!
    expiresAt: String!
    "Whether this is the session that asks."
    current: Boolean!
    "Whether an admin has begun it in your place; it says nothing of their device."
    byStaff: Boolean!
  }

  type SessionPlace {
    country: String
    city: String
  }

  type SessionEdge {
    node: Session!
    cursor: String!
  }

  type SessionConnection {
    edges: [SessionEdge!]!
    pageInfo: PageInfo!
  }

  type SessionResult {
    status: String!
  }

  type RevokeResult {
    "How many ended."
    sessionsRevoked: Int!
  }

  extend type Query {
    "Your standing sessions, the newest first; at most 100, 20 when first is left out."
    sessions(first: Int, after: String): SessionConnection!
  }

  extend type Mutation {
    "Names one of your sessions; null takes the name away."
    renameSession(id: ID!, name: String): Session!
    "Ends one of your sessions; like all that ends sessions, it closes their sockets."
    revokeSession(id: ID!): SessionResult!
    "Ends every session of yours but this one."
    revokeOtherSessions: RevokeResult!
    "Ends every session of yours, this one too."
    revokeAllSessions: RevokeResult!
    "Ends this session. In cookie mode log out over REST, which takes the cookie away."
    logout: SessionResult!
  }
`;

const renameArguments = sessionParams.extend(renameBody.shape);
const ended = { status: "ended" } as const;

const ownPart: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    sessions: {
      needs: accountOrLook,
      throttle: listAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
        const { first, after } = parseArguments(connectionArguments, args);
        const page = await listSessions(context.deps, { actor: callerOf(context), limit: first, cursor: after });
        return connectionOf(page, (node) => ({ node }));
      },
    },
  },
  mutations: {
    renameSession: {
      needs: account,
      throttle: renameAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
        const { id, name } = parseArguments(renameArguments, args);
        return await renameSession(context.deps, { actor: callerOf(context), sessionId: id, name });
      },
    },
    revokeSession: {
      needs: account,
      throttle: endAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
        const { id } = parseArguments(sessionParams, args);
        await revokeOwnSession(context.deps, { actor: callerOf(context), sessionId: id });
        await context.deps.revocationsSettled();
        return ended;
      },
    },
    revokeOtherSessions: {
      needs: account,
      throttle: endAction,
      resolve: async (context: GraphqlContext<Deps>) => {
        const result = await revokeOwnOthers(context.deps, callerOf(context));
        await context.deps.revocationsSettled();
        return result;
      },
    },
    revokeAllSessions: {
      needs: leavesEverywhere,
      throttle: endAction,
      resolve: async (context: GraphqlContext<Deps>) => {
        const result = await logoutAll(context.deps, callerOf(context));
        await context.deps.revocationsSettled();
        return result;
      },
    },
    logout: {
      needs: leaves,
      throttle: endAction,
      resolve: async (context: GraphqlContext<Deps>) => {
        await logout(context.deps, callerOf(context));
        await context.deps.revocationsSettled();
        return ended;
      },
    },
  },
};

/** With one's trusted devices. */
export const sessionsGraphql: GraphqlPart<Deps> = joinParts(ownPart, trustedDevicesGraphql);
