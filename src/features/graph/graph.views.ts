/** The shapes the graph answers with. */

import { z } from "zod";
import { personSchema } from "#src/features/profiles/public";

export const followSchema = z.object({ status: z.literal("accepted").describe("You follow them now") });
export const unfollowSchema = z.object({ status: z.literal("gone").describe("You do not follow them (any more)") });

export const followListSchema = z.object({
  data: z.array(personSchema),
  pagination: z.object({
    nextCursor: z.string().nullable(),
    total: z.number().int().optional().describe("Only in your own lists"),
    totalIsExact: z.boolean().optional(),
  }),
});
