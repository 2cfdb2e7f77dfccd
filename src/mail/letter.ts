/** A letter: what a mail says, before it is plain text and HTML. Pure. */

import type { Locale } from "#src/kernel/locale";
import { escapeHtml } from "#src/kernel/html";

/** Plain words; nothing in it is HTML. */
export interface Letter {
  readonly subject: string;
  readonly paragraphs: readonly string[];
  /** What somebody else wrote, and the words that lead to it. */
  readonly quote?: { readonly lead: string; readonly text: string };
  /** Where the reader is to go. */
  readonly link?: { readonly label: string; readonly url: string };
  /** Six digits, for who has another device at hand. */
  readonly code?: { readonly lead: string; readonly digits: string };
  /** After link and code. */
  readonly closing?: readonly string[];
}

/** The three parts of a message that depend on what it says. */
export interface MailParts {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

const HELLO: Readonly<Record<Locale, (name: string | undefined) => string>> = {
  en: (name) => (name === undefined ? "Hello," : `Hello ${name},`),
  hu: (name) => (name === undefined ? "Üdvözlünk!" : `Kedves ${name}!`),
};

/** @param name the reader's, as they chose it: escaped here; undefined for somebody who has no account */
export function writeLetter(letter: Letter, locale: Locale, name: string | undefined): MailParts {
  const greeting = HELLO[locale](name);
  return { subject: letter.subject, text: asText(greeting, letter), html: asHtml(greeting, letter, locale) };
}

function asText(greeting: string, { paragraphs, quote, link, code, closing = [] }: Letter): string {
  const parts = [
    greeting,
    ...paragraphs,
    ...(quote === undefined ? [] : [quote.lead, quote.text.replace(/^/gm, "> ")]),
    ...(link === undefined ? [] : [`${link.label}:\n${link.url}`]),
    ...(code === undefined ? [] : [`${code.lead} ${code.digits}`]),
    ...closing,
  ];
  return `${parts.join("\n\n")}\n`;
}

function asHtml(greeting: string, letter: Letter, locale: Locale): string {
  const { paragraphs, quote, link, code, closing = [] } = letter;
  const paragraph = (text: string): string => `<p>${escapeHtml(text)}</p>`;
  const parts = [
    paragraph(greeting),
    ...paragraphs.map(paragraph),
    ...(quote === undefined ? [] : [`${paragraph(quote.lead)}<blockquote>${escapeHtml(quote.text).replaceAll("\n", "<br>")}</blockquote>`]),
    ...(link === undefined ? [] : [`<p><a href="${escapeHtml(link.url)}">${escapeHtml(link.label)}</a></p>`]),
    ...(code === undefined ? [] : [`<p>${escapeHtml(code.lead)} <strong>${escapeHtml(code.digits)}</strong></p>`]),
    ...closing.map(paragraph),
  ];
  const head = `<meta charset="utf-8"><title>${escapeHtml(letter.subject)}</title>`;
  return `<!doctype html><html lang="${locale}"><head>${head}</head><body>${parts.join("\n")}</body></html>\n`;
}
