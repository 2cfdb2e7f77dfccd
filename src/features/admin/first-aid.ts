/** What helps an account in trouble: ending sessions, removing a lost factor, a new password, tries given back. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { userFacts, userNotFound } from "#src/features/accounts/public";
import { factorBudget, removeFactors } from "#src/features/factors/public";
import { dropIdentities } from "#src/features/identities/public";
import { addNotice } from "#src/features/notices/public";
import { distrustDevices, revokeAll, revokeSession } from "#src/features/sessions/public";
import { dropPassword, loginAccountBudget, mailAddressBudget, mailReset, mailSubject, passwordBudget } from "#src/features/sign-in/public";
import type { Attempts } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { byOf } from "./change-roles.ts";
import { lockTarget, record, type Change } from "./parties.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
}

/** Ends every session of an account. @throws Problem as `lockTarget` */
export async function endSessions(deps: Needs, change: Change): Promise<{ readonly sessionsRevoked: number }> {
  const sessionsRevoked = await inTx(
    deps.db,
    async (tx) => {
      await lockTarget(tx, change);
      const ended = await revokeAll(tx, change.userId, "revoked_by_admin");
      await record(tx, change, "account.sessions_ended", { sessionsRevoked: ended });
      return ended;
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "session.revoked", userId: change.userId, ...byOf(change), reason: "revoked_by_admin" });
  return { sessionsRevoked };
}

/** Ends one of them. @throws Problem `session.not_found`, or as `lockTarget` */
export async function endSession(deps: Needs, change: Change & { readonly sessionId: string }): Promise<void> {
  await inTx(
    deps.db,
    async (tx) => {
      await lockTarget(tx, change);
      await revokeSession(tx, { id: change.sessionId, userId: change.userId }, "revoked_by_admin");
      await record(tx, change, "account.session_ended", { sessionId: change.sessionId });
    },
    { durable: true },
  );
  securityEvent(deps.log, {
    kind: "session.revoked",
    userId: change.userId,
    sessionId: change.sessionId,
    ...byOf(change),
    reason: "revoked_by_admin",
  });
}

/** Takes the second factors of somebody who has lost them; sessions end. @throws Problem `totp.not_found`, or as `lockTarget` */
export async function resetFactors(deps: Needs, change: Change): Promise<void> {
  const { userId } = change;
  const kinds = await inTx(
    deps.db,
    async (tx) => {
      await lockTarget(tx, change);
      const removed = await removeFactors(tx, userId);
      await revokeAll(tx, userId, "factor_removed");
      await record(tx, change, "account.factors_reset");
      for (const factor of removed) await addNotice(tx, userId, { type: "security.factor_removed", data: { factor } });
      return removed;
    },
    { durable: true },
  );
  for (const reason of kinds) securityEvent(deps.log, { kind: "factor.removed", userId, ...byOf(change), reason });
}

/** Makes the password good for nothing, unlinks identities, ends every session, and mails a link for a new password. @throws Problem as `lockTarget` */
export async function forceReset(deps: Needs, change: Change): Promise<void> {
  const { userId } = change;
  await inTx(
    deps.db,
    async (tx) => {
      const { email } = await lockTarget(tx, change);
      await dropPassword(tx, userId);
      // Whoever else was in the account may have linked one.
      const unlinked = await dropIdentities(tx, userId);
      await distrustDevices(tx, userId);
      await revokeAll(tx, userId, "password_reset");
      await mailReset(deps, tx, { userId, email });
      await record(tx, change, "account.password_reset_forced", { identitiesUnlinked: unlinked.length });
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "password.reset", userId, ...byOf(change), reason: "forced" });
}

/** What an account's owner may ask to be mailed. */
const MAILED = ["password_reset", "sign_in", "address"] as const;

/** Gives an account all its tries back. @throws Problem `user.not_found`, or as `lockTarget` */
export async function unlock(deps: Needs & { readonly attempts: Attempts }, change: Change): Promise<void> {
  await inTx(deps.db, async (tx) => {
    await lockTarget(tx, change);
    await record(tx, change, "account.unlocked");
  });
  const [account] = await userFacts(deps.db, [change.userId]);
  if (account === undefined) throw new Problem(userNotFound);
  const names = [account.username.toLowerCase(), account.email.toLowerCase()];
  await Promise.all([
    ...names.map((name) => deps.attempts.forgive(loginAccountBudget, name)),
    ...MAILED.map((purpose) => deps.attempts.forgive(mailAddressBudget, mailSubject(purpose, account.email))),
    deps.attempts.forgive(passwordBudget, account.id),
    deps.attempts.forgive(factorBudget, account.id),
  ]);
}
