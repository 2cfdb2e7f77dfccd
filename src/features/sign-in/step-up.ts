/** Proving once more who one is, within a session: what sensitive changes want. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { factorBudget, factorCodeWrong, methodsOf, selectFactors, takeFactorCode, type Seals } from "#src/features/factors/public";
import { markAuthenticated } from "#src/features/sessions/public";
import type { Actor, Attempts } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { Problem } from "#src/kernel/problem";
import type { PasswordHasher } from "./password-hash.ts";
import { confirmPassword } from "./set-password.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly hasher: PasswordHasher;
  readonly attempts: Attempts;
  readonly seals: Seals;
}

/**
 * Makes the session fresh for ten minutes. An account with a second factor proves both.
 * @throws Problem `password.wrong`, `mfa.code_wrong`, `sign_in.throttled`, `sign_in.busy`
 */
export async function stepUp(
  deps: Needs,
  input: { readonly actor: Actor; readonly password: string; readonly code?: string | undefined },
): Promise<void> {
  const { userId, sessionId } = input.actor;
  await confirmPassword(deps, { userId, password: input.password });
  const needsCode = methodsOf(await selectFactors(deps.db, userId)).length > 0;
  if (needsCode) await deps.attempts.take(factorBudget, userId);
  await inTx(deps.db, async (tx) => {
    await lockSubject(tx, userId);
    if (needsCode && !(await takeFactorCode(deps, tx, { userId, code: input.code ?? "" }))) throw new Problem(factorCodeWrong);
    await markAuthenticated(tx, sessionId);
  });
  if (needsCode) await deps.attempts.forgive(factorBudget, userId);
}
