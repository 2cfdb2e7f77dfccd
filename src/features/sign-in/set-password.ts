/** New passwords: by the old one, or by a link that was mailed. Both end sessions, void what was mailed, and tell the owner. */

import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { hasEnded, lockFacts, userFacts, writeVerified, type UserFacts } from "#src/features/accounts/public";
import { dropUnprovedFactors, lacksProvedAddress } from "#src/features/factors/public";
import { dropUnprovedIdentities } from "#src/features/identities/public";
import { addNotice } from "#src/features/notices/public";
import { linkInvalid, readLink, use, type OneTimeTokens } from "#src/features/one-time-tokens/public";
import { announceChange, distrustDevices, revokeAll, revokeOthers } from "#src/features/sessions/public";
import type { Actor, Attempts, Client } from "#src/kernel/actor";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import type { BreachedPasswords } from "./breached-passwords.ts";
import { checkNewPassword } from "./check-new-password.ts";
import { RESETS, voidTokensOfPassword } from "./end-password.ts";
import type { PasswordHasher } from "./password-hash.ts";
import { loginAccountBudget, passwordBudget } from "./sign-in.actions.ts";
import { passwordWrong } from "./sign-in.errors.ts";
import { isPasswordOf, putPassword, selectCredentialsOf, type Credentials } from "./sign-in.sql.ts";

interface Needs {
  readonly db: Db;
  readonly log: Log;
  readonly hasher: PasswordHasher;
  readonly breachedPasswords: BreachedPasswords;
  readonly attempts: Attempts;
}

/** What a password that was set has ended. */
export interface PasswordSet {
  readonly sessionsRevoked: number;
}

/**
 * Checks that whoever holds a session also knows the account's password: what an open device alone does not.
 * @throws Problem `password.wrong`, `sign_in.throttled`, `sign_in.busy`
 * @returns what it fits, to be compared again when something follows from it: see `requirePassword`
 */
export async function confirmPassword(
  deps: Pick<Needs, "db" | "hasher" | "attempts">,
  input: { readonly userId: string; readonly password: string },
): Promise<Credentials> {
  await deps.attempts.take(passwordBudget, input.userId);
  const stored = await selectCredentialsOf(deps.db, input.userId);
  if (!(await deps.hasher.verify(input.password, stored?.passwordHash)) || stored === undefined) throw new Problem(passwordWrong);
  await deps.attempts.forgive(passwordBudget, input.userId);
  return stored;
}

/** Holds with the transaction that the password is still the one that was confirmed. The caller has locked the account. @throws Problem `password.wrong` */
export async function requirePassword(tx: Tx, confirmed: Credentials): Promise<void> {
  if (!(await isPasswordOf(tx, confirmed))) throw new Problem(passwordWrong);
}

/**
 * Sets a new password by the old one. The caller's session stays, the others end.
 * @throws Problem `password.wrong`, `password.unsuitable`, `sign_in.throttled`, `sign_in.busy`
 */
export async function changePassword(
  deps: Needs,
  input: { readonly actor: Actor; readonly currentPassword: string; readonly newPassword: string },
): Promise<PasswordSet> {
  const { userId, sessionId } = input.actor;
  const before = await confirmPassword(deps, { userId, password: input.currentPassword });
  const [account] = await userFacts(deps.db, [userId]);
  if (account === undefined) throw new Problem(passwordWrong);
  await checkNewPassword(deps, { password: input.newPassword, owner: account, path: "body.newPassword" });
  const passwordHash = await deps.hasher.hash(input.newPassword);
  const sessionsRevoked = await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      await lockFacts(tx, userId);
      // Two at once: the second one knew a password that holds no more.
      await requirePassword(tx, before);
      await putPassword(tx, { userId, passwordHash });
      const ended = await revokeOthers(tx, { userId, keptId: sessionId }, "password_changed");
      await afterwards(tx, userId, { how: "changed", sessionsRevoked: ended });
      return ended;
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "password.changed", userId, sessionId });
  return { sessionsRevoked };
}

/**
 * Sets a new password by a mailed link, or by the token of a login that refused because the password must be changed, once. Every session ends
 * unless the caller wants to keep them and the address had been proved before.
 * @throws Problem `link.invalid`, `password.unsuitable`, `sign_in.busy`
 */
export async function resetPassword(
  deps: Needs & { readonly oneTimeTokens: OneTimeTokens },
  input: { readonly token: string; readonly password: string; readonly keepSessions: boolean; readonly client: Client },
): Promise<PasswordSet> {
  const read = await readLink(deps, input.token);
  const userId = read !== undefined && RESETS.includes(read.purpose) ? read.userId : null;
  const [account] = userId === null ? [] : await userFacts(deps.db, [userId]);
  if (read === undefined || account === undefined) throw new Problem(linkInvalid);
  await checkNewPassword(deps, { password: input.password, owner: account, path: "body.password" });
  const passwordHash = await deps.hasher.hash(input.password);
  const sessionsRevoked = await inTx(
    deps.db,
    async (tx) => await applyReset(tx, { tokenId: read.id, account, passwordHash, keepSessions: input.keepSessions }),
    { durable: true },
  );
  await Promise.all([account.username, account.email].map((name) => deps.attempts.forgive(loginAccountBudget, name.toLowerCase())));
  securityEvent(deps.log, { kind: "password.reset", userId: account.id, address: input.client.address });
  return { sessionsRevoked };
}

interface Reset {
  readonly tokenId: string;
  readonly account: UserFacts;
  readonly passwordHash: string;
  readonly keepSessions: boolean;
}

async function applyReset(tx: Tx, { tokenId, account, passwordHash, keepSessions }: Reset): Promise<number> {
  const userId = account.id;
  await lockSubject(tx, userId);
  const now = await lockFacts(tx, userId);
  const token = await use(tx, { id: tokenId, isCode: false }, RESETS);
  // The link was mailed to an address that is the account's no more.
  if (now === undefined || hasEnded(now) || token.email.toLowerCase() !== now.email.toLowerCase()) throw new Problem(linkInvalid);
  await putPassword(tx, { userId, passwordHash });
  // Only what was mailed proves the address. Where nobody had proved it before, sessions may be of who made the account with it.
  const isProof = token.purpose !== "password_change";
  const areKept = keepSessions && !(isProof && (await lacksProvedAddress(tx, userId)));
  if (isProof) {
    await dropUnprovedIdentities(tx, userId);
    await dropUnprovedFactors(tx, userId);
    await writeVerified(tx, userId);
  }
  const sessionsRevoked = areKept ? 0 : await revokeAll(tx, userId, "password_reset");
  if (areKept) await announceChange(tx, userId);
  await afterwards(tx, userId, { how: "reset", sessionsRevoked });
  return sessionsRevoked;
}

async function afterwards(
  tx: Tx,
  userId: string,
  data: { readonly how: "changed" | "reset"; readonly sessionsRevoked: number },
): Promise<void> {
  await voidTokensOfPassword(tx, userId);
  await distrustDevices(tx, userId);
  await addNotice(tx, userId, { type: "security.password_changed", data });
}
