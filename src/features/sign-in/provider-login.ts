/** Signing in through another provider: whom it knows is who owns the identity here. Factors are asked for all the same. */

import { inTx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { completeExchange, findIdentity, useIdentity, type ProvedIdentity, type Returned } from "#src/features/identities/public";
import type { OneTimeTokens } from "#src/features/one-time-tokens/public";
import type { Client } from "#src/kernel/actor";
import { securityEvent } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { beginOrAsk, mfaProblem, type LoggedIn } from "./begin-or-ask.ts";
import { enterAsNewcomer } from "./provider-account.ts";
import { credentialsInvalid } from "./sign-in.errors.ts";

type Needs = Parameters<typeof enterAsNewcomer>[0] & {
  readonly oneTimeTokens: OneTimeTokens;
  /** Counts logins by outcome. */
  readonly onLogin: (outcome: string) => void;
};

interface ProviderLogin extends Returned {
  readonly username?: string | undefined;
  readonly deviceToken?: string | undefined;
  readonly client: Client;
}

/** @throws Problem as `completeExchange` and `enterAsNewcomer`, `credentials.invalid` for an account that has ended, `mfa.required`, `mfa.enrolment_required` */
export async function loginByProvider(deps: Needs, login: ProviderLogin): Promise<LoggedIn> {
  const { provider: reason, client } = login;
  const { address } = client;
  try {
    const proved = await completeExchange(deps, login);
    const userId = await findIdentity(deps.db, proved);
    const begun =
      userId === undefined
        ? await enterAsNewcomer(deps, { proved, username: login.username, client })
        : await enter(deps, { ...login, proved, userId });
    if (begun.kind === "asked") throw mfaProblem(deps, begun);
    const { session } = begun;
    deps.onLogin(session.restriction === undefined ? "accepted" : "restricted");
    securityEvent(deps.log, { kind: "login.succeeded", userId: session.user.id, sessionId: session.session.id, address, reason });
    return session;
  } catch (error) {
    const code = error instanceof Problem ? error.code : "failed";
    deps.onLogin(code);
    const kind = code.startsWith("mfa.") ? "login.challenged" : code.startsWith("oidc.") ? "identity.refused" : "login.failed";
    securityEvent(deps.log, { kind, address, reason: code });
    throw error;
  }
}

async function enter(
  deps: Needs,
  { proved, userId, client, deviceToken }: ProviderLogin & { readonly proved: ProvedIdentity; readonly userId: string },
): Promise<Awaited<ReturnType<typeof beginOrAsk>>> {
  return await inTx(deps.db, async (tx) => {
    await lockSubject(tx, userId);
    const begun = await beginOrAsk(deps, tx, { userId, client, mayTell: true, deviceToken });
    // Under the account's lock, which who unlinks holds.
    if (!(await useIdentity(tx, { ...proved, userId }))) throw new Problem(credentialsInvalid);
    return begun;
  });
}
