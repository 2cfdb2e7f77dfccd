/** What people say of themselves beside name, picture and bio; kept in the JSON column `users.details`. */

import { z } from "zod";
import { visibleName } from "#src/kernel/visible-name";
import { isVisibleText } from "#src/kernel/visible-text";

const LINKS = 5;

/** Written as browsers read it, so that a host of look-alike letters shows as what it is (`xn--…`). */
const link = z.strictObject({
  label: visibleName(30),
  url: z
    .string()
    .max(2048, "at most 2048 characters")
    .refine(isPlainHttpsUrl, "an https URL without user name")
    .overwrite((url) => URL.parse(url)?.href ?? url),
});

/** A zone of the IANA database, not an offset. */
const timezone = z
  .string()
  .max(64)
  .regex(/^[A-Za-z]/, "a time zone like Europe/Budapest")
  .refine(isZone, "a time zone like Europe/Budapest");

/** The keys as doors take them: null takes one away. */
export const detailsKeys = {
  links: z.array(link).max(LINKS, `at most ${LINKS}`).describe("Shown in this order; https only"),
  pronouns: visibleName(40).nullable(),
  location: visibleName(60).nullable().describe("In their own words"),
  timezone: timezone.nullable().describe("A name of the IANA database, like Europe/Budapest"),
};

const stored = z.object(detailsKeys).partial();

export interface Details {
  readonly links: readonly { readonly label: string; readonly url: string }[];
  readonly pronouns: string | null;
  readonly location: string | null;
  readonly timezone: string | null;
}

/** What a row says, whole. @throws ZodError when it was not written by `writeProfile` */
export function detailsOf(column: unknown): Details {
  const { links = [], pronouns = null, location = null, timezone: zone = null } = stored.parse(column);
  return { links, pronouns, location, timezone: zone };
}

/** https, visible characters only, and nobody's name or password in it. */
export function isPlainHttpsUrl(text: string): boolean {
  if (!isVisibleText(text, "one") || /\s/.test(text)) return false;
  const url = URL.parse(text);
  return url !== null && url.protocol === "https:" && url.hostname !== "" && url.username === "" && url.password === "";
}

function isZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: text }).resolvedOptions().timeZone !== "";
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
