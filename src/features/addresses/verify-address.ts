/** Confirming an address, whatever for: one door, since whoever got a mail need not know what it was for. */

import type { Db } from "#src/db/pool";
import { inTx, type Tx } from "#src/db/tx";
import { lockSubject } from "#src/events/append";
import { hasEnded, lockFacts, writeVerified } from "#src/features/accounts/public";
import {
  codeInvalid,
  findUsable,
  linkInvalid,
  present,
  use,
  type OneTimeToken,
  type OneTimeTokens,
  type Presented,
  type Proof,
  type Purpose,
} from "#src/features/one-time-tokens/public";
import { announceChange } from "#src/features/sessions/public";
import { completeRegistration } from "#src/features/sign-in/public";
import type { Attempts, Client } from "#src/kernel/actor";
import type { Clock } from "#src/kernel/clock";
import { securityEvent, type Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { applyAddressChange, undoAddressChange } from "./change-address.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly attempts: Attempts;
  readonly oneTimeTokens: OneTimeTokens;
}

/** What was confirmed. */
export interface Verified {
  readonly what: "registration" | "address" | "address_change" | "address_undo";
  readonly email: string;
}

const BY_CODE: readonly Purpose[] = ["registration", "address", "address_change"];

/**
 * Uses a proof and does what it was mailed for.
 * @param username in place of the one a registration asked for
 * @throws Problem `link.invalid`, `code.invalid`, `username.taken`, `email.taken`, `sign_in.throttled`
 */
export async function verifyAddress(
  deps: Needs,
  input: { readonly proof: Proof; readonly username?: string | undefined; readonly client: Client },
): Promise<Verified> {
  const presented = await present(deps, { proof: input.proof, purposes: BY_CODE, client: input.client });
  const invalid = new Problem(presented.isCode ? codeInvalid : linkInvalid);
  const read = await findUsable(deps.db, presented.id);
  if (read === undefined) throw invalid;
  const { purpose, userId } = read;
  const done = (what: Verified["what"], who: string): Verified => {
    securityEvent(deps.log, { kind: "email.verified", userId: who, reason: what, address: input.client.address });
    return { what, email: read.email };
  };
  if (purpose === "registration") {
    const made = await inTx(deps.db, async (tx) => {
      const token = await use(tx, presented, ["registration"]);
      return await completeRegistration(deps, tx, { token, username: input.username });
    });
    return done("registration", made.userId);
  }
  if (userId === null || !isOfAccount(purpose)) throw invalid;
  await inTx(deps.db, async (tx) => await apply(deps, tx, { ...presented, userId, purpose }), { durable: true });
  return done(purpose, userId);
}

interface Applied extends Presented {
  readonly userId: string;
  readonly purpose: AccountPurpose;
}

/** What an account that is there may have confirmed. */
type AccountPurpose = Exclude<Verified["what"], "registration">;

function isOfAccount(purpose: Purpose): purpose is AccountPurpose {
  return purpose === "address" || purpose === "address_change" || purpose === "address_undo";
}

async function apply(deps: Needs, tx: Tx, applied: Applied): Promise<OneTimeToken> {
  switch (applied.purpose) {
    case "address":
      return await confirmOwn(tx, applied);
    case "address_change":
      return await applyAddressChange(deps, tx, applied);
    case "address_undo":
      return await undoAddressChange(deps, tx, applied);
  }
}

async function confirmOwn(tx: Tx, applied: Applied): Promise<OneTimeToken> {
  await lockSubject(tx, applied.userId);
  const account = await lockFacts(tx, applied.userId);
  const token = await use(tx, applied, ["address"]);
  // Mailed to an address that is the account's no more.
  if (account === undefined || hasEnded(account) || account.email.toLowerCase() !== token.email.toLowerCase())
    throw new Problem(linkInvalid);
  await writeVerified(tx, applied.userId);
  await announceChange(tx, applied.userId);
  return token;
}
