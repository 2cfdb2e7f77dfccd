/** A session as its owner sees it, and the shapes of what sign-in and refresh answer. */

import { z } from "zod";
import { deviceOf } from "./device.ts";
import type { SessionRow } from "./sessions.sql.ts";
import type { TrustedDeviceRow } from "./trusted-devices.sql.ts";

/** Roughly where an address is, for whoever brings such a list; what is not known is left out. */
export type PlaceOf = (address: string) => { readonly country?: string; readonly city?: string } | undefined;

export const sessionSchema = z.object({
  id: z.uuid(),
  name: z.string().nullable().describe("What its owner calls it; null until they name it"),
  device: z.string().nullable().describe("What the user agent says, e.g. `Firefox on Windows`; null when it says nothing"),
  place: z
    .object({ country: z.string().nullable(), city: z.string().nullable() })
    .nullable()
    .describe("Roughly where the address is; null when that is not known"),
  userAgent: z.string(),
  address: z.string(),
  createdAt: z.iso.datetime(),
  lastSeenAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  current: z.boolean().describe("Whether this is the session that asks"),
  byStaff: z.boolean().describe("Whether an admin has begun it in the account's place; it says nothing of their device"),
});

export type SessionView = z.infer<typeof sessionSchema>;

/** What a session's view depends on besides its row. */
interface Viewing {
  /** The session of whoever reads this. */
  readonly currentId: string;
  readonly placeOf: PlaceOf | undefined;
}

/** The session as its owner sees it. */
export function sessionView(session: SessionRow, { currentId, placeOf }: Viewing): SessionView {
  const place = placeOf?.(session.address);
  return {
    id: session.id,
    name: session.name,
    device: deviceOf(session.user_agent),
    place: place === undefined ? null : { country: place.country ?? null, city: place.city ?? null },
    userAgent: session.user_agent,
    address: session.address,
    createdAt: session.created_at.toISOString(),
    lastSeenAt: session.last_seen_at.toISOString(),
    expiresAt: session.expires_at.toISOString(),
    current: session.id === currentId,
    byStaff: session.impersonator_id !== null,
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
  refreshToken: z.string().optional().describe("Absent for a restricted account, and in cookie mode"),
  csrfToken: z.string().optional().describe("In cookie mode: goes into X-CSRF-Token of refresh"),
  tokenType: z.literal("Bearer"),
  expiresIn: z.number().int().describe("Seconds until the access token ends"),
  session: sessionSchema.optional(),
});

export const trustedDeviceSchema = z.object({
  id: z.uuid(),
  device: z.string().nullable().describe("What its user agent said when it was trusted; null when it said nothing"),
  trustedAt: z.iso.datetime(),
  trustedUntil: z.iso.datetime(),
  lastUsedAt: z.iso.datetime().nullable().describe("When it last signed in without the second factor"),
});

export type TrustedDeviceView = z.infer<typeof trustedDeviceSchema>;

/** The device as its owner sees it. */
export function trustedDeviceView(device: TrustedDeviceRow): TrustedDeviceView {
  return {
    id: device.id,
    device: device.label,
    trustedAt: device.created_at.toISOString(),
    trustedUntil: device.expires_at.toISOString(),
    lastUsedAt: device.last_used_at?.toISOString() ?? null,
  };
}
