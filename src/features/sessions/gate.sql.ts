/** What the gate must know of a session, in one statement. */

import type { Db } from "#src/db/pool";
import { row, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { Capability, Role } from "#src/kernel/actor";

/** The restriction that stands, as its account may read it; the same shape in REST, GraphQL, sockets and login. */
export interface RestrictionNotice {
  readonly kind: "suspend" | "ban";
  readonly reason: string;
  readonly message: string | null;
  readonly startsAt: string;
  readonly expiresAt: string | null;
}

/** A session and its account at the moment the statement ran. */
export interface SessionState {
  readonly sessionId: string;
  readonly userId: string;
  readonly userAgent: string;
  readonly roles: readonly Role[];
  readonly status: "active" | "suspended" | "banned" | "deactivated" | "erased";
  readonly limited: readonly Capability[];
  /** Why the session is over, or nothing while it stands. */
  readonly endedBecause: string | null;
  /** The short session of a restricted account. */
  readonly restricted: boolean;
  /** Of an impersonation: the admin who really acts. */
  readonly impersonatorId: string | null;
  readonly notice: RestrictionNotice | null;
  /** For how many ms from the statement on this is all true unless somebody changes it. */
  readonly holdsMs: number;
  /** What is left of the session's longest life at that moment. */
  readonly secondsLeft: number;
}

interface StateRow {
  readonly user_id: string;
  readonly user_agent: string;
  readonly roles: Role[];
  readonly status: SessionState["status"];
  readonly limited: Capability[];
  readonly ended_because: string | null;
  readonly restricted: boolean;
  readonly impersonator_id: string | null;
  readonly kind: "suspend" | "ban" | null;
  readonly reason: string | null;
  readonly message: string | null;
  readonly starts_at: Date | null;
  readonly expires_at: Date | null;
  readonly holds_ms: number | null;
  readonly seconds_left: number;
}

/**
 * Reads by primary keys only; the restriction is looked up just for the accounts that have one. Past
 * `status_valid_until` the view computes the standing anew, so starts and ends need no worker. An impersonation stands while the
 * session it was begun from does, and that one's owner is an admin in good standing.
 */
export async function selectSessionState(db: Db, sessionId: string): Promise<SessionState | undefined> {
  const found = await row<StateRow>(
    db,
    sql`select s.user_id, s.user_agent, u.roles, st.status, st.limited,
          s.restricted and s.impersonator_id is null as restricted, s.impersonator_id,
          case
            when s.revoked_at is not null then s.revoked_reason
            when s.created_at <= st.sessions_valid_from then 'account.restricted'
            when s.expires_at <= statement_timestamp() then 'expired'
            when s.impersonator_id is not null and imp.stands is not true then 'impersonation_ended'
          end as ended_because,
          r.kind, r.reason, r.message, r.starts_at, r.expires_at,
          (extract(epoch from least(s.expires_at, st.valid_until, imp.holds_until) - statement_timestamp()) * 1000)::float8 as holds_ms,
          extract(epoch from s.expires_at - statement_timestamp())::float8 as seconds_left
        from sessions s
        join users u on u.id = s.user_id
        join user_standings st on st.user_id = s.user_id
        left join lateral (
          select r.* from strictest_restriction(s.user_id) r where st.status in ('suspended', 'banned')
        ) r on true
        left join lateral (
          select least(i.expires_at, ist.valid_until) as holds_until,
            i.revoked_at is null and i.expires_at > statement_timestamp() and i.created_at > ist.sessions_valid_from
              and ist.status = 'active' and 'admin' = any (iu.roles) as stands
          from sessions i
          join users iu on iu.id = i.user_id
          join user_standings ist on ist.user_id = i.user_id
          where i.id = s.impersonator_session_id and i.user_id = s.impersonator_id
        ) imp on true
        where s.id = ${sessionId}::uuid`,
  );
  return found === undefined ? undefined : toState(sessionId, found);
}

function toState(sessionId: string, found: StateRow): SessionState {
  return {
    sessionId,
    userId: found.user_id,
    userAgent: found.user_agent,
    roles: found.roles,
    status: found.status,
    limited: found.limited,
    endedBecause: found.ended_because,
    restricted: found.restricted,
    impersonatorId: found.impersonator_id,
    notice: toNotice(found),
    holdsMs: found.holds_ms ?? Number.POSITIVE_INFINITY,
    secondsLeft: found.seconds_left,
  };
}

function toNotice(found: Pick<StateRow, "kind" | "reason" | "message" | "starts_at" | "expires_at">): RestrictionNotice | null {
  if (found.kind === null || found.reason === null || found.starts_at === null) return null;
  return {
    kind: found.kind,
    reason: found.reason,
    message: found.message,
    startsAt: found.starts_at.toISOString(),
    expiresAt: found.expires_at?.toISOString() ?? null,
  };
}

/** The strictest restriction that keeps an account out at this moment, as its owner may read it. */
export async function standingNotice(on: Db | Tx, userId: string): Promise<RestrictionNotice | undefined> {
  const found = await row<Pick<StateRow, "kind" | "reason" | "message" | "starts_at" | "expires_at">>(
    on,
    sql`select r.kind, r.reason, r.message, r.starts_at, r.expires_at
        from strictest_restriction(${userId}::uuid) r where r.kind in ('suspend', 'ban')`,
  );
  return found === undefined ? undefined : (toNotice(found) ?? undefined);
}
