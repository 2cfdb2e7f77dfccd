/** The shape of a search's answer. */

import { z } from "zod";
import { personSchema } from "#src/features/profiles/public";

export const searchSchema = z.object({
  data: z.array(personSchema),
  pagination: z.object({
    nextCursor: z.string().nullable(),
    total: z.number().int().describe("How many match; counted up to 1000"),
    totalIsExact: z.boolean().describe("False when there are more than total"),
    pages: z.number().int().describe("How many pages of this limit total makes"),
  }),
});
