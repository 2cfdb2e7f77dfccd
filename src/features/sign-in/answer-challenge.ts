/** The second half of a sign-in: a code of a factor, or adding one where the account's role must have it. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import {
  confirmFor,
  factorBudget,
  factorCodeWrong,
  methodsOf,
  offerTo,
  selectFactors,
  takeFactorCode,
  type Seals,
  type TotpOffer,
} from "#src/features/factors/public";
import { findUsable, markUsed, takeTryOf, type OneTimeToken, type OneTimeTokens, type Purpose } from "#src/features/one-time-tokens/public";
import type { AccessTokens, PlaceOf, RefreshTokens, SessionLimits } from "#src/features/sessions/public";
import type { Attempts, Client, Role } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import type { Tx } from "#src/db/tx";
import { beginProved, type LoggedIn } from "./begin-or-ask.ts";
import type { DeviceTokens } from "./device-token.ts";
import { mfaChallengeInvalid } from "./sign-in.errors.ts";

/** What completing a sign-in needs. */
export interface AnswerNeeds {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly seals: Seals;
  readonly attempts: Attempts;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly sessionLimits: SessionLimits;
  readonly placeOf?: PlaceOf;
  readonly oneTimeTokens: OneTimeTokens;
  readonly deviceTokens: DeviceTokens;
  readonly config: { readonly mfaRequiredRoles: readonly Role[]; readonly trustedDeviceDays: number; readonly issuer: string };
  readonly onLogin: (outcome: string) => void;
}

/** A sign-in that was completed; `recoveryCodes` when it added the factor. */
export interface Answered extends LoggedIn {
  readonly recoveryCodes?: readonly string[];
}

/** Offers a secret to an account that must add a factor before it gets a session. @throws Problem `mfa.challenge_invalid`, `totp.exists` */
export async function enrolByChallenge(deps: AnswerNeeds, input: { readonly challenge: string }): Promise<TotpOffer> {
  const token = await readChallenge(deps, input.challenge, ["mfa_enrolment"]);
  return await inTx(deps.db, async (tx) => {
    await requireNoFactor(tx, token);
    return await offerTo(deps, tx, token.userId);
  });
}

/**
 * Completes a sign-in. A challenge has five tries and one use.
 * @throws Problem `mfa.challenge_invalid`, `mfa.code_wrong`, `totp.not_found`, `sign_in.throttled`
 */
export async function answerChallenge(
  deps: AnswerNeeds,
  input: { readonly challenge: string; readonly code: string; readonly trustDevice?: boolean; readonly client: Client },
): Promise<Answered> {
  const { code, trustDevice = false, client } = input;
  const token = await readChallenge(deps, input.challenge, ["mfa_challenge", "mfa_enrolment"]);
  return await oneTry(deps, { token, client }, () =>
    inTx(deps.db, (tx) => complete(deps, tx, { token, code, trustDevice, client }), { durable: true }),
  );
}

/** One of the challenge's tries: counted before, told of afterwards. @throws Problem `mfa.challenge_invalid`, `sign_in.throttled`, or as `proof` */
export async function oneTry<Result extends LoggedIn>(
  deps: AnswerNeeds,
  { token, client }: { readonly token: Challenge; readonly client: Client },
  proof: () => Promise<Result>,
): Promise<Result> {
  await deps.attempts.take(factorBudget, token.userId);
  if (!(await takeTryOf(deps.db, token.id))) throw new Problem(mfaChallengeInvalid);
  try {
    const answered = await proof();
    await deps.attempts.forgive(factorBudget, token.userId);
    deps.onLogin(answered.restriction === undefined ? "accepted" : "restricted");
    const event = { userId: token.userId, sessionId: answered.session.id, address: client.address };
    securityEvent(deps.log, { kind: "login.succeeded", ...event });
    if (answered.trustedUntil !== undefined) securityEvent(deps.log, { kind: "device.trusted", ...event });
    return answered;
  } catch (error) {
    const reason = error instanceof Problem ? error.code : "failed";
    deps.onLogin(reason);
    securityEvent(deps.log, { kind: "factor.failed", userId: token.userId, address: client.address, reason });
    throw error;
  }
}

/** A question on record. */
export type Challenge = OneTimeToken & { readonly userId: string };

/** @throws Problem `mfa.challenge_invalid` */
export async function readChallenge(
  deps: Pick<AnswerNeeds, "db" | "oneTimeTokens">,
  text: string,
  purposes: readonly Purpose[],
): Promise<Challenge> {
  const id = deps.oneTimeTokens.idOf(text);
  const token = id === undefined ? undefined : await findUsable(deps.db, id);
  if (token === undefined || token.userId === null || !purposes.includes(token.purpose)) throw new Problem(mfaChallengeInvalid);
  return { ...token, userId: token.userId };
}

/** A factor that was added since is to be asked for, by a sign-in anew. @throws Problem `mfa.challenge_invalid` */
async function requireNoFactor(tx: Tx, { purpose, userId }: Challenge): Promise<void> {
  if (purpose === "mfa_enrolment" && methodsOf(await selectFactors(tx, userId)).length > 0) throw new Problem(mfaChallengeInvalid);
}

interface Completion {
  readonly token: Challenge;
  readonly code: string;
  readonly trustDevice: boolean;
  readonly client: Client;
}

async function complete(deps: AnswerNeeds, tx: Tx, { token, code, trustDevice, client }: Completion): Promise<Answered> {
  const { userId } = token;
  await lockSubject(tx, userId);
  await requireNoFactor(tx, token);
  const recoveryCodes = token.purpose === "mfa_enrolment" ? await confirmFor(deps, tx, { userId, code }) : undefined;
  const session = await beginProved(deps, tx, { userId, client, mayTell: true, trustDevice });
  if (recoveryCodes === undefined && !(await takeFactorCode(deps, tx, { userId, code }))) throw new Problem(factorCodeWrong);
  if ((await markUsed(tx, token.id, [token.purpose])) === undefined) throw new Problem(mfaChallengeInvalid);
  return recoveryCodes === undefined ? session : { ...session, recoveryCodes };
}
