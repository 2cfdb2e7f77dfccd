/** Refresh with one successor: honest clients are never logged out by a race, a thief is noticed. DESIGN §5, RFC 9700 §4.14. */

import { inTx } from "#src/db/tx";
import type { Db } from "#src/db/pool";
import { appendEvent } from "#src/events/append";
import { refreshReuse } from "#src/contract/event-types";
import { addNotice } from "#src/features/notices/public";
import type { Client, Role } from "#src/kernel/actor";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import type { AccessTokens } from "./access-token.ts";
import { deviceOf } from "./device.ts";
import { ACCESS_TOKEN_SECONDS } from "./lifetimes.ts";
import { restrictedDetails } from "./gate.ts";
import { selectSessionState, type SessionState } from "./gate.sql.ts";
import { insertRevocation } from "./feed.sql.ts";
import { rotate, selectTokens, type StoredTokens } from "./refresh.sql.ts";
import { openSuccessor, sealSuccessor, type RefreshToken, type RefreshTokens } from "./refresh-token.ts";
import type { SessionLimits } from "./session-limits.ts";
import { accountRestricted, refreshInvalid, refreshReused, sessionExpired, sessionRevoked } from "./sessions.errors.ts";
import { markRevoked } from "./sessions.sql.ts";
import { distrustDevices } from "./trusted-devices.ts";

interface Needs {
  readonly db: Db;
  readonly log: Log;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly refreshReuseGraceSeconds: number;
  readonly sessionLimits: SessionLimits;
}

/** A new access token and the one refresh token to use next. */
export interface Refreshed {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly tokenType: "Bearer";
  readonly expiresIn: number;
  readonly session: {
    readonly id: string;
    /** What is left of its longest life. */
    readonly secondsLeft: number;
  };
}

/** For how long an unused successor is given again to whoever presents its parent. */
const RETRY_SECONDS = 24 * 60 * 60;

/**
 * Presents a refresh token.
 * @throws Problem `refresh.invalid`, `refresh.reused`, `session.revoked`, `session.expired`, `account.restricted`
 */
export async function refresh(deps: Needs, input: { readonly refreshToken: string; readonly client: Client }): Promise<Refreshed> {
  const presented = deps.refreshTokens.parse(input.refreshToken);
  if (typeof presented === "string") {
    if (presented === "forged") securityEvent(deps.log, { kind: "refresh.forged", address: input.client.address });
    throw new Problem(refreshInvalid);
  }
  const successor = deps.refreshTokens.make(presented.sessionId, presented.generation + 1);
  const won = await rotate(deps.db, {
    sessionId: presented.sessionId,
    hash: presented.hash,
    successorHash: successor.hash,
    sealed: sealSuccessor(presented, successor),
    idleDays: deps.sessionLimits.idleDays,
  });
  if (won !== undefined) return answer(deps, { ...won, sessionId: presented.sessionId }, successor.text);
  return await presentedAgain(deps, presented, input.client);
}

/** The token was not the newest, or its session does not stand. */
async function presentedAgain(deps: Needs, presented: RefreshToken, client: Client): Promise<Refreshed> {
  const state = await selectSessionState(deps.db, presented.sessionId);
  const stored = await selectTokens(deps.db, presented.sessionId);
  if (state === undefined || stored === undefined) throw new Problem(refreshInvalid);
  refuseUnlessStanding(state);
  const verdict = judge(presented, stored, deps.refreshReuseGraceSeconds);
  switch (verdict.kind) {
    case "same-successor":
      return answer(deps, state, openSuccessor(presented, verdict.sealed));
    case "idle":
      throw new Problem(sessionExpired);
    case "unknown":
      throw new Problem(refreshInvalid);
    case "theft":
      await endStolen(deps, state, client);
      throw new Problem(refreshReused);
  }
}

function refuseUnlessStanding(state: SessionState): void {
  if (state.status === "suspended" || state.status === "banned") throw new Problem(accountRestricted, restrictedDetails(state.notice));
  if (state.endedBecause === "expired") throw new Problem(sessionExpired);
  if (state.endedBecause !== null || state.status !== "active") throw new Problem(sessionRevoked);
}

/** What presenting a token that is not the newest means. */
export type Verdict =
  | { readonly kind: "same-successor"; readonly sealed: Buffer }
  /** It is the newest and nobody used it for as long as a session may be idle. */
  | { readonly kind: "idle" }
  /** It is newer than what this database knows: the database was restored. Nobody's fault. */
  | { readonly kind: "unknown" }
  | { readonly kind: "theft" };

/**
 * Pure. The newest token's making is its parent's first use: the parent gives the same successor while that is unused
 * (24 h at most), the grandparent for the grace after.
 */
export function judge(presented: Pick<RefreshToken, "hash" | "generation">, stored: StoredTokens, graceSeconds: number): Verdict {
  if (presented.hash.equals(stored.tokenHash)) return { kind: "idle" };
  if (stored.parentHash?.equals(presented.hash) === true && stored.sealed !== null) {
    return stored.madeSecondsAgo <= RETRY_SECONDS ? { kind: "same-successor", sealed: stored.sealed } : { kind: "theft" };
  }
  if (stored.grandparentHash?.equals(presented.hash) === true && stored.parentSealed !== null) {
    return stored.madeSecondsAgo <= graceSeconds ? { kind: "same-successor", sealed: stored.parentSealed } : { kind: "theft" };
  }
  return presented.generation > stored.generation ? { kind: "unknown" } : { kind: "theft" };
}

async function endStolen(deps: Needs, state: SessionState, client: Client): Promise<void> {
  await inTx(
    deps.db,
    async (tx) => {
      await appendEvent(tx, refreshReuse, { subject: state.userId, data: { userId: state.userId, sessionId: state.sessionId } });
      // Somebody was quicker: taken back with this transaction, so that it is told once.
      if (!(await markRevoked(tx, { id: state.sessionId, userId: state.userId }, "refresh_reused"))) throw new Problem(refreshReused);
      await insertRevocation(tx, { subject: state.userId, sessionId: state.sessionId, reason: "refresh_reused" });
      // Whoever has its token may have the device's as well.
      await distrustDevices(tx, state.userId);
      const device = deviceOf(state.userAgent);
      await addNotice(tx, state.userId, { type: "security.refresh_reuse", data: { sessionId: state.sessionId, device } });
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "refresh.reuse", userId: state.userId, sessionId: state.sessionId, address: client.address });
}

function answer(
  deps: Needs,
  session: { readonly userId: string; readonly roles: readonly Role[]; readonly sessionId: string; readonly secondsLeft: number },
  refreshToken: string,
): Refreshed {
  const { userId, roles, sessionId, secondsLeft } = session;
  return {
    accessToken: deps.accessTokens.issue({ userId, roles, sessionId }),
    refreshToken,
    tokenType: "Bearer",
    expiresIn: ACCESS_TOKEN_SECONDS,
    session: { id: sessionId, secondsLeft },
  };
}
