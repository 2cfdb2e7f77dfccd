/** Imposing a restriction: one decision, one transaction, all that follows from it. */

import { REASON_POLICY, type RestrictionReason } from "#src/contract/restriction-reasons";
import { appendAudit } from "#src/features/audit/public";
import { setStatus } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import type { Capability } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { securityEvent, type Log } from "#src/kernel/log";
import { cutOff, noticeImposed, tellRestricted, tellWhyImposed } from "./announcements.ts";
import { lockParties } from "./parties.ts";
import type { Kind, RestrictionRow } from "./restrictions.rows.ts";
import { databaseNow, insertRestriction } from "./restrictions.sql.ts";
import { termAt } from "./term.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
}

/** A decision about an account. `limit` names capabilities and `suspend` an end; the door has seen to that. */
export interface Imposition {
  readonly actorId: string;
  readonly subjectId: string;
  readonly kind: Kind;
  readonly reason: RestrictionReason;
  /** Shown to the user. */
  readonly message: string | undefined;
  readonly capabilities: readonly Capability[];
  readonly startsAt: Date | undefined;
  readonly expiresAt: Date | undefined;
}

/**
 * Restricts an account from now, or from a planned moment on. A suspension or ban that begins now ends every session of
 * the account. A planned one is told to neighbours at once and to the user when it begins.
 * @throws Problem `user.not_found`, `restriction.own_account`, `role.insufficient`, `input.invalid`
 */
export async function impose(deps: Needs, decision: Imposition): Promise<RestrictionRow> {
  const imposed = await inTx(
    deps.db,
    async (tx) => {
      await lockParties(tx, decision);
      const restriction = await write(tx, newUuid(deps.clock), decision);
      const inForce = restriction.start_announced_at !== null;
      const standing = await setStatus(tx, restriction.user_id);
      await cutOff(tx, restriction, inForce);
      await tellRestricted(tx, restriction, standing);
      await tellWhyImposed(tx, restriction);
      await record(tx, restriction);
      if (inForce) await noticeImposed(tx, restriction);
      return restriction;
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "restriction.imposed", userId: imposed.user_id, actorId: decision.actorId, reason: imposed.reason });
  return imposed;
}

async function write(tx: Tx, id: string, decision: Imposition): Promise<RestrictionRow> {
  const now = await databaseNow(tx);
  const { startsAt, expiresAt } = termAt(now, decision);
  return await insertRestriction(tx, {
    id,
    user_id: decision.subjectId,
    kind: decision.kind,
    capabilities: [...new Set(decision.capabilities)].sort(),
    reason: decision.reason,
    reason_policy: REASON_POLICY,
    message: decision.message ?? null,
    imposed_by: decision.actorId,
    starts_at: startsAt,
    expires_at: expiresAt,
    // One that begins now is told by this transaction; a planned one waits for the sweep.
    start_announced_at: startsAt <= now ? now : null,
    created_at: now,
  });
}

async function record(tx: Tx, restriction: RestrictionRow): Promise<void> {
  await appendAudit(tx, {
    actorId: restriction.imposed_by,
    action: "restriction.imposed",
    subjectId: restriction.user_id,
    facts: {
      restrictionId: restriction.id,
      kind: restriction.kind,
      capabilities: restriction.capabilities,
      reason: restriction.reason,
      reasonPolicy: restriction.reason_policy,
      startsAt: restriction.starts_at.toISOString(),
      expiresAt: restriction.expires_at?.toISOString() ?? null,
    },
    ...(restriction.message === null ? {} : { details: { message: restriction.message } }),
  });
}
