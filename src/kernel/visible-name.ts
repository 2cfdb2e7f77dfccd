/** The form of a name that people give to themselves or to what is theirs. */

import { z } from "zod";
import { hasAtMostGraphemes, isVisibleText } from "./visible-text.ts";

/**
 * One line of 1 to `most` characters as people count them, in NFC, without spaces at the ends or several in a row.
 * The bound in code units is for what counting characters does not bound: one emoji may take a dozen.
 */
export function visibleName(most: number): z.ZodString {
  return z
    .string()
    .max(most * 12, "too long")
    .refine((name) => isVisibleText(name, "one"), "no line breaks, control, direction-changing or invisible characters")
    .overwrite((name) =>
      name
        .normalize("NFC")
        .replaceAll(/\p{Zs}+/gu, " ")
        .trim(),
    )
    .refine((name) => name !== "", "at least one visible character")
    .refine((name) => hasAtMostGraphemes(name, most), `at most ${most} characters`)
    .describe(`1–${most} characters as people count them`);
}
