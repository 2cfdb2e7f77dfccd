/** What a user was told, newest first. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { decodeCursor, encodeCursor, type Page } from "#src/kernel/page";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { isUuid } from "#src/kernel/ids";
import { noticeNotFound } from "./notices.errors.ts";
import { pageOfNotices, writeRead, type NoticeRow } from "./notices.sql.ts";

interface Needs {
  readonly db: Db;
}

const LIST = "notices";

/** @throws Problem `input.invalid` for a cursor of another list */
export async function listNotices(
  deps: Needs,
  input: { readonly userId: string; readonly cursor: string | undefined; readonly limit: number },
): Promise<Page<NoticeRow>> {
  const beforeId = input.cursor === undefined ? undefined : idIn(input.cursor);
  const found = await pageOfNotices(deps.db, { userId: input.userId, beforeId, limit: input.limit + 1 });
  const data = found.slice(0, input.limit);
  const last = data.at(-1);
  const nextCursor = found.length > input.limit && last !== undefined ? encodeCursor(LIST, [last.id]) : null;
  return { data, pagination: { nextCursor } };
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
