/** Proving once more who one is by a passkey that verifies its user: it is both factors, so no password is asked for beside it. */

import { inTx } from "#src/db/tx";
import type { Db } from "#src/db/pool";
import { lockSubject } from "#src/events/append";
import { lockFacts } from "#src/features/accounts/public";
import {
  askPasskeys,
  challengeOf,
  passkeyChallengeInvalid,
  passkeyInvalid,
  passkeyOf,
  takePasskey,
  type AuthenticationResponse,
  type RequestOptions,
  type Site,
} from "#src/features/factors/public";
import { insertToken, LIFETIME_SECONDS, markUsed, readLink, type OneTimeTokens } from "#src/features/one-time-tokens/public";
import { markAuthenticated } from "#src/features/sessions/public";
import type { Actor } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { securityEvent } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";

interface Needs extends Site {
  readonly db: Db;
  readonly clock: Clock;
  readonly oneTimeTokens: OneTimeTokens;
}

type Owner = Pick<Actor, "userId" | "sessionId">;

const PURPOSE = "step_up";

/** What the account's passkeys are asked: the challenge is good for this account and session only. @throws Problem `passkey.not_found` */
export async function offerStepUp(deps: Needs, { userId, sessionId }: Owner): Promise<RequestOptions> {
  const id = newUuid(deps.clock);
  const options = await askPasskeys(deps, { userId, challenge: deps.oneTimeTokens.linkText(id) });
  const token = { id, purpose: PURPOSE, userId, email: "", data: { sessionId }, lifetimeSeconds: LIFETIME_SECONDS[PURPOSE] } as const;
  await inTx(deps.db, (tx) => insertToken(tx, token));
  return { ...options, userVerification: "required" };
}

/** Makes the session fresh for ten minutes. @throws Problem `passkey.invalid`, `passkey.challenge_invalid` */
export async function stepUpByPasskey(
  deps: Needs,
  { actor, response }: { readonly actor: Owner; readonly response: AuthenticationResponse },
): Promise<void> {
  const { userId, sessionId } = actor;
  const challenge = challengeOf(response);
  const token = await readLink(deps, challenge);
  const { sessionId: asked } = (token?.data ?? {}) as { readonly sessionId?: unknown };
  const isTheirs = token?.purpose === PURPOSE && token.userId === userId && asked === sessionId;
  if (!isTheirs) throw new Problem(passkeyChallengeInvalid);
  const use = await passkeyOf(deps, userId, { response, challenge, verifiedUser: true });
  const counts = await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      await lockFacts(tx, userId);
      if ((await markUsed(tx, token.id, [PURPOSE])) === undefined) throw new Problem(passkeyChallengeInvalid);
      if (!(await takePasskey(tx, use))) return false;
      await markAuthenticated(tx, sessionId);
      return true;
    },
    { durable: true },
  );
  if (counts) return;
  securityEvent(deps.log, { kind: "passkey.copied", userId, sessionId });
  throw new Problem(passkeyInvalid);
}
