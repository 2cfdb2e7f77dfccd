/** What the doors of this feature take. */

import { z } from "zod";

export const refreshBody = z.strictObject({ refreshToken: z.string().min(1).max(512) });
export const sessionParams = z.strictObject({ id: z.uuid() });
export const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(512).optional(),
});
