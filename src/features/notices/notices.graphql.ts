/** One's notices over GraphQL; open to restricted accounts too, as over REST: this is where they learn why. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { connectionOf, connectionShape } from "#src/graphql/connection";
import { parseArguments } from "#src/graphql/parse-arguments";
import { callerOf, subscription, type GraphqlContext, type GraphqlPart } from "#src/graphql/part";
import { accountOrLook } from "#src/kernel/actor";
import { listNotices, markAllNotices, markNotice } from "./list-notices.ts";
import { listenAction, listNoticesAction, markNoticeAction, marksNotices, readsNotices } from "./notices.actions.ts";
import { notification } from "./notices.consumers.ts";
import { noticeView } from "./notices.views.ts";

interface Deps {
  readonly db: Db;
}

const typeDefs = /* GraphQL */ `
  "An object. What is in it follows from the type of the notice; each is in the document of REST, and the same there and on sockets."
  scalar NoticeData

  type Notice {
    id: ID!
    type: String!
    data: NoticeData!
    "RFC 3339, UTC, like what follows."
    createdAt: String!
    "Null while it is unread."
    readAt: String
  }

  type NoticeEdge {
    node: Notice!
    cursor: String!
  }

  type NoticeConnection {
    edges: [NoticeEdge!]!
    pageInfo: PageInfo!
    "Of all your notices, not of this page; counted up to 1000."
    unreadCount: Int!
    "False when there are more."
    unreadCountIsExact: Boolean!
  }

  type MarkResult {
    "How many were unread."
    marked: Int!
  }

  extend type Query {
    "What you were told, the newest first; at most 100, 20 when first is left out."
    notices(first: Int, after: String, unreadOnly: Boolean): NoticeConnection!
  }

  extend type Mutation {
    "Marks a notice as read or unread."
    markNotice(id: ID!, read: Boolean!): Notice!
    "Marks all notices as read; with upTo, the newest you have seen, only that and those before it."
    markNoticesRead(upTo: ID): MarkResult!
  }

  extend type Subscription {
    "What you are told from now on. What came before, or while you were away, is in notices."
    notification: Notice!
  }
`;

const noticesArguments = z.strictObject({ ...connectionShape, unreadOnly: z.boolean().nullish() });
const markArguments = z.strictObject({ id: z.uuid(), read: z.boolean() });
const markAllArguments = z.strictObject({ upTo: z.uuid().nullish() });

export const noticesGraphql: GraphqlPart<Deps> = {
  typeDefs,
  queries: {
    notices: {
      needs: readsNotices,
      throttle: listNoticesAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
        const { first, after, unreadOnly } = parseArguments(noticesArguments, args);
        const { userId } = callerOf(context);
        const { unreadCount, unreadCountIsExact, ...page } = await listNotices(context.deps, {
          userId,
          cursor: after,
          limit: first,
          unreadOnly: unreadOnly === true,
        });
        return { ...connectionOf(page, (notice) => ({ node: noticeView(notice) })), unreadCount, unreadCountIsExact };
      },
    },
  },
  mutations: {
    markNotice: {
      needs: marksNotices,
      throttle: markNoticeAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
        const { id, read } = parseArguments(markArguments, args);
        return noticeView(await markNotice(context.deps, { userId: callerOf(context).userId, noticeId: id, read }));
      },
    },
    markNoticesRead: {
      needs: marksNotices,
      throttle: markNoticeAction,
      resolve: async (context: GraphqlContext<Deps>, args: unknown) => {
        const { upTo } = parseArguments(markAllArguments, args);
        return { marked: await markAllNotices(context.deps, { userId: callerOf(context).userId, upToId: upTo ?? undefined }) };
      },
    },
  },
  subscriptions: {
    notification: subscription({
      needs: accountOrLook,
      throttle: listenAction,
      event: notification,
      begin: () => Promise.resolve({}),
    }),
  },
};
