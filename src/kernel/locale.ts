/** The languages we write to people in. Adding one here makes the compiler ask for its words everywhere. */

export const LOCALES = ["en", "hu"] as const;
export type Locale = (typeof LOCALES)[number];

/** What is spoken where nothing we speak is asked for. */
export const DEFAULT_LOCALE: Locale = "en";

/** Headers are read as far as this; browsers send a few dozen characters. */
const READ = 200;

/** The best of our languages for an `Accept-Language` header (RFC 9110, 12.5.4); the default when there is none in it. */
export function localeOf(header: string | undefined): Locale {
  if (header === undefined) return DEFAULT_LOCALE;
  let best: { readonly locale: Locale; readonly weight: number } | undefined;
  for (const range of header.slice(0, READ).split(",")) {
    const [tag = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const locale = LOCALES.find((one) => tag === one || tag.startsWith(`${one}-`));
    const weight = weightOf(parameters);
    if (locale !== undefined && weight > (best?.weight ?? 0)) best = { locale, weight };
  }
  return best?.locale ?? DEFAULT_LOCALE;
}

/** A stored language, or the default for one that we speak no more. */
export function asLocale(text: string): Locale {
  return LOCALES.find((one) => one === text) ?? DEFAULT_LOCALE;
}

function weightOf(parameters: readonly string[]): number {
  const quality = parameters.find((parameter) => parameter.startsWith("q="));
  if (quality === undefined) return 1;
  const weight = Number(quality.slice(2));
  return weight >= 0 && weight <= 1 ? weight : 0;
}
