/** What the doors of the graph take. */

import { z } from "zod";

export const personParams = z.strictObject({ id: z.uuid() });
export const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().min(1).max(512).optional(),
});

/** How to mute. */
export const muteBody = z.strictObject({
  until: z.iso.datetime({ offset: true }).nullable().default(null).describe("Its end; without one it lasts"),
  notifications: z.boolean().default(true).describe("Whether notices and pushes are muted too"),
});
