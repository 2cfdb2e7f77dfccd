/** Presence as other people see it, and the figures of sockets as moderators see them. */

import { z } from "zod";
import type { PresenceRow } from "./presence.sql.ts";

export const statusSchema = z.object({
  userId: z.uuid(),
  status: z.enum(["online", "away", "offline"]),
  lastSeenAt: z.iso.datetime().nullable(),
  seq: z.number().int().describe("Grows with each change of this user; keep the one with the highest"),
});

export type StatusView = z.infer<typeof statusSchema>;

/** One person whom the viewer may see. */
export function statusView(row: PresenceRow): StatusView {
  return { userId: row.user_id, status: row.status, lastSeenAt: row.seen_at?.toISOString() ?? null, seq: row.seq };
}

/** Someone who is not there, or whom the viewer may not see: the two must look alike. */
export function unseenView(userId: string): StatusView {
  return { userId, status: "offline", lastSeenAt: null, seq: 0 };
}

export const socketInfoSchema = z.strictObject({
  path: z.string(),
  transports: z.array(z.enum(["polling", "websocket"])),
  pingIntervalMs: z.number().int(),
  pingTimeoutMs: z.number().int(),
  maxMessageBytes: z.number().int(),
});

export const socketStatsSchema = z.strictObject({
  process: z
    .strictObject({
      connections: z.number().int(),
      users: z.number().int(),
      redis: z.enum(["off", "up", "down"]),
      pushesMissed: z.number().int().describe("Pushes that other processes did not get because Redis was away"),
    })
    .describe("The process that answered"),
  all: z
    .strictObject({ processes: z.number().int(), connections: z.number().int(), users: z.number().int() })
    .describe("All processes, as the database knows them"),
});
