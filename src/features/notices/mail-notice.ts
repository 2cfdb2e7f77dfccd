/** Sends one notice by mail: what the job does. */

import type { Db } from "#src/db/pool";
import { asLocale } from "#src/kernel/locale";
import type { Mail } from "#src/mail/mail";
import { noticeMail } from "./notice-mail.ts";
import { parseContent } from "./notices.content.ts";
import { findAddressed } from "./notices.sql.ts";

interface Needs {
  readonly db: Db;
  readonly mail: Mail;
}

/**
 * Sends to the address the user has now. May run again for the same job: the Message-ID stays. A notice that is gone,
 * its user with it, needs no mail.
 */
export async function mailNotice(
  deps: Needs,
  input: { readonly noticeId: string; readonly messageId: string },
): Promise<"sent" | "notice-gone"> {
  const notice = await findAddressed(deps.db, input.noticeId);
  if (notice === undefined) return "notice-gone";
  const parts = noticeMail(parseContent(notice.type, notice.data), {
    displayName: notice.display_name,
    locale: asLocale(notice.locale),
  });
  await deps.mail.send({ messageId: input.messageId, to: notice.email, subject: parts.subject, text: parts.text, html: parts.html });
  return "sent";
}
