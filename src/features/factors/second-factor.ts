/** Proving a second factor: a code of the authenticator app, or a recovery code. */

import type { Tx } from "#src/db/tx";
import { addNotice } from "#src/features/notices/public";
import type { Clock } from "#src/kernel/clock";
import { lockTotp, selectFactors, useRecoveryCode, writeStep, type FactorState } from "./factors.sql.ts";
import { normalRecoveryCode } from "./recovery-code.ts";
import type { Seals } from "./seals.ts";
import { totpStep } from "./totp.ts";

interface Needs {
  readonly clock: Clock;
  readonly seals: Seals;
}

/** Ways to prove a second factor, as clients are told them. */
export type FactorMethod = "totp" | "passkey" | "recovery_code";

/** What an account could prove; empty when it has no second factor. */
export function methodsOf({ totpConfirmedAt, passkeys, recoveryCodesLeft }: FactorState): FactorMethod[] {
  const factors: FactorMethod[] = [
    ...(totpConfirmedAt === null ? [] : (["totp"] as const)),
    ...(passkeys > 0 ? (["passkey"] as const) : []),
  ];
  return factors.length > 0 && recoveryCodesLeft > 0 ? [...factors, "recovery_code"] : factors;
}

/** What a sealed secret belongs to. */
export const totpAbout = (userId: string): string => `totp:${userId}`;
export const recoveryAbout = (userId: string): string => `recovery:${userId}`;

/**
 * Takes a code, once. A recovery code that was used is told to its owner; the caller holds the user's version row (line 2 of
 * the lock order) for that.
 * @returns whether it was right
 */
export async function takeFactorCode(deps: Needs, tx: Tx, input: { readonly userId: string; readonly code: string }): Promise<boolean> {
  const { userId, code } = input;
  if (/^\d{6}$/.test(code)) return await takeTotp(deps, tx, input);
  const normal = normalRecoveryCode(code);
  if (normal === undefined || methodsOf(await selectFactors(tx, userId)).length === 0) return false;
  const left = await useRecoveryCode(tx, userId, deps.seals.macs(normal, recoveryAbout(userId)));
  if (left === undefined) return false;
  await addNotice(tx, userId, { type: "security.recovery_code_used", data: { left } });
  return true;
}

async function takeTotp(deps: Needs, tx: Tx, { userId, code }: { readonly userId: string; readonly code: string }): Promise<boolean> {
  const factor = await lockTotp(tx, userId);
  if (factor === undefined || factor.confirmedAt === null) return false;
  const secret = deps.seals.open(factor, totpAbout(userId)).toString("utf8");
  const step = totpStep(secret, code, { now: deps.clock.now(), lastStep: factor.lastStep });
  if (step === undefined) return false;
  await writeStep(tx, userId, step);
  return true;
}
