/** A password that somebody else chose and may still know: it is right once, and good for choosing another one only. */

import type { Tx } from "#src/db/tx";
import { hasEnded, lockAccount } from "#src/features/accounts/public";
import { insertToken, LIFETIME_SECONDS, type OneTimeTokens } from "#src/features/one-time-tokens/public";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import { credentialsInvalid, passwordMustChange } from "./sign-in.errors.ts";
import { isPasswordOf, type Credentials } from "./sign-in.sql.ts";

/**
 * Puts on record that the password was right. @returns what the refusal says, with a token for `resetPassword`
 * @throws Problem `credentials.invalid` for an account that has ended, and when the password was changed meanwhile
 */
export async function askForNewPassword(
  deps: { readonly clock: Clock; readonly oneTimeTokens: OneTimeTokens },
  tx: Tx,
  proved: Credentials,
): Promise<Problem> {
  const { userId } = proved;
  const account = await lockAccount(tx, userId);
  if (account === undefined || hasEnded(account) || !(await isPasswordOf(tx, proved))) throw new Problem(credentialsInvalid);
  const purpose = "password_change";
  const id = newUuid(deps.clock);
  const expiresInSeconds = LIFETIME_SECONDS[purpose];
  await insertToken(tx, { id, purpose, userId, email: account.user.email, data: {}, lifetimeSeconds: expiresInSeconds });
  return new Problem(passwordMustChange, {
    extensions: { passwordChange: { token: deps.oneTimeTokens.linkText(id), expiresInSeconds } },
  });
}
