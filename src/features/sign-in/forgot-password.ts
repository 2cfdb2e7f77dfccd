/** Asking for a new password: the same answer, after the same statements, whether there is such an account or not. */

import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { requestLink } from "#src/features/one-time-tokens/public";
import type { Attempts, Client } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { DEFAULT_LOCALE } from "#src/kernel/locale";
import { signInMailJob } from "./registration.ts";
import { mailAddressBudget, mailSubject } from "./sign-in.actions.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly attempts: Attempts;
}

/** Has a link mailed, if that address has an account. @throws Problem `sign_in.throttled` */
export async function forgotPassword(deps: Needs, input: { readonly email: string; readonly client: Client }): Promise<void> {
  const { email, client } = input;
  await deps.attempts.take(mailAddressBudget, mailSubject("password_reset", email));
  await inTx(deps.db, async (tx) => {
    await requestLink(tx, signInMailJob, { id: newUuid(deps.clock), purpose: "password_reset", email, locale: client.locale });
  });
}

/** Has a link for a new password mailed to an account, with the transaction. @param invited whether it never had one */
export async function mailReset(
  deps: Pick<Needs, "clock">,
  tx: Tx,
  { userId, email, invited = false }: { readonly userId: string; readonly email: string; readonly invited?: boolean },
): Promise<void> {
  const purpose = invited ? "invitation" : "password_reset";
  // The job writes in the account's own language.
  await requestLink(tx, signInMailJob, {
    id: newUuid(deps.clock),
    purpose,
    email,
    userId,
    data: { forced: !invited },
    locale: DEFAULT_LOCALE,
  });
}
