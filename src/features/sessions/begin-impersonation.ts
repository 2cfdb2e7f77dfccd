/** Beginning a session in somebody's place: short, without a refresh token, and tied to the session of whoever begins it. */

import type { Tx } from "#src/db/tx";
import type { Actor, Role } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { Problem } from "#src/kernel/problem";
import type { AccessTokens } from "./access-token.ts";
import { insertImpersonation } from "./impersonations.sql.ts";
import { sessionRevoked } from "./sessions.errors.ts";
import { sessionView, type SessionView } from "./sessions.views.ts";

interface Needs {
  readonly clock: Clock;
  readonly accessTokens: AccessTokens;
}

/** A token for as long as the session lasts; there is none after it. */
export interface Impersonation {
  readonly accessToken: string;
  readonly tokenType: "Bearer";
  /** Seconds until the access token ends. */
  readonly expiresIn: number;
  readonly session: SessionView;
}

/**
 * The caller has looked at both accounts and holds their `users` rows.
 * @throws Problem `session.revoked` when the session of the one who begins it does not stand
 */
export async function beginImpersonation(
  deps: Needs,
  tx: Tx,
  input: {
    readonly by: Pick<Actor, "userId" | "sessionId">;
    readonly user: { readonly id: string; readonly roles: readonly Role[] };
    readonly lifetimeSeconds: number;
  },
): Promise<Impersonation> {
  const { by, user, lifetimeSeconds } = input;
  const id = newUuid(deps.clock);
  const parties = { userId: user.id, impersonatorId: by.userId, impersonatorSessionId: by.sessionId };
  const made = await insertImpersonation(tx, { id, ...parties, lifetimeSeconds });
  if (made === undefined) throw new Problem(sessionRevoked);
  const seconds = Math.max(1, Math.floor(made.seconds_left));
  return {
    accessToken: deps.accessTokens.issue({
      userId: user.id,
      sessionId: id,
      roles: user.roles,
      impersonation: { impersonatorId: by.userId, seconds },
    }),
    tokenType: "Bearer",
    expiresIn: seconds,
    session: sessionView(made, { currentId: id, placeOf: undefined }),
  };
}
