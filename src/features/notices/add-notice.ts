/** How another feature tells a user something. */

import { z } from "zod";
import { userNotified } from "#src/contract/event-types";
import { channelsFor } from "#src/features/preferences/public";
import type { Tx } from "#src/db/tx";
import { appendEvent } from "#src/events/append";
import { enqueue, type JobKind } from "#src/jobs/enqueue";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { kindOf } from "./kinds.ts";
import type { NoticeContent } from "./notices.content.ts";
import { insertNotice } from "./notices.sql.ts";

const mailPayload = z.object({ noticeId: z.uuid() });

/** The job that mails a notice. */
export const noticeMailJob: JobKind<z.infer<typeof mailPayload>> & { readonly payload: typeof mailPayload } = {
  kind: "notices.mail",
  payload: mailPayload,
};

/**
 * Tells the user, who has not turned that kind off, in the app, on their sockets and, unless told not to, by mail, all or nothing with the transaction. The caller holds the
 * user's version row already (line 2 of the lock order: `lockSubject`, or an event of the same subject); the notice is line 6.
 */
export async function addNotice(
  tx: Tx,
  userId: string,
  content: NoticeContent,
  by: { readonly mail: "sent" | "none" } = { mail: "sent" },
): Promise<void> {
  const kind = kindOf(content.type);
  if (kind !== undefined && !(await channelsFor(tx, userId, kind)).app) return;
  const id = newUuid(systemClock);
  await Promise.all([
    appendEvent(tx, userNotified, { subject: userId, data: { userId, noticeId: id, noticeType: content.type } }),
    insertNotice(tx, { id, userId, content }),
    by.mail === "sent" ? enqueue(tx, noticeMailJob, { noticeId: id }) : undefined,
  ]);
}
