/** Registering where addresses are confirmed first: the same answer, after the same work, whether the address has an account or not. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { userRegistered } from "#src/contract/event-types";
import { appendEvent } from "#src/events/append";
import { findUserId, insertUser, usernameTaken } from "#src/features/accounts/public";
import { requestLink, type OneTimeToken } from "#src/features/one-time-tokens/public";
import type { Attempts, Client } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import type { Tx } from "#src/db/tx";
import type { BreachedPasswords } from "./breached-passwords.ts";
import { checkNewPassword } from "./check-new-password.ts";
import type { PasswordHasher } from "./password-hash.ts";
import { registrationOf, signInMailJob } from "./registration.ts";
import { mailAddressBudget, mailSubject } from "./sign-in.actions.ts";
import { insertCredentials } from "./sign-in.sql.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly hasher: PasswordHasher;
  readonly breachedPasswords: BreachedPasswords;
  readonly attempts: Attempts;
}

/** Already checked for form. */
export interface RequestedAccount {
  readonly email: string;
  readonly username: string;
  readonly password: string;
  readonly client: Client;
}

/**
 * Keeps the registration until its address is confirmed. A username is public, so that one is taken may be told.
 * @throws Problem `username.taken`, `password.unsuitable`, `sign_in.busy`, `sign_in.throttled`
 */
export async function requestRegistration(deps: Needs, account: RequestedAccount): Promise<void> {
  const { email, username, password, client } = account;
  await checkNewPassword(deps, { password, owner: account, path: "body.password" });
  await deps.attempts.take(mailAddressBudget, mailSubject("registration", email));
  if ((await findUserId(deps.db, { username })) !== undefined) throw new Problem(usernameTaken);
  const passwordHash = await deps.hasher.hash(password);
  await inTx(deps.db, async (tx) => {
    const data = { username, passwordHash, locale: client.locale };
    await requestLink(tx, signInMailJob, { id: newUuid(deps.clock), purpose: "registration", email, data, locale: client.locale });
  });
}

/**
 * Makes the account of a registration whose address was confirmed. The token is used up with the same transaction.
 * @param username in place of the one that was asked for, which somebody else may have taken meanwhile
 * @throws Problem `username.taken`, `email.taken`
 */
export async function completeRegistration(
  deps: Pick<Needs, "clock">,
  tx: Tx,
  { token, username }: { readonly token: OneTimeToken; readonly username: string | undefined },
): Promise<{ readonly userId: string }> {
  const kept = registrationOf(token);
  const name = username ?? kept.username;
  const user = await insertUser(tx, {
    id: newUuid(deps.clock),
    username: name,
    email: token.email,
    displayName: name,
    roles: ["user"],
    locale: kept.locale,
    emailVerified: true,
  });
  await insertCredentials(tx, { userId: user.id, passwordHash: kept.passwordHash });
  await appendEvent(tx, userRegistered, {
    subject: user.id,
    data: { userId: user.id, username: name, displayName: name, avatarUrl: null, createdAt: user.created_at.toISOString() },
  });
  return { userId: user.id };
}
