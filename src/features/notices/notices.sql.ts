/** Every read and write of `notices`. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { NoticeContent } from "./notices.content.ts";

export interface NoticeRow {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
  readonly created_at: Date;
  readonly read_at: Date | null;
}

/** A notice with whom to mail it to. */
export interface AddressedNotice extends NoticeRow {
  readonly email: string;
  readonly display_name: string;
}

export async function insertNotice(
  tx: Tx,
  notice: { readonly id: string; readonly userId: string; readonly content: NoticeContent },
): Promise<void> {
  const { type, data } = notice.content;
  await affected(
    tx,
    sql`insert into notices (id, user_id, type, data) values (${notice.id}::uuid, ${notice.userId}::uuid, ${type}, ${JSON.stringify(data)}::jsonb)`,
  );
}

// Served by notices_user; ids are UUID v7, so this is newest first.
export async function pageOfNotices(
  on: Db | Tx,
  page: { readonly userId: string; readonly beforeId: string | undefined; readonly limit: number },
): Promise<NoticeRow[]> {
  return await rows<NoticeRow>(
    on,
    sql`select id, type, data, created_at, read_at from notices
        where user_id = ${page.userId}::uuid and (${page.beforeId ?? null}::uuid is null or id < ${page.beforeId ?? null}::uuid)
        order by id desc limit ${page.limit}`,
  );
}

/** The notice, if it is this user's. */
export async function findNotice(on: Db | Tx, userId: string, noticeId: string): Promise<NoticeRow | undefined> {
  return await row<NoticeRow>(
    on,
    sql`select id, type, data, created_at, read_at from notices where id = ${noticeId}::uuid and user_id = ${userId}::uuid`,
  );
}

/** The notice with the address its user has now. */
export async function findAddressed(on: Db | Tx, noticeId: string): Promise<AddressedNotice | undefined> {
  return await row<AddressedNotice>(
    on,
    sql`select n.id, n.type, n.data, n.created_at, n.read_at, u.email, u.display_name
        from notices n join users u on u.id = n.user_id where n.id = ${noticeId}::uuid`,
  );
}

/** Marks a notice as read, once: a second time keeps the first moment; or as unread again. */
export async function writeRead(
  tx: Tx,
  mark: { readonly userId: string; readonly noticeId: string; readonly read: boolean },
): Promise<NoticeRow | undefined> {
  return await row<NoticeRow>(
    tx,
    sql`update notices set read_at = case when ${mark.read}::boolean then coalesce(read_at, now()) end
        where id = ${mark.noticeId}::uuid and user_id = ${mark.userId}::uuid
        returning id, type, data, created_at, read_at`,
  );
}
