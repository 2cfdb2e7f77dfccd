/** What the doors of discovery take. */

import { z } from "zod";
import { isCleanText } from "#src/kernel/unsafe-text";

export const searchText = z
  .string()
  .refine(isCleanText, "must not hold NUL or lone surrogates")
  // What steers the direction of text is not seen where it is typed.
  .overwrite((text) =>
    text
      .normalize("NFC")
      .replaceAll(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "")
      .trim(),
  )
  .min(1, "at least one character")
  .max(50, "at most 50 characters")
  .describe("A name or its beginning, in any case, with or without accents; every character stands for itself");

export const limit = z.coerce.number().int().min(1, "1 to 50").max(50, "1 to 50").default(10);
export const page = z.coerce.number().int().min(1, "1 to 100").max(100, "1 to 100; go on with the cursor").optional();
export const cursor = z.string().min(1).max(4096).optional();

export const searchQuery = z
  .strictObject({ q: searchText, limit, page, cursor })
  .refine((query) => query.page === undefined || query.cursor === undefined, { message: "give page or cursor, not both", path: ["page"] });

export const suggestionsQuery = z.strictObject({ limit });
export const suggestionParams = z.strictObject({ id: z.uuid() });
