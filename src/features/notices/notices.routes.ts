/** `/api/users/me/notices`: open to restricted accounts too, for this is where they learn why. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { route } from "#src/http/route";
import { listNotices, markAllNotices, markNotice } from "./list-notices.ts";
import { listNoticesAction, markNoticeAction, marksNotices, readsNotices } from "./notices.actions.ts";
import { noticeNotFound } from "./notices.errors.ts";
import { noticeSchema, noticeView } from "./notices.views.ts";

interface Needs {
  readonly db: Db;
}

export const noticesRoutes = [
  route({
    method: "get",
    path: "/api/users/me/notices",
    tag: "users",
    summary: "What you were told, newest first",
    query: z.strictObject({
      cursor: z.string().max(500).optional(),
      unread: z.enum(["true", "false"]).default("false").describe("true: only those that are not read"),
      limit: z.coerce.number().int().min(1).max(100).default(20),
    }),
    answers: {
      200: {
        description: "A page of notices",
        body: z.object({
          data: z.array(noticeSchema),
          pagination: z.object({ nextCursor: z.string().nullable() }),
          unreadCount: z.number().int().min(0).max(1000).describe("Of all your notices, not of this page"),
          unreadCountIsExact: z.boolean().describe("False when there are more"),
        }),
      },
    },
    problems: [],
    throttle: listNoticesAction,
    needs: readsNotices,
    handle: async (deps: Needs, { actor, query }) => {
      const {
        cursors: _,
        data,
        ...page
      } = await listNotices(deps, {
        userId: actor.userId,
        cursor: query.cursor,
        limit: query.limit,
        unreadOnly: query.unread === "true",
      });
      return { status: 200, body: { ...page, data: data.map(noticeView) } };
    },
  }),
  route({
    method: "post",
    path: "/api/users/me/notices/read",
    tag: "users",
    summary: "Mark all notices as read",
    description: "With `upTo`, the newest notice you have seen, only that and those before it: what came since stays unread.",
    body: z.strictObject({ upTo: z.uuid().optional() }),
    answers: { 200: { description: "How many were unread", body: z.object({ marked: z.number().int().min(0) }) } },
    problems: [],
    throttle: markNoticeAction,
    needs: marksNotices,
    handle: async (deps: Needs, { actor, body }) => ({
      status: 200,
      body: { marked: await markAllNotices(deps, { userId: actor.userId, upToId: body.upTo }) },
    }),
  }),
  route({
    method: "patch",
    path: "/api/users/me/notices/:id",
    tag: "users",
    summary: "Mark a notice as read or unread",
    params: z.strictObject({ id: z.uuid() }),
    body: z.strictObject({ read: z.boolean() }),
    answers: { 200: { description: "The notice", body: noticeSchema } },
    problems: [noticeNotFound],
    throttle: markNoticeAction,
    needs: marksNotices,
    handle: async (deps: Needs, { actor, params, body }) => {
      const notice = await markNotice(deps, { userId: actor.userId, noticeId: params.id, read: body.read });
      return { status: 200, body: noticeView(notice) };
    },
  }),
];
