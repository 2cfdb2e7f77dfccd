/** What follows from a restriction in the transaction that writes it: sessions, events, notices. */

import { restrictionImposed, restrictionLifted, userRestored, userRestricted } from "#src/contract/event-types";
import { appendEvent } from "#src/events/append";
import { addNotice } from "#src/features/notices/public";
import { announceChange, revokeAll } from "#src/features/sessions/public";
import type { Standing } from "#src/features/accounts/public";
import type { Tx } from "#src/db/tx";
import type { RestrictionRow } from "./restrictions.rows.ts";

/**
 * Ends the account's sessions where the restriction does that, else has every process look at the account again.
 * @param begins whether it comes into force now
 * @returns how many sessions ended
 */
export async function cutOff(tx: Tx, restriction: RestrictionRow, begins: boolean): Promise<number> {
  if (begins && restriction.kind !== "limit") return await revokeAll(tx, restriction.user_id, "account.restricted");
  await announceChange(tx, restriction.user_id);
  return 0;
}

/** Tells neighbours what holds or will hold. */
export async function tellRestricted(tx: Tx, restriction: RestrictionRow, standing: Standing): Promise<void> {
  const userId = restriction.user_id;
  await appendEvent(tx, userRestricted, {
    subject: userId,
    data: {
      userId,
      kind: restriction.kind,
      capabilities: restriction.capabilities,
      status: standing.status,
      startsAt: restriction.starts_at.toISOString(),
      expiresAt: restriction.expires_at?.toISOString() ?? null,
    },
  });
}

/** Tells those who may know why, once. */
export async function tellWhyImposed(tx: Tx, restriction: RestrictionRow): Promise<void> {
  const { id: restrictionId, user_id: userId, kind, reason, message, imposed_by: imposedBy } = restriction;
  await appendEvent(tx, restrictionImposed, { subject: userId, data: { userId, restrictionId, kind, reason, message, imposedBy } });
}

/** Tells neighbours that it holds no more. */
export async function tellRestored(tx: Tx, restriction: RestrictionRow, standing: Standing): Promise<void> {
  const { user_id: userId, kind } = restriction;
  await appendEvent(tx, userRestored, { subject: userId, data: { userId, kind, status: standing.status } });
}

/** Tells those who may know why it was taken back. */
export async function tellWhyLifted(tx: Tx, restriction: RestrictionRow, note: string): Promise<void> {
  const { id: restrictionId, user_id: userId, kind, lifted_by: liftedBy } = restriction;
  await appendEvent(tx, restrictionLifted, { subject: userId, data: { userId, restrictionId, kind, note, liftedBy } });
}

/** Tells the user, in the app and by mail, that the restriction holds now. */
export async function noticeImposed(tx: Tx, restriction: RestrictionRow): Promise<void> {
  await addNotice(tx, restriction.user_id, {
    type: "restriction.imposed",
    data: {
      restrictionId: restriction.id,
      kind: restriction.kind,
      reason: restriction.reason,
      message: restriction.message,
      capabilities: restriction.capabilities,
      startsAt: restriction.starts_at.toISOString(),
      expiresAt: restriction.expires_at?.toISOString() ?? null,
    },
  });
}

/** Tells the user that it holds no more. */
export async function noticeOver(tx: Tx, restriction: RestrictionRow, how: "ended" | "lifted"): Promise<void> {
  await addNotice(tx, restriction.user_id, {
    type: `restriction.${how}`,
    data: { restrictionId: restriction.id, kind: restriction.kind },
  });
}
