/** The HTML of the pages behind mailed links: no script, nothing from elsewhere. Pure. */

import { escapeHtml } from "#src/kernel/html";
import type { Locale } from "#src/kernel/locale";
import type { Problem } from "#src/kernel/problem";

/** What one purpose says, in one language. */
export interface LinkPageWords {
  readonly title: string;
  /** What using the link does. */
  readonly question: string;
  readonly button: string;
  readonly done: string;
}

/** What the page is to show. */
export type PageState =
  | { readonly kind: "question"; readonly words: LinkPageWords; readonly email: string; readonly asksPassword: boolean }
  | { readonly kind: "done"; readonly words: LinkPageWords }
  | { readonly kind: "invalid" }
  | {
      readonly kind: "refused";
      /** Undefined when the link was not looked at. */
      readonly words: LinkPageWords | undefined;
      readonly email: string;
      readonly asksPassword: boolean;
      /** Whether trying again later helps. */
      readonly isLater: boolean;
      readonly problem: Problem;
    };

interface Common {
  readonly address: string;
  readonly password: string;
  readonly hint: string;
  readonly invalidTitle: string;
  readonly invalid: string;
  readonly later: string;
  readonly refused: Readonly<Record<string, string>>;
}

const COMMON: Readonly<Record<Locale, Common>> = {
  en: {
    address: "E-mail address:",
    password: "New password",
    hint: "At least 8 characters.",
    invalidTitle: "This link is not good any more",
    invalid: "It was used already, has ended, or is not whole. Ask for another one where you got this one.",
    later: "That did not work just now. Please try again in a moment.",
    refused: {},
  },
  hu: {
    address: "E-mail-cím:",
    password: "Új jelszó",
    hint: "Legalább 8 karakter.",
    invalidTitle: "Ez a hivatkozás már nem használható",
    invalid: "Már felhasználták, lejárt, vagy nem teljes. Kérj egy másikat ott, ahol ezt kaptad.",
    later: "Ez most nem sikerült. Kérjük, próbáld újra egy kicsit később.",
    refused: {
      "username.taken": "Ezt a felhasználónevet időközben más választotta. Regisztrálj újra egy másikkal.",
      "email.taken": "Ehhez a címhez már tartozik fiók.",
      "password.unsuitable": "Ezt a jelszót túl könnyű kitalálni.",
      "input.invalid": "A jelszó 8–128 karakter hosszú legyen.",
    },
  },
};

const STYLE =
  "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:12vh auto;padding:0 1rem;color:#1a1a1a;background:#fff}" +
  "button,input{font:inherit;padding:.5rem .75rem}input{width:100%;box-sizing:border-box}button{cursor:pointer}" +
  "[role=alert]{border-left:.25rem solid #b00020;padding-left:.75rem}" +
  "@media (prefers-color-scheme:dark){body{color:#eee;background:#161616}}";

/** Writes the whole document. */
export function linkPage(state: PageState, locale: Locale): string {
  const common = COMMON[locale];
  switch (state.kind) {
    case "question":
      return frame(locale, state.words.title, `<p>${escapeHtml(state.words.question)}</p>${form(state, common)}`);
    case "done":
      return frame(locale, state.words.title, `<p role="status">${escapeHtml(state.words.done)}</p>`);
    case "invalid":
      return frame(locale, common.invalidTitle, `<p>${escapeHtml(common.invalid)}</p>`);
    case "refused":
      return refusedPage(state, locale);
  }
}

function refusedPage(state: Extract<PageState, { kind: "refused" }>, locale: Locale): string {
  const common = COMMON[locale];
  const { problem, words, email, asksPassword } = state;
  const said = common.refused[problem.code] ?? problem.details.errors?.[0]?.message ?? problem.details.detail ?? problem.type.title;
  const alert = `<p role="alert">${escapeHtml(state.isLater ? common.later : said)}</p>`;
  if (words === undefined) return frame(locale, common.later, alert);
  return frame(locale, words.title, alert + form({ words, email, asksPassword }, common));
}

function form({ words, email, asksPassword }: { words: LinkPageWords; email: string; asksPassword: boolean }, common: Common): string {
  // The name lets a password manager keep the new password with its account.
  const name = `<input type="hidden" name="username" autocomplete="username" value="${escapeHtml(email)}">`;
  const password =
    `${name}<p><label>${escapeHtml(common.password)}<br>` +
    `<input type="password" name="password" autocomplete="new-password" minlength="8" required autofocus></label><br><small>${escapeHtml(common.hint)}</small></p>`;
  return (
    `<p>${escapeHtml(common.address)} <strong>${escapeHtml(email)}</strong></p>` +
    `<form method="post">${asksPassword ? password : ""}<p><button type="submit">${escapeHtml(words.button)}</button></p></form>`
  );
}

function frame(locale: Locale, title: string, body: string): string {
  return (
    `<!doctype html><html lang="${locale}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body><main><h1>${escapeHtml(title)}</h1>${body}</main></body></html>\n`
  );
}
