/** Proving who one is by a passkey: its answer is checked before the transaction, and taken within it. */

import type { Db } from "#src/db/pool";
import type { Tx } from "#src/db/tx";
import { addNotice } from "#src/features/notices/public";
import { distrustDevices } from "#src/features/sessions/public";
import { Problem } from "#src/kernel/problem";
import { passkeyInvalid, passkeyNotFound } from "./factors.errors.ts";
import type { AuthenticationResponse, RequestOptions } from "./passkeys.schemas.ts";
import { selectPasskeyKey, selectPasskeyName, selectPasskeys, writeUse, type PasskeyUse } from "./passkeys.sql.ts";
import { checkAnswer, requestOptions, userHandle, type Site } from "./webauthn.ts";

interface Needs extends Site {
  readonly db: Db;
}

/** What the passkeys of one account are asked. @throws Problem `passkey.not_found` when it has none */
export async function askPasskeys(
  deps: Needs,
  { userId, challenge }: { readonly userId: string; readonly challenge: string },
): Promise<RequestOptions> {
  const passkeys = await selectPasskeys(deps.db, userId);
  if (passkeys.length === 0) throw new Problem(passkeyNotFound);
  return requestOptions(deps, challenge, passkeys);
}

/**
 * Whose passkey answered `challenge`, after its signature, site and page were found right. Its user must have been verified.
 * @throws Problem `passkey.invalid`
 */
export async function passkeyOfAnybody(
  deps: Needs,
  { response, challenge }: { readonly response: AuthenticationResponse; readonly challenge: string },
): Promise<PasskeyUse> {
  const key = await selectPasskeyKey(deps.db, response.id);
  // Nobody was named before, so the authenticator says whose it is (WebAuthn, 7.2, step 6).
  if (key === undefined || response.response.userHandle !== userHandle(key.userId)) throw new Problem(passkeyInvalid);
  return await checkAnswer(deps, { response, challenge, key, verifiedUser: true });
}

/**
 * The same of one account.
 * @param answer.verifiedUser whether it must have verified its user: needless where they have proved something else already
 * @throws Problem `passkey.invalid`
 */
export async function passkeyOf(
  deps: Needs,
  userId: string,
  answer: { readonly response: AuthenticationResponse; readonly challenge: string; readonly verifiedUser?: boolean },
): Promise<PasskeyUse> {
  const { response, challenge, verifiedUser = false } = answer;
  const key = await selectPasskeyKey(deps.db, response.id);
  const handle = response.response.userHandle ?? "";
  const isTheirs = key?.userId === userId && (handle === "" || handle === userHandle(userId));
  if (!isTheirs) throw new Problem(passkeyInvalid);
  return await checkAnswer(deps, { response, challenge, key, verifiedUser });
}

/**
 * Takes an answer that was checked: its counter must go on. Where it does not, two devices may hold the same key; that is told to
 * the owner, so the caller commits and refuses then. The caller holds the user's version row (line 2 of the lock order).
 * @returns whether it counts
 * @throws Problem `passkey.invalid` when the passkey was removed meanwhile
 */
export async function takePasskey(tx: Tx, use: PasskeyUse): Promise<boolean> {
  if (await writeUse(tx, use)) return true;
  const name = await selectPasskeyName(tx, use);
  if (name === undefined) throw new Problem(passkeyInvalid);
  await distrustDevices(tx, use.userId);
  await addNotice(tx, use.userId, { type: "security.passkey_copied", data: { name } });
  return false;
}
