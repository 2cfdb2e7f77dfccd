/** Listing and unlinking one's own identities. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { hasWayIn, lockFacts } from "#src/features/accounts/public";
import { appendAudit } from "#src/features/audit/public";
import { addNotice } from "#src/features/notices/public";
import { voidTokens } from "#src/features/one-time-tokens/public";
import { requireFresh, revokeOthers } from "#src/features/sessions/public";
import type { Actor } from "#src/kernel/actor";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { identityLast, identityNotFound } from "./identities.errors.ts";
import { deleteIdentity, selectIdentities } from "./identities.sql.ts";
import { identityView, nameOf, type IdentityView } from "./identity-view.ts";
import type { Providers } from "./providers.ts";

interface Needs {
  readonly db: Db;
  readonly log: Log;
  readonly providers: Providers;
}

/** The oldest first. */
export async function listIdentities(deps: Pick<Needs, "db" | "providers">, { userId }: Pick<Actor, "userId">): Promise<IdentityView[]> {
  return (await selectIdentities(deps.db, userId)).map((one) => identityView(deps, one));
}

/**
 * Unlinks one; other sessions end, and so do sign-ins that wait for a second factor.
 * @throws Problem `identity.not_found` also for those of others, `identity.last_way_in`, `step_up.required`
 */
export async function unlinkIdentity(
  deps: Needs,
  input: { readonly actor: Pick<Actor, "userId" | "sessionId">; readonly id: string },
): Promise<void> {
  const { userId, sessionId } = input.actor;
  const provider = await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      await lockFacts(tx, userId);
      await requireFresh(tx, sessionId);
      const unlinked = await deleteIdentity(tx, { id: input.id, userId });
      if (unlinked === undefined) throw new Problem(identityNotFound);
      const configured = deps.providers.all.map(({ id }) => id);
      if (!(await hasWayIn(tx, userId, configured))) throw new Problem(identityLast);
      await voidTokens(tx, userId, ["mfa_challenge", "mfa_enrolment"]);
      await revokeOthers(tx, { userId, keptId: sessionId }, "identity_unlinked");
      const facts = { identityId: input.id, provider: unlinked };
      await appendAudit(tx, { actorId: userId, action: "identity.unlinked", subjectId: userId, facts });
      await addNotice(tx, userId, { type: "security.identity_unlinked", data: { provider: nameOf(deps, unlinked) } });
      return unlinked;
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "identity.unlinked", userId, sessionId, reason: provider });
}
