/** What the doors of profiles take. */

import { z } from "zod";
import { hasAtMostGraphemes, isVisibleText } from "./visible-text.ts";

const DISPLAY_NAME_CHARACTERS = 50;
const BIO_CHARACTERS = 500;

// The bounds in code units are for what counting characters does not bound: one emoji may take a dozen. A display name must
// also fit its index (2,704 bytes).
const displayName = z
  .string()
  .max(600, "too long")
  .refine((name) => isVisibleText(name, "one"), "no line breaks, control, direction-changing or invisible characters")
  .overwrite((name) =>
    name
      .normalize("NFC")
      .replaceAll(/\p{Zs}+/gu, " ")
      .trim(),
  )
  .refine((name) => name !== "", "at least one visible character")
  .refine((name) => hasAtMostGraphemes(name, DISPLAY_NAME_CHARACTERS), `at most ${DISPLAY_NAME_CHARACTERS} characters`)
  .describe("1–50 characters as people count them");

const bio = z
  .string()
  .max(6000, "too long")
  .overwrite((text) => text.replaceAll("\r\n", "\n"))
  .refine((text) => isVisibleText(text, "many"), "no control, direction-changing or invisible characters")
  .overwrite((text) => text.normalize("NFC").trim())
  .refine((text) => hasAtMostGraphemes(text, BIO_CHARACTERS), `at most ${BIO_CHARACTERS} characters`)
  .describe("At most 500 characters as people count them; may have line feeds");

const avatarUrl = z
  .string()
  .max(2048, "at most 2048 characters")
  .refine(isPlainHttpsUrl, "an https URL without user name, or null")
  .describe("An https URL; null takes the picture away");

/** A change of the own profile: what is left out stays. */
export const profileChange = z.strictObject({
  displayName: displayName.optional(),
  bio: bio.optional(),
  avatarUrl: avatarUrl.nullable().optional(),
});

export type ProfileChange = z.infer<typeof profileChange>;

/** Whom a path names. A name that cannot be one is answered like a name nobody has. */
export const personParams = z.strictObject({ idOrUsername: z.string().min(1).max(100).describe("An id, or a username in any case") });

function isPlainHttpsUrl(text: string): boolean {
  if (!isVisibleText(text, "one") || /\s/.test(text)) return false;
  const url = URL.parse(text);
  return url !== null && url.protocol === "https:" && url.hostname !== "" && url.username === "" && url.password === "";
}
