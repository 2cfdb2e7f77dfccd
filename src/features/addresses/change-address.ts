/** Changing an account's address: confirmed at the new one, announced at the old one, which can take it back. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { addresseeById, hasEnded, lockFacts, userNotFound, writeEmail, type UserFacts } from "#src/features/accounts/public";
import { addNotice } from "#src/features/notices/public";
import {
  linkInvalid,
  requestLink,
  use,
  voidLaterTokens,
  voidTokens,
  type OneTimeToken,
  type Presented,
  type Purpose,
  type TokenMailJob,
} from "#src/features/one-time-tokens/public";
import { distrustDevices, revokeAll, revokeOthers } from "#src/features/sessions/public";
import {
  confirmPassword,
  linkMailPayload,
  mailAddressBudget,
  mailSubject,
  requirePassword,
  dropPassword,
  mailReset,
  type PasswordHasher,
} from "#src/features/sign-in/public";
import type { Actor, Attempts, Client } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import { emailUnchanged } from "./addresses.errors.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly hasher: PasswordHasher;
  readonly attempts: Attempts;
}

/** The job that mails what addresses asked for. */
export const addressesMailJob: TokenMailJob & { readonly payload: typeof linkMailPayload } = {
  kind: "addresses.mail",
  payload: linkMailPayload,
};

const changeData = z.object({ sessionId: z.uuid() });

/**
 * Has the new address asked for a confirmation. Nothing has changed yet.
 * @throws Problem `password.wrong`, `email.unchanged`, `sign_in.throttled`, `sign_in.busy`
 */
export async function requestAddressChange(
  deps: Needs,
  input: { readonly actor: Actor; readonly email: string; readonly currentPassword: string; readonly client: Client },
): Promise<void> {
  const { actor, email, client } = input;
  const confirmed = await confirmPassword(deps, { userId: actor.userId, password: input.currentPassword });
  const owner = await addresseeById(deps.db, actor.userId);
  if (owner === undefined) throw new Problem(userNotFound);
  if (owner.email.toLowerCase() === email.toLowerCase()) throw new Problem(emailUnchanged);
  await deps.attempts.take(mailAddressBudget, mailSubject("address_change", email));
  await inTx(deps.db, async (tx) => {
    // A change of password takes requests of before away; one that comes late must not slip past it.
    await lockFacts(tx, actor.userId);
    await requirePassword(tx, confirmed);
    const data = { sessionId: actor.sessionId };
    const link = { id: newUuid(deps.clock), purpose: "address_change", email, userId: actor.userId, data, locale: client.locale } as const;
    await requestLink(tx, addressesMailJob, link);
  });
}

/**
 * Makes a confirmed address the account's. Sessions but the one that asked end; the old address is told and can take it back.
 * @throws Problem `link.invalid`, `code.invalid`, `email.taken`
 */
export async function applyAddressChange(
  deps: Pick<Needs, "clock">,
  tx: Tx,
  presented: Presented & { readonly userId: string },
): Promise<OneTimeToken> {
  const { userId } = presented;
  const { token, before } = await takeProof(tx, presented, "address_change");
  const { sessionId } = changeData.parse(token.data);
  await writeEmail(tx, userId, token.email);
  await revokeOthers(tx, { userId, keptId: sessionId }, "email_changed");
  // What was mailed to the old address opens nothing any more, but for the way back.
  await voidTokens(tx, userId, OF_THE_ADDRESS);
  const owner = await addresseeById(tx, userId);
  const locale = owner?.locale ?? "en";
  await requestLink(tx, addressesMailJob, { id: newUuid(deps.clock), purpose: "address_undo", email: before.email, userId, locale });
  await addNotice(tx, userId, { type: "security.email_changed", data: { how: "changed" } });
  return token;
}

/**
 * Gives an account its old address back, makes its password good for nothing, ends every session, and has a link for a new
 * password mailed there.
 * @throws Problem `link.invalid`, `email.taken` when somebody else has that address meanwhile
 */
export async function undoAddressChange(
  deps: Pick<Needs, "clock">,
  tx: Tx,
  presented: Presented & { readonly userId: string },
): Promise<OneTimeToken> {
  const { userId } = presented;
  const { token } = await takeProof(tx, presented, "address_undo");
  await writeEmail(tx, userId, token.email);
  // It took the password to change the address: while that is good, whoever did it comes back.
  await dropPassword(tx, userId);
  await distrustDevices(tx, userId);
  await revokeAll(tx, userId, "email_changed");
  await voidTokens(tx, userId, OF_THE_ADDRESS);
  // Not those of changes before it: whoever made a chain of them must not end the first owner's way back by taking back the last.
  await voidLaterTokens(tx, token, userId);
  await mailReset(deps, tx, { userId, email: token.email });
  await addNotice(tx, userId, { type: "security.email_changed", data: { how: "undone" } });
  return token;
}

/** What is mailed to an account's address and must open nothing once that is another one. */
const OF_THE_ADDRESS: readonly Purpose[] = ["password_reset", "invitation", "sign_in", "address", "address_change"];

/** Locks the account (lines 2 and 3 of the lock order) and uses the proof. @throws Problem `link.invalid`, `code.invalid` */
async function takeProof(
  tx: Tx,
  presented: Presented & { readonly userId: string },
  purpose: Purpose,
): Promise<{ readonly token: OneTimeToken; readonly before: UserFacts }> {
  await lockSubject(tx, presented.userId);
  const before = await lockFacts(tx, presented.userId);
  const token = await use(tx, presented, [purpose]);
  if (before === undefined || hasEnded(before)) throw new Problem(linkInvalid);
  return { token, before };
}
