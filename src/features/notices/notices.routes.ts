/** `/api/users/me/notices`: open to restricted accounts too, for this is where they learn why. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { route } from "#src/http/route";
import { listNotices, markNotice } from "./list-notices.ts";
import { listNoticesAction, markNoticeAction } from "./notices.actions.ts";
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
      limit: z.coerce.number().int().min(1).max(100).default(20),
    }),
    answers: {
      200: {
        description: "A page of notices",
        body: z.object({ data: z.array(noticeSchema), pagination: z.object({ nextCursor: z.string().nullable() }) }),
      },
    },
    problems: [],
    throttle: listNoticesAction,
    needs: { kind: "account", restricted: "allowed" },
    handle: async (deps: Needs, { actor, query }) => {
      const page = await listNotices(deps, { userId: actor.userId, cursor: query.cursor, limit: query.limit });
      return { status: 200, body: { data: page.data.map(noticeView), pagination: page.pagination } };
    },
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
    needs: { kind: "account", restricted: "allowed" },
    handle: async (deps: Needs, { actor, params, body }) => {
      const notice = await markNotice(deps, { userId: actor.userId, noticeId: params.id, read: body.read });
      return { status: 200, body: noticeView(notice) };
    },
  }),
];
