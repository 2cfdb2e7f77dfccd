/** Linking an identity to an account: whoever links has signed in to both, to the account within ten minutes. */

import { inTx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { lockFacts, userNotFound } from "#src/features/accounts/public";
import { appendAudit } from "#src/features/audit/public";
import { addNotice } from "#src/features/notices/public";
import { requireFresh } from "#src/features/sessions/public";
import type { Actor } from "#src/kernel/actor";
import { newUuid } from "#src/kernel/ids";
import { securityEvent } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import type { ProvedIdentity } from "./claims.ts";
import { beginExchange, completeExchange, type Begun, type ExchangeNeeds, type Returned } from "./exchange.ts";
import { identityTaken, identityTooMany } from "./identities.errors.ts";
import { insertIdentity, selectIdentities } from "./identities.sql.ts";
import { identityView, type IdentityView } from "./identity-view.ts";

type Owner = Pick<Actor, "userId" | "sessionId">;

/** Of one account. */
const MOST_IDENTITIES = 10;

/** Begins to link. Good for this account and session only. @throws Problem `step_up.required`, or as `beginExchange` */
export async function beginLink(
  deps: ExchangeNeeds,
  input: { readonly actor: Owner; readonly provider: string; readonly redirectUri?: string | undefined },
): Promise<Begun> {
  const { actor, ...rest } = input;
  return await beginExchange(deps, { ...rest, owner: actor }, async (tx) => await requireFresh(tx, actor.sessionId));
}

/** Links what was proved. @throws Problem `identity.taken`, `identity.too_many`, `step_up.required`, or as `completeExchange` */
export async function completeLink(deps: ExchangeNeeds, input: Returned & { readonly actor: Owner }): Promise<IdentityView> {
  const { actor, ...returned } = input;
  const { userId, sessionId } = actor;
  const proved = await completeExchange(deps, { ...returned, owner: actor });
  const linked = await link(deps, actor, proved);
  securityEvent(deps.log, { kind: "identity.linked", userId, sessionId, reason: proved.provider });
  return linked;
}

async function link(deps: ExchangeNeeds, { userId, sessionId }: Owner, proved: ProvedIdentity): Promise<IdentityView> {
  const id = newUuid(deps.clock);
  const { provider } = proved;
  return await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      if ((await lockFacts(tx, userId)) === undefined) throw new Problem(userNotFound);
      await requireFresh(tx, sessionId);
      if ((await selectIdentities(tx, userId)).length >= MOST_IDENTITIES) throw new Problem(identityTooMany);
      if (!(await insertIdentity(tx, { ...proved, id, userId, isUsed: false }))) throw new Problem(identityTaken);
      await appendAudit(tx, { actorId: userId, action: "identity.linked", subjectId: userId, facts: { identityId: id, provider } });
      await addNotice(tx, userId, { type: "security.identity_linked", data: { provider: deps.providers.named(provider).displayName } });
      const written = (await selectIdentities(tx, userId)).find((one) => one.id === id);
      if (written === undefined) throw new Error("the identity that was written is not there");
      return identityView(deps, written);
    },
    { durable: true },
  );
}
