/** Adding, confirming and removing an authenticator app, and new recovery codes. */

import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { lockFacts, userNotFound } from "#src/features/accounts/public";
import { addNotice } from "#src/features/notices/public";
import { distrustDevices, requireFresh, revokeOthers } from "#src/features/sessions/public";
import type { Actor, Attempts } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { factorBudget } from "./factors.actions.ts";
import { factorCodeWrong, totpExists, totpNotFound } from "./factors.errors.ts";
import { deleteTotp, lacksProvedAddress, lockTotp, putTotp, replaceRecoveryCodes, selectFactors, writeStep } from "./factors.sql.ts";
import { deletePasskeys } from "./passkeys.sql.ts";
import { newRecoveryCodes, normalRecoveryCode } from "./recovery-code.ts";
import type { Seals } from "./seals.ts";
import { methodsOf, recoveryAbout, totpAbout } from "./second-factor.ts";
import { newTotpSecret, totpStep, totpUri } from "./totp.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly seals: Seals;
  readonly attempts: Attempts;
  readonly config: { readonly issuer: string };
}

/** What the app is told, once. */
export interface TotpOffer {
  /** Base32, for typing. */
  readonly secret: string;
  /** `otpauth://totp/…`, for a QR code. */
  readonly uri: string;
}

/** Offers a secret; it is a factor once `confirmTotp` got a code of it. @throws Problem `totp.exists`, `step_up.required` */
export async function offerTotp(deps: Needs, actor: Pick<Actor, "userId" | "sessionId">): Promise<TotpOffer> {
  return await inTx(deps.db, async (tx) => {
    await requireFresh(tx, actor.sessionId);
    return await offerTo(deps, tx, actor.userId);
  });
}

/** The same for somebody who has proved who they are in another way. The caller opens the transaction. @throws Problem `totp.exists` */
export async function offerTo(deps: Pick<Needs, "seals" | "config">, tx: Tx, userId: string): Promise<TotpOffer> {
  const account = await lockFacts(tx, userId);
  if (account === undefined) throw new Problem(userNotFound);
  const secret = newTotpSecret();
  if (!(await putTotp(tx, userId, deps.seals.seal(Buffer.from(secret), totpAbout(userId))))) throw new Problem(totpExists);
  return { secret, uri: totpUri(secret, { issuer: new URL(deps.config.issuer).hostname, label: account.username }) };
}

/** Makes the offered secret a factor by its first code. @throws Problem `mfa.code_wrong`, `totp.exists`, `totp.not_found`, `step_up.required`, `sign_in.throttled` */
export async function confirmTotp(
  deps: Needs,
  input: { readonly actor: Pick<Actor, "userId" | "sessionId">; readonly code: string },
): Promise<{ readonly recoveryCodes: readonly string[] }> {
  const { userId, sessionId } = input.actor;
  await deps.attempts.take(factorBudget, userId);
  const recoveryCodes = await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      await requireFresh(tx, sessionId);
      return await confirmFor(deps, tx, { userId, code: input.code });
    },
    { durable: true },
  );
  await deps.attempts.forgive(factorBudget, userId);
  securityEvent(deps.log, { kind: "factor.added", userId, sessionId, reason: "totp" });
  return { recoveryCodes };
}

/** The same within a transaction. The caller holds the user's version row. @throws Problem `mfa.code_wrong`, `totp.exists`, `totp.not_found` */
export async function confirmFor(
  deps: Pick<Needs, "clock" | "seals">,
  tx: Tx,
  { userId, code }: { readonly userId: string; readonly code: string },
): Promise<string[]> {
  await lockFacts(tx, userId);
  const factor = await lockTotp(tx, userId);
  if (factor === undefined) throw new Problem(totpNotFound);
  if (factor.confirmedAt !== null) throw new Problem(totpExists);
  const secret = deps.seals.open(factor, totpAbout(userId)).toString("utf8");
  const step = totpStep(secret, code, { now: deps.clock.now(), lastStep: factor.lastStep });
  if (step === undefined) throw new Problem(factorCodeWrong);
  await writeStep(tx, userId, step);
  await distrustDevices(tx, userId);
  const codes = await writeNewCodes(deps, tx, userId);
  await addNotice(tx, userId, { type: "security.factor_added", data: { factor: "totp" } });
  return codes;
}

