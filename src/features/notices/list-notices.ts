/** What a user was told, newest first. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { cutPage, decodeCursor, encodeCursor, type PlacedPage } from "#src/kernel/page";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { isUuid } from "#src/kernel/ids";
import { noticeNotFound } from "./notices.errors.ts";
import { countUnread, pageOfNotices, writeAllRead, writeRead, type NoticeRow } from "./notices.sql.ts";

interface Needs {
  readonly db: Db;
}

const LIST = "notices";

/** Clients show "99+" long before. */
const COUNTED = 1000;

interface Unread {
  readonly unreadCount: number;
  /** False when there are more. */
  readonly unreadCountIsExact: boolean;
}

/** @throws Problem `input.invalid` for a cursor of another list */
export async function listNotices(
  deps: Needs,
  input: { readonly userId: string; readonly cursor: string | undefined; readonly limit: number; readonly unreadOnly?: boolean },
): Promise<PlacedPage<NoticeRow> & Unread> {
  const beforeId = input.cursor === undefined ? undefined : idIn(input.cursor);
  const unreadOnly = input.unreadOnly === true;
  const [found, unread] = await Promise.all([
    pageOfNotices(deps.db, { userId: input.userId, beforeId, limit: input.limit + 1, unreadOnly }),
    countUnread(deps.db, input.userId, COUNTED + 1),
  ]);
  const page = cutPage(found, input.limit, ({ id }) => encodeCursor(LIST, [id]));
  return { ...page, unreadCount: Math.min(unread, COUNTED), unreadCountIsExact: unread <= COUNTED };
}

function idIn(cursor: string): string {
  const [id] = decodeCursor(LIST, cursor, 1);
  if (id === undefined || !isUuid(id)) {
    throw new Problem(inputInvalid, { errors: [{ path: "query.cursor", message: "not a cursor of this list; begin again without one" }] });
  }
  return id;
}

/** Marks a notice as read or unread; once read, the first moment stays. @throws Problem `notice.not_found` */
export async function markNotice(
  deps: Needs,
  input: { readonly userId: string; readonly noticeId: string; readonly read: boolean },
): Promise<NoticeRow> {
  const marked = await inTx(deps.db, (tx) => writeRead(tx, input));
  if (marked === undefined) throw new Problem(noticeNotFound);
  return marked;
}

/** Marks as read all notices, or those up to one that the reader has seen: what came since stays unread. @returns how many were unread */
export async function markAllNotices(
  deps: Needs,
  input: { readonly userId: string; readonly upToId: string | undefined },
): Promise<number> {
  return await inTx(deps.db, (tx) => writeAllRead(tx, input.userId, input.upToId ?? null));
}
