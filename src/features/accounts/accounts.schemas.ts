/** How usernames, e-mail addresses and what people say of themselves must look. Shared by every door that takes one. */

import { z } from "zod";
import { visibleName } from "#src/kernel/visible-name";
import { hasAtMostGraphemes, isVisibleText } from "#src/kernel/visible-text";

// Every static path segment of the API, and the words by which people recognise staff.
const RESERVED = new Set(
  (
    "me search suggestions relationships admin administrator moderator moderation mod staff support help root system security official " +
    "api auth graphql health metrics docs mailbox internal events dapr users user login logout register settings about terms privacy " +
    "batch snapshot null undefined everyone anonymous deleted erased videamozi"
  ).split(" "),
);

const SHAPE = /^[a-z0-9](?:[a-z0-9_.]*[a-z0-9])?$/i;

/** DESIGN: [a-z0-9_.], 3–30, begins and ends alphanumeric, no `..`, not reserved; kept in the case given, unique without it. */
export const username = z
  .string()
  .min(3, "at least 3 characters")
  .max(30, "at most 30 characters")
  .regex(SHAPE, "only letters a–z, digits, _ and . are possible, and a letter or digit at both ends")
  .refine((name) => !name.includes(".."), "two dots in a row are not possible")
  .refine((name) => !RESERVED.has(name.toLowerCase()), "this name is reserved")
  .describe("3–30 of a–z, 0–9, _ and .; unique ignoring case");

/** The first admin may be called `admin`; nobody else may. */
export const staffUsername = z.string().min(3).max(30).regex(SHAPE);

/** ASCII addresses of at most 254 characters (RFC 5321, 4.5.3.1.3). */
export const emailAddress = z.email("an e-mail address like ann@example.com").max(254, "at most 254 characters");

const DISPLAY_NAME_CHARACTERS = 50;
const BIO_CHARACTERS = 500;

/** What people call themselves. It must also fit its index (2,704 bytes). */
export const displayName = visibleName(DISPLAY_NAME_CHARACTERS);

/** What people say of themselves. */
export const bio = z
  .string()
  .max(6000, "too long")
  .overwrite((text) => text.replaceAll("\r\n", "\n"))
  .refine((text) => isVisibleText(text, "many"), "no control, direction-changing or invisible characters")
  .overwrite((text) => text.normalize("NFC").trim())
  .refine((text) => hasAtMostGraphemes(text, BIO_CHARACTERS), `at most ${BIO_CHARACTERS} characters`)
  .describe("At most 500 characters as people count them; may have line feeds");
