/** Acting in somebody's place, and ending that. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { addNotice } from "#src/features/notices/public";
import { appendAudit } from "#src/features/audit/public";
import { roleInsufficient } from "#src/features/restrictions/public";
import {
  beginImpersonation,
  impersonationWait,
  revokeSession,
  selectImpersonated,
  sessionNotFound,
  type AccessTokens,
  type Impersonation,
} from "#src/features/sessions/public";
import { topRole, type Actor } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { IMPERSONATIONS_AN_HOUR } from "./admin.actions.ts";
import { impersonationNotFound, impersonationTooOften, impersonationUnavailable } from "./admin.errors.ts";
import { lockTarget, record } from "./parties.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly accessTokens: AccessTokens;
}

/** Who acts in whose place, for how long at most, and why. */
export interface Impersonating {
  readonly by: Pick<Actor, "userId" | "sessionId">;
  readonly userId: string;
  readonly minutes: number;
  /** For the audit log: it may name others, so the user is not shown it. */
  readonly reason: string;
}

/**
 * Gives a token for the account of somebody without any staff role, and tells them.
 * @throws Problem `role.insufficient`, `impersonation.unavailable`, `impersonation.too_often`, or as `lockTarget`
 */
export async function impersonate(deps: Needs, asked: Impersonating): Promise<Impersonation> {
  const { by, userId, minutes } = asked;
  const begun = await inTx(
    deps.db,
    async (tx) => {
      const { roles, status } = await lockTarget(tx, asked);
      if (topRole(roles) !== "user") throw new Problem(roleInsufficient);
      if (status !== "active") throw new Problem(impersonationUnavailable);
      // The admin's row is held by now, so that they are counted one after another.
      const waitSeconds = await impersonationWait(tx, by.userId, IMPERSONATIONS_AN_HOUR);
      if (waitSeconds !== undefined) throw new Problem(impersonationTooOften, { retryAfterSeconds: Math.ceil(waitSeconds) });
      const made = await beginImpersonation(deps, tx, { by, user: { id: userId, roles }, lifetimeSeconds: minutes * 60 });
      const { id: sessionId, expiresAt } = made.session;
      await record(tx, asked, "account.impersonated", { sessionId, expiresAt });
      await addNotice(tx, userId, { type: "security.impersonated", data: { sessionId, expiresAt } });
      return made;
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "impersonation.begun", userId, sessionId: begun.session.id, actorId: by.userId });
  return begun;
}

/** Any admin may end one, at any time: that takes rights away and gives none. @throws Problem `impersonation.not_found` */
export async function endImpersonation(
  deps: Pick<Needs, "db" | "log">,
  input: { readonly by: Pick<Actor, "userId">; readonly sessionId: string },
): Promise<void> {
  const { by, sessionId } = input;
  const userId = await inTx(
    deps.db,
    async (tx) => {
      const found = await selectImpersonated(tx, sessionId);
      if (found === undefined) throw new Problem(impersonationNotFound);
      await revokeSession(tx, { id: sessionId, userId: found }, "impersonation_ended").catch(asNotFound);
      await appendAudit(tx, {
        actorId: by.userId,
        action: "account.impersonation_ended",
        subjectId: found,
        facts: { sessionId, by: "admin" },
      });
      return found;
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "impersonation.ended", userId, sessionId, actorId: by.userId });
}

/** Somebody was quicker. */
function asNotFound(error: unknown): never {
  if (error instanceof Problem && error.type === sessionNotFound) throw new Problem(impersonationNotFound);
  throw error;
}
