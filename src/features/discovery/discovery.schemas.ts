/** What the doors of discovery take. */

import { z } from "zod";
import { isCleanText } from "#src/kernel/unsafe-text";

export const searchText = z
  .string()
  .refine(isCleanText, "must not hold NUL or lone surrogates")
  .overwrite((text) => text.normalize("NFC").trim())
  .min(1, "at least one character")
  .max(50, "at most 50 characters")
  .describe("How a username or display name begins, in any case; every character stands for itself");

export const limit = z.coerce.number().int().min(1, "1 to 50").max(50, "1 to 50").default(10);
export const page = z.coerce.number().int().min(1, "1 to 100").max(100, "1 to 100; go on with the cursor").optional();
export const cursor = z.string().min(1).max(4096).optional();

export const searchQuery = z
  .strictObject({ q: searchText, limit, page, cursor })
  .refine((query) => query.page === undefined || query.cursor === undefined, { message: "give page or cursor, not both", path: ["page"] });
