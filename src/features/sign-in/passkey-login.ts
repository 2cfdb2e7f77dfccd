/** Signing in with a passkey: without a name, without a password. Its user was verified by it, so nothing more is asked for. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { lockFacts } from "#src/features/accounts/public";
import {
  challengeOf,
  passkeyChallengeInvalid,
  passkeyInvalid,
  passkeyOfAnybody,
  requestOptions,
  takePasskey,
  type AuthenticationResponse,
  type RequestOptions,
  type Site,
} from "#src/features/factors/public";
import { insertToken, LIFETIME_SECONDS, markUsed, readLink, type OneTimeTokens } from "#src/features/one-time-tokens/public";
import type { AccessTokens, PlaceOf, RefreshTokens, SessionLimits } from "#src/features/sessions/public";
import type { Client, Role } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { securityEvent } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { beginProved, type LoggedIn } from "./begin-or-ask.ts";
import type { DeviceTokens } from "./device-token.ts";

interface Needs extends Site {
  readonly db: Db;
  readonly clock: Clock;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly sessionLimits: SessionLimits;
  readonly placeOf?: PlaceOf;
  readonly deviceTokens: DeviceTokens;
  readonly oneTimeTokens: OneTimeTokens;
  readonly config: Site["config"] & { readonly mfaRequiredRoles: readonly Role[]; readonly trustedDeviceDays: number };
  readonly onLogin: (outcome: string) => void;
}

interface PasskeyLogin {
  readonly response: AuthenticationResponse;
  readonly client: Client;
}

/** What any passkey of this site may answer: the same for everybody but for its challenge. */
export async function offerPasskeyLogin(deps: Pick<Needs, "db" | "clock" | "oneTimeTokens" | "config">): Promise<RequestOptions> {
  const id = newUuid(deps.clock);
  const purpose = "passkey_login";
  const token = { id, purpose, userId: null, email: "", data: {}, lifetimeSeconds: LIFETIME_SECONDS[purpose] } as const;
  await inTx(deps.db, (tx) => insertToken(tx, token));
  return requestOptions(deps, deps.oneTimeTokens.linkText(id));
}

/** @throws Problem `passkey.invalid`, `passkey.challenge_invalid`, and `credentials.invalid` for an account that has ended */
export async function loginByPasskey(deps: Needs, attempt: PasskeyLogin): Promise<LoggedIn> {
  const { address } = attempt.client;
  try {
    const loggedIn = await tryLogin(deps, attempt);
    deps.onLogin(loggedIn.restriction === undefined ? "accepted" : "restricted");
    securityEvent(deps.log, {
      kind: "login.succeeded",
      userId: loggedIn.user.id,
      sessionId: loggedIn.session.id,
      address,
      reason: "passkey",
    });
    return loggedIn;
  } catch (error) {
    const reason = error instanceof Problem ? error.code : "failed";
    deps.onLogin(reason);
    securityEvent(deps.log, { kind: "login.failed", address, reason });
    throw error;
  }
}

async function tryLogin(deps: Needs, { response, client }: PasskeyLogin): Promise<LoggedIn> {
  const challenge = challengeOf(response);
  const token = await readLink(deps, challenge);
  if (token?.purpose !== "passkey_login") throw new Problem(passkeyChallengeInvalid);
  const use = await passkeyOfAnybody(deps, { response, challenge });
  const { userId } = use;
  const session = await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      await lockFacts(tx, userId);
      if ((await markUsed(tx, token.id, ["passkey_login"])) === undefined) throw new Problem(passkeyChallengeInvalid);
      return (await takePasskey(tx, use)) ? await beginProved(deps, tx, { userId, client, mayTell: true }) : undefined;
    },
    { durable: true },
  );
  if (session !== undefined) return session;
  securityEvent(deps.log, { kind: "passkey.copied", userId, address: client.address });
  throw new Problem(passkeyInvalid);
}
