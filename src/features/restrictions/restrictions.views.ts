/** A restriction as moderators see it, and as the person concerned is told. */

import { z } from "zod";
import { REASON_CODES } from "#src/contract/restriction-reasons";
import { CAPABILITIES } from "#src/kernel/actor";
import type { ModerationRecord } from "./record.ts";
import { stateAt, type RestrictionRow } from "./restrictions.rows.ts";
import type { Strictest } from "./restrictions.sql.ts";

const kind = z.enum(["limit", "suspend", "ban"]);
const instant = z.iso.datetime();
const capabilities = z.array(z.enum(CAPABILITIES));
const reason = z.enum(REASON_CODES);

export const restrictionSchema = z.object({
  id: z.uuid(),
  userId: z.uuid(),
  kind,
  state: z.enum(["planned", "active", "ended", "lifted"]),
  capabilities,
  reason,
  reasonPolicy: z.string().describe("The version of the list of reasons"),
  message: z.string().nullable().describe("What the user is told"),
  startsAt: instant,
  expiresAt: instant.nullable(),
  imposedBy: z.uuid().nullable(),
  createdAt: instant,
  liftedAt: instant.nullable(),
  liftedBy: z.uuid().nullable(),
  liftNote: z.string().nullable(),
});

export type RestrictionView = z.infer<typeof restrictionSchema>;

/** For moderators. @param at the database's time, which decides the state */
export function restrictionView(restriction: RestrictionRow, at: Date): RestrictionView {
  return {
    id: restriction.id,
    userId: restriction.user_id,
    kind: restriction.kind,
    state: stateAt(restriction, at),
    capabilities: restriction.capabilities,
    reason: restriction.reason,
    reasonPolicy: restriction.reason_policy,
    message: restriction.message,
    startsAt: restriction.starts_at.toISOString(),
    expiresAt: restriction.expires_at?.toISOString() ?? null,
    imposedBy: restriction.imposed_by,
    createdAt: restriction.created_at.toISOString(),
    liftedAt: restriction.lifted_at?.toISOString() ?? null,
    liftedBy: restriction.lifted_by,
    liftNote: restriction.lift_note,
  };
}

export const recordSchema = z.object({
  user: z.object({
    id: z.uuid(),
    username: z.string(),
    displayName: z.string(),
    roles: z.array(z.enum(["user", "moderator", "admin"])),
  }),
  standing: z.object({
    status: z.enum(["active", "suspended", "banned", "deactivated", "erased"]),
    limited: capabilities.describe("Capabilities that limits in force take away"),
    validUntil: instant.nullable().describe("The next start or end of a restriction"),
  }),
  restrictions: z.array(restrictionSchema).describe("In force or planned, the soonest first"),
  history: z.array(restrictionSchema).describe("Ended or lifted, the newest first, 100 at most"),
});

export function recordView({ user, standing, restrictions, history, at }: ModerationRecord): z.infer<typeof recordSchema> {
  return {
    user: { id: user.id, username: user.username, displayName: user.displayName, roles: [...user.roles] },
    standing: {
      status: standing.status,
      limited: standing.limited,
      validUntil: standing.valid_until?.toISOString() ?? null,
    },
    restrictions: restrictions.map((restriction) => restrictionView(restriction, at)),
    history: history.map((restriction) => restrictionView(restriction, at)),
  };
}

/**
 * What the account itself is told: in the socket event `account:restricted`, and as `restriction` in a 403
 * `account.restricted` (written by the gate, which stands before this feature). Says nothing of who decided.
 */
export const restrictionNoticeSchema = z.object({
  kind,
  reason,
  message: z.string().nullable(),
  startsAt: instant,
  expiresAt: instant.nullable(),
  capabilities: capabilities.optional().describe("What a limit takes away; absent for the other kinds"),
});

export type RestrictionNotice = z.infer<typeof restrictionNoticeSchema>;

export function restrictionNotice(restriction: Strictest): RestrictionNotice {
  return {
    kind: restriction.kind,
    reason: restriction.reason,
    message: restriction.message,
    startsAt: restriction.starts_at.toISOString(),
    expiresAt: restriction.expires_at?.toISOString() ?? null,
    ...(restriction.kind === "limit" ? { capabilities: restriction.capabilities } : {}),
  };
}
