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
  readonly locale: string;
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

// Served by notices_user and notices_unread; ids are UUID v7, so this is newest first.
export async function pageOfNotices(
  on: Db | Tx,
  page: { readonly userId: string; readonly beforeId: string | undefined; readonly limit: number; readonly unreadOnly?: boolean },
): Promise<NoticeRow[]> {
  const before = page.beforeId ?? null;
  if (page.unreadOnly === true) {
    return await rows<NoticeRow>(
      on,
      sql`select id, type, data, created_at, read_at from notices
          where user_id = ${page.userId}::uuid and read_at is null and (${before}::uuid is null or id < ${before}::uuid)
          order by id desc limit ${page.limit}`,
    );
  }
  return await rows<NoticeRow>(
    on,
    sql`select id, type, data, created_at, read_at from notices
        where user_id = ${page.userId}::uuid and (${before}::uuid is null or id < ${before}::uuid)
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
    sql`select n.id, n.type, n.data, n.created_at, n.read_at, u.email, u.display_name, u.locale
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

/** How many are unread, counted as far as `most`. Served by notices_unread. */
export async function countUnread(on: Db | Tx, userId: string, most: number): Promise<number> {
  const found = await row<{ n: number }>(
    on,
    sql`select count(*)::int as n from
          (select from notices where user_id = ${userId}::uuid and read_at is null limit ${most}) unread`,
  );
  return found?.n ?? 0;
}

/** Marks all up to one, or all, as read. @returns how many were unread */
export async function writeAllRead(tx: Tx, userId: string, upToId: string | null): Promise<number> {
  return await affected(
    tx,
    sql`update notices set read_at = now()
        where user_id = ${userId}::uuid and read_at is null and (${upToId}::uuid is null or id <= ${upToId}::uuid)`,
  );
}

/** What stands of the notices of follows: whether there is one of that person, and how many are unread, counted as far as `most`. */
export async function selectFollowsTold(
  on: Db | Tx,
  {
    type,
    userId,
    aboutId,
    most,
  }: { readonly type: "follow.started" | "follow.requested"; readonly userId: string; readonly aboutId: string; readonly most: number },
): Promise<{ readonly isTold: boolean; readonly unread: number }> {
  const found = await row<{ told: boolean; unread: number }>(
    on,
    sql`select exists (
            select from notices where user_id = ${userId}::uuid and data->>'userId' = ${aboutId} and type = ${type}
            and type in ('follow.started', 'follow.requested', 'follow.accepted')
          ) as told,
          (select count(*)::int from (
            select from notices where user_id = ${userId}::uuid and read_at is null and type = ${type} limit ${most}
          ) unread) as unread`,
  );
  return { isTold: found?.told === true, unread: found?.unread ?? 0 };
}

/** Takes away what one was told of another person's follow. Served by notices_about_follows. */
export async function deleteNoticesAbout(tx: Tx, userId: string, aboutId: string): Promise<void> {
  await affected(
    tx,
    sql`delete from notices where user_id = ${userId}::uuid and type in ('follow.started', 'follow.requested', 'follow.accepted')
          and data->>'userId' = ${aboutId}`,
  );
}
