/**
 * The session gate: the one place that decides whether (session, account, restriction) may pass. REST, GraphQL, sockets at
 * connect and at each event, and refresh ask it.
 */

import { hasRole, topRole, type Access, type Actor, type Capability, type Gate, type Role } from "#src/kernel/actor";
import type { SessionId, UserId } from "#src/kernel/ids";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem, type ProblemType } from "#src/kernel/problem";
import type { AccessClaims, AccessTokens } from "./access-token.ts";
import type { RevocationFeed } from "./feed.ts";
import type { GateMemory } from "./gate-memory.ts";
import type { RestrictionNotice, SessionState } from "./gate.sql.ts";
import type { RecordUse } from "./record-use.ts";
import type { SeenSessions } from "./seen-sessions.ts";
import {
  accessDenied,
  accountRestricted,
  capabilityLimited,
  impersonationRefused,
  sessionExpired,
  sessionRevoked,
  tokenInvalid,
  tokenMissing,
} from "./sessions.errors.ts";

interface Needs {
  readonly tokens: Pick<AccessTokens, "verify">;
  readonly feed: Pick<RevocationFeed, "isFresh" | "untilFresh">;
  readonly memory: Pick<GateMemory, "recall" | "fill">;
  /** Told of each use of a session; must cost next to nothing. */
  readonly seen: Pick<SeenSessions, "note">;
  /** Puts on record what an impersonation is about to write. */
  readonly recordUse: RecordUse;
  /** Whether doors that are open to visitors let in who sends no token; not when left out. */
  readonly admitsVisitors?: boolean;
  readonly log: Log;
}

/**
 * Makes the gate. It answers from memory only under the feed's lease, and waits for the feed's next read otherwise, so a
 * process that was frozen, cut off or deaf serves nothing stale.
 */
export function createGate(needs: Needs): Gate {
  return async (accessToken, access) => {
    if (access.kind === "anyone") return undefined;
    if (accessToken === undefined) {
      if (needs.admitsVisitors === true && access.visitors !== undefined) return undefined;
      throw new Problem(tokenMissing);
    }
    const claims = verify(needs, accessToken);
    if (!needs.feed.isFresh()) await needs.feed.untilFresh();
    const known = needs.memory.recall(claims.sid);
    const state = known === undefined ? await needs.memory.fill(claims.sid, claims.sub, claims.actorId) : known.state;
    const actor = admitOrTell(needs.log, state, access, claims);
    needs.seen.note(claims.sid);
    if (actor.impersonatorId !== undefined && typeof access.impersonation === "object") {
      await needs.recordUse({ ...actor, impersonatorId: actor.impersonatorId, writes: access.impersonation.writes });
    }
    return actor;
  };
}

function verify(needs: Needs, accessToken: string): AccessClaims {
  try {
    return needs.tokens.verify(accessToken);
  } catch (error) {
    // An expired token is everyday; one that was never ours is not.
    if (error instanceof Problem && error.type === tokenInvalid) securityEvent(needs.log, { kind: "token.rejected" });
    throw error;
  }
}

/** Refusals that belong into the security stream. */
const WATCHED = new Map<ProblemType, "access.denied" | "impersonation.refused">([
  [accessDenied, "access.denied"],
  [impersonationRefused, "impersonation.refused"],
]);

function admitOrTell(log: Log, state: SessionState | undefined, access: Access & { kind: "account" }, claims: AccessClaims): Actor {
  try {
    return admit(state, access, claims);
  } catch (error) {
    const kind = error instanceof Problem ? WATCHED.get(error.type) : undefined;
    if (kind !== undefined) securityEvent(log, { kind, userId: claims.sub, sessionId: claims.sid, actorId: claims.actorId });
    throw error;
  }
}

/** Pure: what this state of session and account allows. Restriction is looked at before revocation, so that people learn why. */
export function admit(state: SessionState | undefined, access: Access & { kind: "account" }, claims: AccessClaims): Actor {
  // A session that is not there was swept, or never was in this database.
  if (state === undefined || state.userId !== claims.sub || state.impersonatorId !== (claims.actorId ?? null))
    throw new Problem(sessionRevoked);
  refuseUnlessStanding(state, access);
  // Whatever does not say that it may be done in somebody's place may not; what is for staff never.
  if (state.impersonatorId !== null && (access.impersonation === undefined || access.role !== undefined))
    throw new Problem(impersonationRefused);
  const role = topRole(state.roles);
  refuseUnlessEntitled(state, role, access);
  return {
    userId: state.userId as UserId,
    sessionId: state.sessionId as SessionId,
    role,
    restricted: state.restricted,
    limited: limitedSet(state.limited),
    tokenExpiresAt: new Date(claims.exp * 1000),
    ...(state.impersonatorId === null ? {} : { impersonatorId: state.impersonatorId as UserId }),
  };
}

function refuseUnlessStanding(state: SessionState, access: Access & { kind: "account" }): void {
  if (isRestricted(state) && !mayPassRestricted(state, access)) throw new Problem(accountRestricted, restrictedDetails(state.notice));
  if (state.endedBecause === "expired") throw new Problem(sessionExpired);
  if (state.endedBecause !== null || isGone(state)) throw new Problem(sessionRevoked);
  if (state.restricted && access.restricted !== "allowed") throw new Problem(sessionRevoked);
}

function refuseUnlessEntitled(state: SessionState, role: Role, access: Access & { kind: "account" }): void {
  if (!hasRole(role, access.role ?? "user")) throw new Problem(accessDenied);
  if (access.capability !== undefined && state.limited.includes(access.capability)) {
    throw new Problem(capabilityLimited, { extensions: { capability: access.capability } });
  }
}

const unlimited: ReadonlySet<Capability> = new Set();

function limitedSet(limited: readonly Capability[]): ReadonlySet<Capability> {
  return limited.length === 0 ? unlimited : new Set(limited);
}

function isRestricted(state: SessionState): boolean {
  return state.status === "suspended" || state.status === "banned";
}

function isGone(state: SessionState): boolean {
  return state.status === "deactivated" || state.status === "erased";
}

function mayPassRestricted(state: SessionState, access: Access & { kind: "account" }): boolean {
  return state.restricted && access.restricted === "allowed";
}

/** What a 403 `account.restricted` carries: the notice, under `restriction`. */
export function restrictedDetails(notice: RestrictionNotice | null): {
  readonly extensions: { readonly restriction: RestrictionNotice | null };
} {
  return { extensions: { restriction: notice } };
}
