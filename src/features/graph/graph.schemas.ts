/** What the doors of the graph take. */

import { z } from "zod";

export const personParams = z.strictObject({ id: z.uuid() });
export const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().min(1).max(512).optional(),
});
