/** Asking once more for the mail that confirms an address: the same for everybody. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { requestLink } from "#src/features/one-time-tokens/public";
import { mailAddressBudget, mailSubject, signInMailJob } from "#src/features/sign-in/public";
import type { Attempts, Client } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly attempts: Attempts;
}

/** Has the mail sent again, if that address waits for it. @throws Problem `sign_in.throttled` */
export async function resendVerification(deps: Needs, input: { readonly email: string; readonly client: Client }): Promise<void> {
  const { email, client } = input;
  await deps.attempts.take(mailAddressBudget, mailSubject("address", email));
  await inTx(deps.db, async (tx) => {
    await requestLink(tx, signInMailJob, { id: newUuid(deps.clock), purpose: "address", email, locale: client.locale });
  });
}
