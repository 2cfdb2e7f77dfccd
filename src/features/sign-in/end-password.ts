/** The end of a password, and of what stands for it. */

import type { Tx } from "#src/db/tx";
import { voidTokens, type Purpose } from "#src/features/one-time-tokens/public";
import { deletePassword } from "./sign-in.sql.ts";

/** What sets a password without the old one. */
export const RESETS: readonly Purpose[] = ["password_reset", "invitation", "password_change"];

/** Voids what stands for the password of before, or was asked for by whoever knew it. */
export async function voidTokensOfPassword(tx: Tx, userId: string): Promise<void> {
  await voidTokens(tx, userId, [...RESETS, "sign_in", "address_change", "mfa_challenge", "mfa_enrolment"]);
}

/**
 * Leaves the account without a password: none is right until a link sets one that is mailed after this. Lines 4 and on of the lock order.
 * @returns whether there was one
 */
export async function dropPassword(tx: Tx, userId: string): Promise<boolean> {
  const wasThere = await deletePassword(tx, userId);
  await voidTokensOfPassword(tx, userId);
  return wasThere;
}
