/** Lists of people over GraphQL, as Relay's connections: anybody's followers and following, and one's own requests, blocks and mutes. */

import type { Db } from "#src/db/pool";
import { connectionArguments, connectionOf, type Connection } from "#src/graphql/connection";
import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, type DoorField, type GraphqlContext, type GraphqlPart, type RootField } from "#src/graphql/part";
import { account, accountOrLook, type Access } from "#src/kernel/actor";
import type { PlacedPage } from "#src/kernel/page";
import { listOfMany, type Direction } from "./follow-lists.ts";
import { followListAction, ownListAction } from "./graph.actions.ts";
import { blockedView, mutedView } from "./graph.views.ts";
import { listBlocks, listMutes, listRequests, type OwnListInput } from "./own-lists.ts";

interface Deps {
  readonly db: Db;
}

const typeDefs = /* GraphQL */ `
  type UserConnection {
    edges: [UserEdge!]!
    pageInfo: PageInfo!
    "Only of your own followers and following."
    totalCount: Int
  }

  type UserEdge {
    node: User!
    cursor: String!
  }

  extend type User {
    "Who follows them, the newest first; at most 100, 20 when first is left out. Refused as in REST where you may not see the list."
    followers(first: Int, after: String): UserConnection
    "Whom they follow, likewise."
    following(first: Int, after: String): UserConnection
  }

  type BlockConnection {
    edges: [BlockEdge!]!
    pageInfo: PageInfo!
  }

  type BlockEdge {
    node: BlockedUser!
    cursor: String!
    "RFC 3339, UTC."
    blockedAt: String!
    cut: Cut!
  }

  "As much of somebody as their blocker needs to take the block back."
  type BlockedUser {
    id: ID!
    username: String!
    displayName: String!
    avatarUrl: String
  }

  type MuteConnection {
    edges: [MuteEdge!]!
    pageInfo: PageInfo!
  }

  type MuteEdge {
    node: User!
    cursor: String!
    "RFC 3339, UTC; null where it has no end."
    until: String
    "Whether notices and pushes are muted too."
    notifications: Boolean!
  }

  extend type Query {
    "Who asks to follow you, the newest first; like all lists here at most 100, 20 when first is left out."
    followRequests(first: Int, after: String): UserConnection!
    "Whom you blocked, the newest first."
    blocks(first: Int, after: String): BlockConnection!
    "Whom you muted, the newest first."
    mutes(first: Int, after: String): MuteConnection!
  }
`;

/** A `User` as the use cases give it. */
interface Parent {
  readonly id: string;
}

/** A list of each person that the query comes by; those asked for alike are read together. */
function listOfUser(which: Direction): DoorField<Deps> {
  return {
    needs: accountOrLook,
    throttle: followListAction,
    resolve: async (user: Parent, args: unknown, context: GraphqlContext<Deps>): Promise<Connection<object>> => {
      const { first, after } = parseArguments(connectionArguments, args);
      const viewer = callerOf(context);
      const loader = context.loader<string, Connection<object>>(`graph.${which} ${JSON.stringify([first, after])}`, async (ownerIds) => {
        const pages = await listOfMany(context.deps, which, { viewer, ownerIds, limit: first, cursor: after });
        return pages.map((page) => (page instanceof Error ? page : connectionOf(page, (node) => ({ node }))));
      });
      return await loader.load(user.id);
    },
  };
}

/** A list that only its owner sees. */
function ownList<T>(
  needs: Access,
  list: (deps: Deps, input: OwnListInput) => Promise<PlacedPage<T>>,
  edgeOf: (item: T) => { readonly node: unknown },
): RootField<Deps> {
  return {
    needs,
    throttle: ownListAction,
    resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
      const { first, after } = parseArguments(connectionArguments, args);
      return connectionOf(await list(context.deps, { viewer: callerOf(context), limit: first, cursor: after }), edgeOf);
    },
  };
}

export const listsGraphql: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    followRequests: ownList(accountOrLook, listRequests, (node) => ({ node })),
    blocks: ownList(account, listBlocks, (blocked) => {
      const { user, ...facts } = blockedView(blocked);
      return { node: user, ...facts };
    }),
    mutes: ownList(account, listMutes, (muted) => {
      const { user, ...facts } = mutedView(muted);
      return { node: user, ...facts };
    }),
  },
  types: { User: { followers: listOfUser("followers"), following: listOfUser("following") } },
};
