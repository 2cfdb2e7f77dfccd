/** The second half of a sign-in by a passkey. The challenge of the refusal is what the passkey signs: one row, used once. */

import { inTx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { lockFacts } from "#src/features/accounts/public";
import {
  askPasskeys,
  passkeyInvalid,
  passkeyOf,
  takePasskey,
  type AuthenticationResponse,
  type RequestOptions,
  type Site,
} from "#src/features/factors/public";
import { markUsed } from "#src/features/one-time-tokens/public";
import type { Client } from "#src/kernel/actor";
import { securityEvent } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { oneTry, readChallenge, type AnswerNeeds, type Challenge } from "./answer-challenge.ts";
import { beginProved, type LoggedIn } from "./begin-or-ask.ts";
import { mfaChallengeInvalid } from "./sign-in.errors.ts";

type Needs = AnswerNeeds & Site;

interface PasskeyAnswer {
  readonly challenge: string;
  readonly response: AuthenticationResponse;
  readonly trustDevice?: boolean;
  readonly client: Client;
}

/** What the account's passkeys are asked. Uses no try. @throws Problem `mfa.challenge_invalid`, `passkey.not_found` */
export async function askByChallenge(deps: Needs, { challenge }: { readonly challenge: string }): Promise<RequestOptions> {
  const { userId } = await readChallenge(deps, challenge, ["mfa_challenge"]);
  return await askPasskeys(deps, { userId, challenge });
}

/**
 * Completes a sign-in. A challenge has five tries and one use, whichever factor they are with.
 * @throws Problem `mfa.challenge_invalid`, `passkey.invalid`, `credentials.invalid`, `sign_in.throttled`
 */
export async function answerByPasskey(deps: Needs, input: PasskeyAnswer): Promise<LoggedIn> {
  const token = await readChallenge(deps, input.challenge, ["mfa_challenge"]);
  return await oneTry(deps, { token, client: input.client }, () => complete(deps, token, input));
}

async function complete(deps: Needs, { id, userId }: Challenge, answer: PasskeyAnswer): Promise<LoggedIn> {
  const { challenge, response, trustDevice = false, client } = answer;
  const use = await passkeyOf(deps, userId, { response, challenge });
  const session = await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      await lockFacts(tx, userId);
      if ((await markUsed(tx, id, ["mfa_challenge"])) === undefined) throw new Problem(mfaChallengeInvalid);
      return (await takePasskey(tx, use)) ? await beginProved(deps, tx, { userId, client, mayTell: true, trustDevice }) : undefined;
    },
    { durable: true },
  );
  if (session !== undefined) return session;
  securityEvent(deps.log, { kind: "passkey.copied", userId, address: client.address });
  throw new Problem(passkeyInvalid);
}
