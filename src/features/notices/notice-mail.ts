/** The words of notices by mail: English, plain text and HTML. Pure. */

import { RESTRICTION_REASONS } from "#src/contract/restriction-reasons";
import { escapeHtml } from "#src/mail/html";
import type { NoticeContent } from "./notices.content.ts";

/** What a mail says, before it is text or HTML. `quote` is what a moderator wrote. */
interface Letter {
  readonly subject: string;
  readonly paragraphs: readonly string[];
  readonly quote?: string | null;
}

export interface MailParts {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** Writes the mail for a notice. @param displayName the recipient's, as they chose it: escaped here */
export function noticeMail(content: NoticeContent, displayName: string): MailParts {
  const letter = letterFor(content);
  const greeting = `Hello ${displayName},`;
  return { subject: letter.subject, text: asText(greeting, letter), html: asHtml(greeting, letter) };
}

type Imposed = Extract<NoticeContent, { type: "restriction.imposed" }>["data"];
type Kind = Imposed["kind"];

function letterFor(content: NoticeContent): Letter {
  switch (content.type) {
    case "restriction.imposed":
      return imposedLetter(content.data);
    case "restriction.ended":
      return {
        subject: "A restriction of your account has ended",
        paragraphs: [`The ${NOUN[content.data.kind]} of your account has reached its end.`, STILL],
      };
    case "restriction.lifted":
      return {
        subject: "A restriction of your account was lifted",
        paragraphs: [`A moderator has lifted the ${NOUN[content.data.kind]} of your account.`, STILL],
      };
    case "security.refresh_reuse":
      return reuseLetter(content.data.device);
  }
}

const NOUN: Readonly<Record<Kind, string>> = { limit: "limit", suspend: "suspension", ban: "ban" };
const STILL = "If you had signed out or were signed out, please sign in again. Other restrictions, if there are any, still hold.";

const CAPABILITY: Readonly<Record<Imposed["capabilities"][number], string>> = {
  post: "post",
  follow: "follow others",
  message: "send messages",
  be_found: "be found in search",
  edit_profile: "edit your profile",
  upload: "upload files",
};

function imposedLetter(restriction: Imposed): Letter {
  const until = restriction.expiresAt === null ? "It has no end date." : `It ends on ${moment(restriction.expiresAt)}.`;
  const shared = [`The reason: ${RESTRICTION_REASONS[restriction.reason]}.`, until];
  switch (restriction.kind) {
    case "limit":
      return {
        subject: "Your account has been limited",
        paragraphs: [`For now you cannot ${restriction.capabilities.map((one) => CAPABILITY[one]).join(", ")}.`, ...shared],
        quote: restriction.message,
      };
    case "suspend":
      return {
        subject: "Your account has been suspended",
        paragraphs: ["Your account has been suspended and you have been signed out everywhere.", ...shared],
        quote: restriction.message,
      };
    case "ban":
      return {
        subject: "Your account has been banned",
        paragraphs: ["Your account has been banned and you have been signed out everywhere.", ...shared],
        quote: restriction.message,
      };
  }
}

function reuseLetter(device: string | null): Letter {
  return {
    subject: "We ended one of your sessions to keep your account safe",
    paragraphs: [
      "A sign-in key that had been used before was presented again. That can mean that somebody copied it, so we ended the session it belongs to" +
        (device === null ? "." : ` (${device}).`),
      "If you do not recognise this, sign in, look through your sessions and change your password.",
    ],
  };
}

/** `2026-11-24 15:04 UTC`: the same for every reader. */
function moment(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`;
}

const MODERATOR_WROTE = "The moderator wrote:";

function asText(greeting: string, letter: Letter): string {
  const quoted = quoteOf(letter).flatMap((quote) => [MODERATOR_WROTE, quote.replace(/^/gm, "> ")]);
  return `${[greeting, ...letter.paragraphs, ...quoted].join("\n\n")}\n`;
}

function asHtml(greeting: string, letter: Letter): string {
  const paragraphs = [greeting, ...letter.paragraphs].map((text) => `<p>${escapeHtml(text)}</p>`);
  const quoted = quoteOf(letter).map(
    (quote) => `<p>${MODERATOR_WROTE}</p><blockquote>${escapeHtml(quote).replaceAll("\n", "<br>")}</blockquote>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(letter.subject)}</title></head><body>${[...paragraphs, ...quoted].join("\n")}</body></html>\n`;
}

function quoteOf(letter: Letter): string[] {
  return letter.quote === undefined || letter.quote === null || letter.quote === "" ? [] : [letter.quote];
}
