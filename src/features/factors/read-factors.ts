/** What second factors an account has. */

import type { Db } from "#src/db/pool";
import type { Actor } from "#src/kernel/actor";
import { selectFactors } from "./factors.sql.ts";

/** As their owner sees them; no secret is among it. */
export interface FactorsView {
  readonly totp: { readonly confirmedAt: string } | null;
  readonly passkeys: number;
  readonly recoveryCodesLeft: number;
}

/** One statement. */
export async function readFactors(deps: { readonly db: Db }, actor: Pick<Actor, "userId">): Promise<FactorsView> {
  const { totpConfirmedAt, passkeys, recoveryCodesLeft } = await selectFactors(deps.db, actor.userId);
  return { totp: totpConfirmedAt === null ? null : { confirmedAt: totpConfirmedAt.toISOString() }, passkeys, recoveryCodesLeft };
}
