/** Carrying out a declared wish within one transaction: the fence, the account, and what there is to do. */

import { findUserId, userNotFound } from "#src/features/accounts/public";
import type { Db } from "#src/db/pool";
import type { Tx } from "#src/db/tx";
import type { Clock } from "#src/kernel/clock";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { conflictWith, endOther, liveOf, look, written, type Applied, type Asked } from "./asked.ts";
import { declaredState, type Declared } from "./declared.rows.ts";
import { lockAddress, lockDeclaration, selectWaitingRival, writeGeneration, writeLive } from "./declared.sql.ts";
import { judgeWish, namesTheSame, type Seen } from "./fence.ts";
import { imposeWish, type Target } from "./impose-wish.ts";
import { lockAccounts } from "./parties.ts";
import { databaseNow } from "./restrictions.sql.ts";
import { declaredTerm } from "./term.ts";
import { keptWish, type Reference } from "./wish.ts";

/**
 * Locks, in this order: the declaration, (the address,) the version rows and accounts of all concerned. Nothing is written
 * before all refusals are past.
 * @throws Problem `restriction.superseded`, `user.not_found`, `restriction.staff_target`, `restriction.conflict`, `input.invalid`
 */
export async function applyWish(deps: { readonly clock: Clock }, tx: Tx, asked: Asked): Promise<Applied> {
  const { name, wish } = asked;
  // Sent together, run in this order: what is read is read under the lock.
  const [, seen, found] = await Promise.all([lockDeclaration(tx, name), look(tx, asked), lookUp(tx, wish.reference)]);
  const verdict = judgeWish(seen, wish);
  if (seen.own !== undefined && !namesTheSame(seen.own, wish)) throw otherReference();
  const isSame = verdict === "repeat" || verdict === "later-same";
  const userId = seen.own?.user_id ?? known(wish.reference, found);
  if (userId === undefined) return await wait(tx, asked, { seen, isSame });
  const target = await lockTarget(tx, asked, { userId, seen });
  const { own } = target.seen;
  if (isSame && own !== undefined && isSettled(own)) return await keep(tx, asked, own);
  return await imposeWish(deps, tx, { ...asked, ...target });
}

/**
 * Whose it is. An id need not be looked up: locking it tells. An address that nobody has may still come.
 * @throws Problem `user.not_found` for a username that nobody has
 */
export async function findAccount(on: Db | Tx, reference: Reference): Promise<string | undefined> {
  return known(reference, await lookUp(on, reference));
}

async function lookUp(on: Db | Tx, reference: Reference): Promise<string | undefined> {
  return "id" in reference ? reference.id : await findUserId(on, reference);
}

function known(reference: Reference, found: string | undefined): string | undefined {
  if (found === undefined && "username" in reference) throw new Problem(userNotFound);
  return found;
}

/** Whether a repeat of its wish has nothing to do: also when its term was over before anybody came. */
export function isSettled(declared: Declared): boolean {
  const state = declaredState(declared);
  return state === "planned" || state === "active" || state === "ended";
}

interface Found {
  readonly userId: string;
  readonly seen: Seen;
}

/**
 * Locks the account, and that of an older incarnation, and reads again what was imposed: now nobody else can touch it. Where
 * nothing was, the lock of the declaration keeps it so.
 */
async function lockTarget(tx: Tx, asked: Asked, { userId, seen }: Found): Promise<Target> {
  const accounts = await lockAccounts(tx, [userId, seen.live?.user_id ?? userId]);
  const subject = accounts.get(userId);
  if (subject === undefined) throw new Problem(userNotFound);
  const isFirst = seen.own === undefined && seen.live === undefined;
  return { subject, seen: isFirst ? seen : await look(tx, asked) };
}

/** What holds is what is wished: at most the generation is new. */
async function keep(tx: Tx, asked: Asked, own: Declared): Promise<Applied> {
  if (asked.wish.generation > own.generation) await writeGeneration(tx, own, asked.wish.generation);
  return { outcome: "unchanged", declared: await written(tx, asked), told: [] };
}

interface Waiting {
  readonly seen: Seen;
  readonly isSame: boolean;
}

/** Nobody has the address. What is kept is enough to impose it without being asked again. */
async function wait(tx: Tx, asked: Asked, { seen: { own, live }, isSame }: Waiting): Promise<Applied> {
  const { name, wish, body } = asked;
  if (!("emailHash" in wish.reference)) throw new Problem(userNotFound);
  const { emailHash } = wish.reference;
  if (!isSame) {
    await lockAddress(tx, emailHash);
    const rival = await selectWaitingRival(tx, emailHash, name);
    if (rival !== undefined) throw conflictWith(rival);
    declaredTerm(await databaseNow(tx), wish, { firstEnforcedAt: null, goesOnFrom: undefined });
  }
  const told = live === undefined ? [] : await endOther(tx, asked, live);
  const declared = await writeLive(tx, { ...liveOf(asked, own), userId: null, emailHash, wish: keptWish(body) });
  return { outcome: isSame ? "unchanged" : "waiting", declared, told };
}

function otherReference(): Problem {
  return new Problem(inputInvalid, {
    errors: [{ path: "body.user", message: "names another account than before; a declaration keeps its account, so make another one" }],
  });
}
