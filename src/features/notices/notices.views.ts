/** A notice as its user sees it, over REST and on the socket. */

import { z } from "zod";
import { noticeTypes, parseContent, type NoticeContent } from "./notices.content.ts";
import type { NoticeRow } from "./notices.sql.ts";

const common = {
  id: z.uuid(),
  createdAt: z.iso.datetime(),
  readAt: z.iso.datetime().nullable(),
};
// From the list itself: a type that is missing here could be told and never read.
const [first, ...others] = noticeTypes;
const extended = <Type extends z.ZodObject>(type: Type): z.ZodObject => type.extend(common);

export const noticeSchema = z.discriminatedUnion("type", [extended(first), ...others.map((type) => extended(type))]);

export type NoticeView = NoticeContent & { readonly id: string; readonly createdAt: string; readonly readAt: string | null };

export function noticeView(notice: NoticeRow): NoticeView {
  const { type, data } = parseContent(notice.type, notice.data);
  return {
    id: notice.id,
    type,
    data,
    createdAt: notice.created_at.toISOString(),
    readAt: notice.read_at?.toISOString() ?? null,
  } as NoticeView;
}
