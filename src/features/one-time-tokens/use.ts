/** Using what was mailed. */

import type { Db } from "#src/db/pool";
import type { Tx } from "#src/db/tx";
import type { Attempts, Client } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import type { OneTimeTokens } from "./one-time-token.ts";
import { codeAddressBudget } from "./one-time-tokens.actions.ts";
import { codeInvalid, linkInvalid } from "./one-time-tokens.errors.ts";
import { findUsable, markUsed, takeTry, type OneTimeToken } from "./one-time-tokens.sql.ts";
import type { Purpose } from "./purposes.ts";

/** What somebody presents: the text of a link, or the address with its six digits. */
export type Proof = { readonly token: string } | { readonly email: string; readonly code: string };

interface Needs {
  readonly db: Db;
  readonly oneTimeTokens: OneTimeTokens;
  readonly attempts: Attempts;
}

/** A proof whose form and MAC were right: names a row, and says what to refuse with when that is used already. */
export interface Presented {
  readonly id: string;
  readonly isCode: boolean;
}

/**
 * Checks a proof without using it. A wrong code has used one of its tries up.
 * @throws Problem `link.invalid`, `code.invalid`, `sign_in.throttled`
 */
export async function present(
  deps: Needs,
  input: { readonly proof: Proof; readonly purposes: readonly Purpose[]; readonly client: Client },
): Promise<Presented> {
  const { proof, purposes, client } = input;
  if ("token" in proof) {
    const id = deps.oneTimeTokens.idOf(proof.token);
    if (id === undefined) throw new Problem(linkInvalid);
    return { id, isCode: false };
  }
  await deps.attempts.take(codeAddressBudget, client.addressKey);
  const id = await takeTry(deps.db, proof.email, purposes);
  if (id === undefined || !deps.oneTimeTokens.isCode(id, proof.code)) throw new Problem(codeInvalid);
  return { id, isCode: true };
}

/** Uses it up with the transaction. @throws Problem `link.invalid`, `code.invalid` */
export async function use(tx: Tx, presented: Presented, purposes: readonly Purpose[]): Promise<OneTimeToken> {
  const token = await markUsed(tx, presented.id, purposes);
  if (token === undefined) throw new Problem(presented.isCode ? codeInvalid : linkInvalid);
  return token;
}

/** What a link's text stands for, unused and in time; undefined for anything else. Uses nothing. */
export async function readLink(deps: Pick<Needs, "db" | "oneTimeTokens">, text: string): Promise<OneTimeToken | undefined> {
  const id = deps.oneTimeTokens.idOf(text);
  return id === undefined ? undefined : await findUsable(deps.db, id);
}
