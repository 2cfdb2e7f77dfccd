/** Reads and writes of `mailbox`. */

import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { MailMessage } from "./mail.ts";

/** A message as the list shows it. */
export interface MailboxLine {
  readonly message_id: string;
  readonly recipient: string;
  readonly subject: string;
  readonly sent_at: Date;
}

export interface MailboxMessage extends MailboxLine {
  readonly text_body: string;
  readonly html_body: string;
}

/** Keeps a message; one whose id is there already was sent before. */
export async function keepMessage(db: Db, message: MailMessage): Promise<void> {
  await affected(
    db,
    sql`insert into mailbox (message_id, recipient, subject, text_body, html_body)
        values (${message.messageId}, ${message.to}, ${message.subject}, ${message.text}, ${message.html})
        on conflict (message_id) do nothing`,
  );
}

/** The newest 200. */
export async function newestMessages(db: Db): Promise<MailboxLine[]> {
  return await rows<MailboxLine>(
    db,
    sql`select message_id, recipient, subject, sent_at from mailbox order by sent_at desc, message_id desc limit 200`,
  );
}

export async function findMessage(db: Db, messageId: string): Promise<MailboxMessage | undefined> {
  return await row<MailboxMessage>(
    db,
    sql`select message_id, recipient, subject, sent_at, text_body, html_body from mailbox where message_id = ${messageId}`,
  );
}
