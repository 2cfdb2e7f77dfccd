/** The shapes discovery answers with. */

import { z } from "zod";
import { personSchema } from "#src/features/profiles/public";

export const searchSchema = z.object({
  data: z.array(personSchema),
  pagination: z.object({
    nextCursor: z.string().nullable(),
    total: z.number().int().describe("How many match; counted up to 200, names that are near up to 100"),
    totalIsExact: z.boolean().describe("False when there are more than total, or when there was no time to look for names that are near"),
    pages: z.number().int().describe("How many pages of this limit total makes"),
  }),
});

const reasonSchema = z.union([
  z.object({
    kind: z.literal("followed_by"),
    by: z.array(personSchema).describe("Two at most, whom you followed last"),
    count: z.number().int().describe("How many of those you follow do; of the newest 200"),
  }),
  z.object({ kind: z.literal("popular") }),
]);

export const suggestionsSchema = z.object({
  data: z.array(z.object({ user: personSchema, reason: reasonSchema })),
  pagination: z.object({ nextCursor: z.null().describe("There is one page; dismiss, and others come") }),
});
