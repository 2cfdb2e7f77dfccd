/** What the doors of this feature take. */

import { z } from "zod";
import { visibleName } from "#src/kernel/visible-name";

export const refreshBody = z.strictObject({
  refreshToken: z.string().min(1).max(512).optional().describe("Left out in cookie mode, where the cookie is it"),
});
export const sessionParams = z.strictObject({ id: z.uuid() });
export const renameBody = z.strictObject({ name: visibleName(50).nullable().describe("null takes the name away") });
export const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(512).optional(),
});
