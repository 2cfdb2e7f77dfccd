/** Beginning a session: what every way to sign in ends with. */

import type { Tx } from "#src/db/tx";
import type { Client, Role } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import type { AccessTokens } from "./access-token.ts";
import { ACCESS_TOKEN_SECONDS } from "./lifetimes.ts";
import { insertRefreshToken } from "./refresh.sql.ts";
import type { RefreshTokens } from "./refresh-token.ts";
import { revokeLeastSeen } from "./revoke.ts";
import type { SessionLimits } from "./session-limits.ts";
import { insertSession } from "./sessions.sql.ts";
import { sessionView, type PlaceOf, type SessionView } from "./sessions.views.ts";

const DAY_SECONDS = 24 * 60 * 60;

interface Needs {
  readonly clock: Clock;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly sessionLimits: SessionLimits;
  readonly placeOf?: PlaceOf;
}

/** Who begins it, and whether only the short session of a restricted account. */
export interface Beginning {
  readonly userId: string;
  readonly roles: readonly Role[];
  readonly client: Client;
  readonly restricted: boolean;
  /** False where a trusted device stood in for the second factor: sensitive changes want a step-up at once. */
  readonly fresh?: boolean;
}

/** What the client gets. A restricted account gets no refresh token. */
export interface SessionTokens {
  readonly accessToken: string;
  readonly refreshToken?: string;
  readonly tokenType: "Bearer";
  /** Seconds until the access token ends. */
  readonly expiresIn: number;
  readonly session: SessionView;
}

/**
 * Inserts session and first refresh token, and ends the least recently seen ones above the cap. The caller holds the `users` row,
 * so that neither a restriction nor another session can slip in between.
 */
export async function beginSession(deps: Needs, tx: Tx, beginning: Beginning): Promise<SessionTokens> {
  const { perUser, absoluteDays } = deps.sessionLimits;
  if (perUser > 0) await revokeLeastSeen(tx, { userId: beginning.userId, keep: perUser - 1 }, "session_cap");
  const id = newUuid(deps.clock);
  const made = await insertSession(tx, {
    id,
    userId: beginning.userId,
    userAgent: beginning.client.userAgent.slice(0, 512),
    address: beginning.client.address,
    restricted: beginning.restricted,
    fresh: beginning.fresh ?? true,
    lifetimeSeconds: beginning.restricted ? ACCESS_TOKEN_SECONDS : absoluteDays * DAY_SECONDS,
  });
  const access = {
    accessToken: deps.accessTokens.issue({ userId: beginning.userId, sessionId: id, roles: beginning.roles }),
    tokenType: "Bearer" as const,
    expiresIn: ACCESS_TOKEN_SECONDS,
    session: sessionView(made, { currentId: id, placeOf: deps.placeOf }),
  };
  if (beginning.restricted) return access;
  const refreshToken = deps.refreshTokens.make(id, 0);
  await insertRefreshToken(tx, refreshToken);
  return { ...access, refreshToken: refreshToken.text };
}
