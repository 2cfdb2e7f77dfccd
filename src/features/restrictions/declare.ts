/** Declaring a restriction: what another system wishes, as often as it likes. */

import type { DeclarationOutcome } from "#src/contract/external-restrictions";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import type { Clock } from "#src/kernel/clock";
import { securityEvent, type Log } from "#src/kernel/log";
import { applyWish, findAccount, isSettled } from "./apply-wish.ts";
import type { Asked } from "./asked.ts";
import { declaredState, type Declared, type DeclarationName } from "./declared.rows.ts";
import type { WishBody } from "./declared.schemas.ts";
import { selectDeclared } from "./declared.sql.ts";
import { judgeWish, seenOf } from "./fence.ts";
import { readWish } from "./wish.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
}

/** What a call did, and how the declaration stands after it. */
export interface Declaration {
  readonly outcome: DeclarationOutcome;
  readonly declared: Declared;
  /** Whether an account's standing or its sessions may have changed. */
  readonly changed: boolean;
}

/**
 * Has the account restricted as wished, or sees that it is: one statement then, two while it waits.
 * @throws Problem `restriction.superseded`, `user.not_found`, `restriction.staff_target`, `restriction.conflict`, `input.invalid`
 */
export async function declare(deps: Needs, name: DeclarationName, body: WishBody): Promise<Declaration> {
  const asked = { name, body, wish: readWish(body) };
  const standing = await asWished(deps.db, asked);
  if (standing !== undefined) return { outcome: "unchanged", declared: standing, changed: false };
  const done = await carryOut(deps, asked);
  // Whoever registered before that commit was not seen by it, and their event may have come by before there was anything to find.
  const mayHaveCome = done.outcome === "waiting" && (await findAccount(deps.db, asked.wish.reference)) !== undefined;
  return mayHaveCome ? { ...(await carryOut(deps, asked)), changed: true } : done;
}

/** What holds, if it is what is wished. Takes no lock: a fence only ever grows, and what is settled may change right after the answer all the same. */
async function asWished(db: Db, { name, wish }: Asked): Promise<Declared | undefined> {
  const seen = seenOf(await selectDeclared(db, name, wish.uid), wish.uid);
  if (judgeWish(seen, wish) !== "repeat" || seen.own === undefined) return undefined;
  if (isSettled(seen.own)) return seen.own;
  if (declaredState(seen.own) !== "waiting") return undefined;
  return (await findAccount(db, wish.reference)) === undefined ? seen.own : undefined;
}

async function carryOut(deps: Needs, asked: Asked): Promise<Declaration> {
  const { outcome, declared, told } = await inTx(deps.db, (tx) => applyWish(deps, tx, asked), { durable: true });
  for (const event of told) securityEvent(deps.log, event);
  return { outcome, declared, changed: told.length > 0 };
}