/** Removes the app, and the recovery codes with the last factor; other sessions end. @throws Problem `totp.not_found`, `step_up.required` */
export async function removeTotp(deps: Needs, actor: Pick<Actor, "userId" | "sessionId">): Promise<void> {
  const { userId, sessionId } = actor;
  await inTx(
    deps.db,
    async (tx) => {
      await lockSubject(tx, userId);
      await lockFacts(tx, userId);
      await requireFresh(tx, sessionId);
      if (!(await deleteTotp(tx, userId))) throw new Problem(totpNotFound);
      await dropCodesOfNoFactor(tx, userId);
      await distrustDevices(tx, userId);
      await revokeOthers(tx, { userId, keptId: sessionId }, "factor_removed");
      await addNotice(tx, userId, { type: "security.factor_removed", data: { factor: "totp" } });
    },
    { durable: true },
  );
  securityEvent(deps.log, { kind: "factor.removed", userId, sessionId, reason: "totp" });
}

/**
 * Takes the factors of an account whose address nobody has proved yet: who proves it now need not be who added them, and would be
 * kept out, or have somebody in the account unseen. Ask before the address counts as proved.
 */
export async function dropUnprovedFactors(tx: Tx, userId: string): Promise<void> {
  if (!(await lacksProvedAddress(tx, userId))) return;
  const [hadApp, hadPasskeys] = [await deleteTotp(tx, userId), await deletePasskeys(tx, userId)];
  if (!hadApp && !hadPasskeys) return;
  await replaceRecoveryCodes(tx, userId, []);
  await distrustDevices(tx, userId);
}

/** Takes all factors and the recovery codes away, and gives which kinds there were. @throws Problem `totp.not_found` when there was none */
export async function removeFactors(tx: Tx, userId: string): Promise<("totp" | "passkey")[]> {
  const hadApp = await deleteTotp(tx, userId);
  const hadPasskeys = await deletePasskeys(tx, userId);
  if (!hadApp && !hadPasskeys) throw new Problem(totpNotFound);
  await replaceRecoveryCodes(tx, userId, []);
  await distrustDevices(tx, userId);
  return [...(hadApp ? (["totp"] as const) : []), ...(hadPasskeys ? (["passkey"] as const) : [])];
}

/** Recovery codes stand in for a factor: without one they open nothing, and a later one brings its own. */
export async function dropCodesOfNoFactor(tx: Tx, userId: string): Promise<void> {
  if (methodsOf(await selectFactors(tx, userId)).length === 0) await replaceRecoveryCodes(tx, userId, []);
}

/** New recovery codes in place of all others. @throws Problem `totp.not_found` for an account without a factor, `step_up.required` */
export async function renewRecoveryCodes(
  deps: Needs,
  actor: Pick<Actor, "userId" | "sessionId">,
): Promise<{ readonly recoveryCodes: readonly string[] }> {
  const { userId, sessionId } = actor;
  const recoveryCodes = await inTx(deps.db, async (tx) => {
    await lockSubject(tx, userId);
    await requireFresh(tx, sessionId);
    if (methodsOf(await selectFactors(tx, userId)).length === 0) throw new Problem(totpNotFound);
    const codes = await writeNewCodes(deps, tx, userId);
    await distrustDevices(tx, userId);
    await addNotice(tx, userId, { type: "security.recovery_codes_renewed", data: {} });
    return codes;
  });
  securityEvent(deps.log, { kind: "factor.added", userId, sessionId, reason: "recovery_codes" });
  return { recoveryCodes };
}

/** The caller holds the account's row. */
export async function writeNewCodes({ seals }: Pick<Needs, "seals">, tx: Tx, userId: string): Promise<string[]> {
  const codes = newRecoveryCodes();
  const macs = codes.map((code) => seals.macs(normalRecoveryCode(code) ?? "", recoveryAbout(userId))[0]);
  await replaceRecoveryCodes(tx, userId, macs);
  return codes;
}
