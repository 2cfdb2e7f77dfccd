/** Ending sessions: the row, and the word to every process, in one transaction. */

import type { Tx } from "#src/db/tx";
import { inTx } from "#src/db/tx";
import type { Db } from "#src/db/pool";
import type { Actor } from "#src/kernel/actor";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { insertRevocation } from "./feed.sql.ts";
import { sessionNotFound } from "./sessions.errors.ts";
import { markAllRevoked, markLeastSeenRevoked, markOthersRevoked, markRevoked } from "./sessions.sql.ts";

interface Needs {
  readonly db: Db;
  readonly log: Log;
}

/** Why sessions ended or are looked at again; sockets are told this word. */
export type RevocationReason =
  | "logged_out"
  | "logged_out_everywhere"
  | "revoked_by_owner"
  | "refresh_reused"
  | "session_cap"
  | "password_changed"
  | "password_reset"
  | "email_changed"
  | "factor_removed"
  | "identity_unlinked"
  | "role_changed"
  | "revoked_by_admin"
  | "impersonation_ended"
  | "account.restricted"
  | "account.changed";

/**
 * Ends every session of an account and makes every process forget it. Call it after the account's standing or credentials
 * were written, with the `users` row locked where a login must not slip through.
 * @returns how many sessions ended
 */
export async function revokeAll(tx: Tx, userId: string, reason: RevocationReason): Promise<number> {
  const [ended] = await Promise.all([
    markAllRevoked(tx, userId, reason),
    insertRevocation(tx, { subject: userId, sessionId: null, reason }),
  ]);
  return ended;
}

/** Ends every session of an account but one, and says how many. @param keptId of the session that stays */
export async function revokeOthers(
  tx: Tx,
  session: { readonly userId: string; readonly keptId: string },
  reason: RevocationReason,
): Promise<number> {
  const ended = await markOthersRevoked(tx, session, reason);
  await Promise.all(ended.map((sessionId) => insertRevocation(tx, { subject: session.userId, sessionId, reason })));
  return ended.length;
}

/** Ends the least recently seen sessions of an account until `keep` are left. */
export async function revokeLeastSeen(
  tx: Tx,
  cap: { readonly userId: string; readonly keep: number },
  reason: RevocationReason,
): Promise<void> {
  const ended = await markLeastSeenRevoked(tx, cap, reason);
  await Promise.all(ended.map((sessionId) => insertRevocation(tx, { subject: cap.userId, sessionId, reason })));
}

/** Makes every process read the account's standing anew, without ending its sessions. */
export async function announceChange(tx: Tx, userId: string): Promise<void> {
  await insertRevocation(tx, { subject: userId, sessionId: null, reason: "account.changed" });
}

/** Ends one session of an account. @throws Problem `session.not_found` */
export async function revokeSession(
  tx: Tx,
  session: { readonly id: string; readonly userId: string },
  reason: RevocationReason,
): Promise<void> {
  if (!(await markRevoked(tx, session, reason))) throw new Problem(sessionNotFound);
  await insertRevocation(tx, { subject: session.userId, sessionId: session.id, reason });
}

/** Ends the caller's own session. Doing so twice is no error: the caller wanted it ended. */
export async function logout(deps: Needs, actor: Actor): Promise<void> {
  await inTx(
    deps.db,
    async (tx) => {
      const session = { id: actor.sessionId, userId: actor.userId };
      if (await markRevoked(tx, session, "logged_out")) {
        await insertRevocation(tx, { subject: actor.userId, sessionId: actor.sessionId, reason: "logged_out" });
      }
    },
    { durable: true },
  );
}

/** Ends every session of the caller, this one too. */
export async function logoutAll(deps: Needs, actor: Actor): Promise<{ readonly sessionsRevoked: number }> {
  const sessionsRevoked = await inTx(deps.db, (tx) => revokeAll(tx, actor.userId, "logged_out_everywhere"), { durable: true });
  securityEvent(deps.log, { kind: "session.revoked", userId: actor.userId, sessionId: actor.sessionId, reason: "logged_out_everywhere" });
  return { sessionsRevoked };
}

/** Ends every session of the caller but this one. */
export async function revokeOwnOthers(deps: Needs, actor: Actor): Promise<{ readonly sessionsRevoked: number }> {
  const session = { userId: actor.userId, keptId: actor.sessionId };
  const sessionsRevoked = await inTx(deps.db, (tx) => revokeOthers(tx, session, "revoked_by_owner"), { durable: true });
  securityEvent(deps.log, { kind: "session.revoked", userId: actor.userId, sessionId: actor.sessionId, reason: "others_revoked_by_owner" });
  return { sessionsRevoked };
}

/** Ends one of the caller's sessions, by its id. @throws Problem `session.not_found` also for those of others */
export async function revokeOwnSession(deps: Needs, input: { readonly actor: Actor; readonly sessionId: string }): Promise<void> {
  await inTx(
    deps.db,
    async (tx) => {
      await revokeSession(tx, { id: input.sessionId, userId: input.actor.userId }, "revoked_by_owner");
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "session.revoked", userId: input.actor.userId, sessionId: input.sessionId, reason: "revoked_by_owner" });
}
