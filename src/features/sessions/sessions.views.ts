/** A session as its owner sees it, and the shapes of what sign-in and refresh answer. */

import { z } from "zod";
import type { SessionRow } from "./sessions.sql.ts";

export const sessionSchema = z.object({
  id: z.uuid(),
  userAgent: z.string(),
  address: z.string(),
  createdAt: z.iso.datetime(),
  lastSeenAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  current: z.boolean().describe("Whether this is the session that asks"),
});

export type SessionView = z.infer<typeof sessionSchema>;

/** @param currentId the session of whoever reads this */
export function sessionView(session: SessionRow, currentId: string): SessionView {
  return {
    id: session.id,
    userAgent: session.user_agent,
    address: session.address,
    createdAt: session.created_at.toISOString(),
    lastSeenAt: session.last_seen_at.toISOString(),
    expiresAt: session.expires_at.toISOString(),
    current: session.id === currentId,
  };
}

export const noticeSchema = z.object({
  kind: z.enum(["suspend", "ban"]),
  reason: z.string(),
  message: z.string().nullable(),
  startsAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
});

export const tokensSchema = z.object({
  accessToken: z.string().describe("JWT, ES256"),
  refreshToken: z.string().optional().describe("Absent for a restricted account"),
  tokenType: z.literal("Bearer"),
  expiresIn: z.number().int().describe("Seconds until the access token ends"),
  session: sessionSchema.optional(),
});
