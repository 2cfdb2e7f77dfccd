/** The mail of a notice. Pure; the words are in `notice-words.*.ts`, one file a language. */

import type { Locale } from "#src/kernel/locale";
import { writeLetter, type Letter, type MailParts } from "#src/mail/letter";
import type { NoticeContent } from "./notices.content.ts";
import { english } from "./notice-words.en.ts";
import { hungarian } from "./notice-words.hu.ts";
import type { NoticeWords } from "./notice-words.ts";

const WORDS: Readonly<Record<Locale, NoticeWords>> = { en: english, hu: hungarian };

/** Writes the mail for a notice. @param reader whose name is as they chose it: escaped here */
export function noticeMail(content: NoticeContent, reader: { readonly displayName: string; readonly locale: Locale }): MailParts {
  const say = WORDS[reader.locale][content.type] as (data: NoticeContent["data"]) => Letter;
  return writeLetter(say(content.data), reader.locale, reader.displayName);
}
