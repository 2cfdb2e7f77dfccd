/** What an impersonation writes is on record before it is done: there is nothing done without its entry. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { appendAudit } from "#src/features/audit/public";
import { securityEvent, type Log } from "#src/kernel/log";

/** One thing that an admin is about to do in somebody's place. */
export interface Use {
  readonly userId: string;
  readonly sessionId: string;
  readonly impersonatorId: string;
  /** As the route, field or event that lets it happen calls it. */
  readonly writes: string;
}

export type RecordUse = (use: Use) => Promise<void>;

/** In a transaction of its own: what follows may still be refused, and that it was tried stays on record. */
export function createRecordUse({ db, log }: { readonly db: Db; readonly log: Log }): RecordUse {
  return async ({ userId, sessionId, impersonatorId, writes }) => {
    await inTx(db, (tx) =>
      appendAudit(tx, { actorId: impersonatorId, action: "impersonation.used", subjectId: userId, facts: { sessionId, writes } }),
    );
    securityEvent(log, { kind: "impersonation.used", userId, sessionId, actorId: impersonatorId, reason: writes });
  };
}
