/** What every language has to say in the mails of notices. Pure. */

import type { Letter } from "#src/mail/letter";
import type { NoticeContent } from "./notices.content.ts";

/** What a notice says by mail: one function for each type. */
export type NoticeWords = {
  readonly [Type in NoticeContent["type"]]: (data: Extract<NoticeContent, { readonly type: Type }>["data"]) => Letter;
};

/** `2026-11-24 15:04 UTC`: the same for every reader. */
export function moment(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

/** A quote of what a moderator wrote, where there is one. */
export function quoteOf(lead: string, text: string | null): Pick<Letter, "quote"> {
  return text === null || text === "" ? {} : { quote: { lead, text } };
}
