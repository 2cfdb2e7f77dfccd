/** What the doors of administration take. */

import { z } from "zod";
import { emailAddress, username } from "#src/features/accounts/public";

export const userParams = z.strictObject({ id: z.uuid() });
export const sessionParams = z.strictObject({ id: z.uuid(), sessionId: z.uuid() });

/** Why: for the audit log, not shown to the one concerned. */
const reason = z.string().trim().min(3, "at least 3 characters").max(500);

export const reasonBody = z.strictObject({ reason });

/** Fuller than elsewhere: it is all that tells later why somebody's account was entered. */
export const impersonateBody = z.strictObject({
  reason: z.string().trim().min(10, "at least 10 characters").max(500),
  minutes: z.number().int().min(1).max(15).default(10),
});

export const impersonationsQuery = z.strictObject({
  userId: z.uuid().optional().describe("Only those in this account's place"),
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(512).optional(),
});

const roles = z
  .array(z.enum(["user", "moderator", "admin"]))
  .min(1)
  .refine((list) => list.includes("user"), "everybody has the role user")
  .transform((list) => [...new Set(list)]);

export const rolesBody = z.strictObject({ roles, reason });

export const createBody = z.strictObject({
  email: emailAddress,
  username,
  displayName: z.string().trim().min(1).max(50).optional(),
  reason,
});

export const listQuery = z.strictObject({
  q: z.string().trim().min(1).max(254).optional().describe("Begins the username or the address"),
  status: z.enum(["active", "suspended", "banned", "deactivated", "erased"]).optional(),
  role: z.enum(["user", "moderator", "admin"]).optional(),
  emailVerified: z.enum(["true", "false"]).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(512).optional(),
});
