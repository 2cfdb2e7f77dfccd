/** Imposing a restriction: one decision of a moderator, one transaction, all that follows from it. */

import type { RestrictionReason } from "#src/contract/restriction-reasons";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import type { Capability } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { securityEvent, type Log } from "#src/kernel/log";
import { enact } from "./enact.ts";
import { lockParties } from "./parties.ts";
import type { Kind, RestrictionRow } from "./restrictions.rows.ts";
import { databaseNow } from "./restrictions.sql.ts";
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
  const { actorId, subjectId, kind, reason, message, capabilities } = decision;
  const { restriction } = await inTx(
    deps.db,
    async (tx) => {
      await lockParties(tx, decision);
      const now = await databaseNow(tx);
      const term = termAt(now, decision);
      const id = newUuid(deps.clock);
      return await enact(tx, { id, userId: subjectId, kind, reason, message: message ?? null, capabilities, term, now, by: { actorId } });
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "restriction.imposed", userId: subjectId, actorId, reason });
  return restriction;
}
