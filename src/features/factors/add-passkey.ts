/** Adding a passkey: what the authenticator is asked, and taking its answer. */

import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { lockFacts, userNotFound } from "#src/features/accounts/public";
import { addNotice } from "#src/features/notices/public";
import {
  insertToken,
  LIFETIME_SECONDS,
  markUsed,
  readLink,
  type OneTimeToken,
  type OneTimeTokens,
} from "#src/features/one-time-tokens/public";
import { distrustDevices, requireFresh } from "#src/features/sessions/public";
import type { Actor } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { securityEvent } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { passkeyChallengeInvalid, passkeyExists, passkeyTooMany } from "./factors.errors.ts";
import { selectFactors } from "./factors.sql.ts";
import { passkeyView, type PasskeyView } from "./passkey-view.ts";
import type { CreationOptions, RegistrationResponse } from "./passkeys.schemas.ts";
import { insertPasskey, selectPasskeys, type NewPasskey } from "./passkeys.sql.ts";
import type { Seals } from "./seals.ts";
import { writeNewCodes } from "./totp-factor.ts";
import { challengeOf, checkRegistration, creationOptions, type Site } from "./webauthn.ts";

interface Needs extends Site {
  readonly db: Db;
  readonly clock: Clock;
  readonly seals: Seals;
  readonly oneTimeTokens: OneTimeTokens;
}

type Owner = Pick<Actor, "userId" | "sessionId">;

/** Of one account: what is told to an authenticator with each of them must stay short. */
const MOST_PASSKEYS = 20;

/** What was added. */
export interface AddedPasskey {
  readonly passkey: PasskeyView;
  /** When the account had none. */
  readonly recoveryCodes?: readonly string[];
}

/** Asks for a passkey: its challenge is good for this account and session only. @throws Problem `passkey.too_many`, `step_up.required` */
export async function offerPasskey(deps: Omit<Needs, "seals">, { userId, sessionId }: Owner): Promise<CreationOptions> {
  const id = newUuid(deps.clock);
  const account = await inTx(deps.db, async (tx) => {
    await requireFresh(tx, sessionId);
    const facts = await lockFacts(tx, userId);
    if (facts === undefined) throw new Problem(userNotFound);
    const passkeys = await selectPasskeys(tx, userId);
    if (passkeys.length >= MOST_PASSKEYS) throw new Problem(passkeyTooMany);
    const purpose = "passkey_registration";
    await insertToken(tx, { id, purpose, userId, email: facts.email, data: { sessionId }, lifetimeSeconds: LIFETIME_SECONDS[purpose] });
    return { ...facts, passkeys };
  });
  return creationOptions(deps, account, deps.oneTimeTokens.linkText(id));
}

/**
 * Adds the passkey that answered. The first factor of an account brings recovery codes.
 * @throws Problem `passkey.invalid`, `passkey.challenge_invalid`, `passkey.exists`, `passkey.too_many`, `step_up.required`
 */
export async function addPasskey(
  deps: Needs,
  input: { readonly actor: Owner; readonly name: string; readonly response: RegistrationResponse },
): Promise<AddedPasskey> {
  const { actor, name, response } = input;
  const { userId, sessionId } = actor;
  const challenge = challengeOf(response);
  const token = await readLink(deps, challenge);
  if (token === undefined || !isOf(token, actor)) throw new Problem(passkeyChallengeInvalid);
  const checked = await checkRegistration(deps, { response, challenge });
  const added = await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      await lockFacts(tx, userId);
      await requireFresh(tx, sessionId);
      const recoveryCodes = await keep(deps, tx, { ...checked, userId, name });
      if ((await markUsed(tx, token.id, ["passkey_registration"])) === undefined) throw new Problem(passkeyChallengeInvalid);
      const passkey = (await selectPasskeys(tx, userId)).find(({ id }) => id === checked.id);
      if (passkey === undefined) throw new Error("the passkey that was written is not there");
      return { passkey: passkeyView(passkey), ...(recoveryCodes === undefined ? {} : { recoveryCodes }) };
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "factor.added", userId, sessionId, reason: "passkey" });
  return added;
}

function isOf(token: OneTimeToken, { userId, sessionId }: Owner): boolean {
  const { sessionId: asked } = token.data as { readonly sessionId?: unknown };
  return token.purpose === "passkey_registration" && token.userId === userId && asked === sessionId;
}

async function keep(deps: Pick<Needs, "seals">, tx: Tx, passkey: NewPasskey): Promise<readonly string[] | undefined> {
  const { userId } = passkey;
  const before = await selectFactors(tx, userId);
  if (before.passkeys >= MOST_PASSKEYS) throw new Problem(passkeyTooMany);
  if (!(await insertPasskey(tx, passkey))) throw new Problem(passkeyExists);
  await distrustDevices(tx, userId);
  const recoveryCodes = before.recoveryCodesLeft === 0 ? await writeNewCodes(deps, tx, userId) : undefined;
  await addNotice(tx, userId, { type: "security.factor_added", data: { factor: "passkey" } });
  return recoveryCodes;
}
