/** What carrying out a wish works with, and what its steps share. */

import type { DeclarationOutcome } from "#src/contract/external-restrictions";
import type { Tx } from "#src/db/tx";
import type { SecurityEvent } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import type { Declared, DeclarationName, DeclaredRow } from "./declared.rows.ts";
import type { WishBody } from "./declared.schemas.ts";
import { selectDeclared, type LiveDeclaration } from "./declared.sql.ts";
import { endIncarnation, type Ending } from "./end-incarnation.ts";
import { seenOf, type Seen } from "./fence.ts";
import { lockAccounts } from "./parties.ts";
import { restrictionConflict } from "./restrictions.errors.ts";
import type { Wish } from "./wish.ts";

/** A wish, as it came and as it is worked with. */
export interface Asked {
  readonly name: DeclarationName;
  readonly body: WishBody;
  readonly wish: Wish;
}

/** What was done, and how the declaration stands now. */
export interface Applied {
  readonly outcome: DeclarationOutcome;
  readonly declared: Declared;
  /** For the security stream, after the commit. */
  readonly told: readonly SecurityEvent[];
}

/** What is known of the declaration at this moment. */
export async function look(tx: Tx, { name, wish }: Asked): Promise<Seen> {
  return seenOf(await selectDeclared(tx, name, wish.uid), wish.uid);
}

/** The incarnation as it was just written. */
export async function written(tx: Tx, asked: Asked): Promise<Declared> {
  const { own } = await look(tx, asked);
  if (own === undefined) throw new Error("the declaration was not written");
  return own;
}

/** What a wish leaves in any case; an account keeps the name it was found by. */
export function liveOf({ name, wish }: Asked, own: Declared | undefined): LiveDeclaration {
  return {
    ...name,
    uid: wish.uid,
    generation: wish.generation,
    createdAt: wish.createdAt,
    contentHash: wish.contentHash,
    referenceHash: own?.reference_hash ?? wish.referenceHash,
    userId: null,
    emailHash: null,
    wish: null,
    restrictionId: null,
    firstEnforcedAt: null,
    sessionsRevoked: 0,
  };
}

/** Whose wish it is, for the audit log. */
export function factsOf({ name, wish }: Asked): Ending["facts"] {
  return { ...name, uid: wish.uid, generation: wish.generation, requestedBy: wish.requestedBy };
}

/** Ends the older incarnation that nobody ended: its declaration was removed by force, and another made in its place. */
export async function endOther(tx: Tx, asked: Asked, live: Declared): Promise<SecurityEvent[]> {
  if (live.user_id !== null) await lockAccounts(tx, [live.user_id]);
  return await endIncarnation(tx, live, { how: "lifted", note: "its declaration was replaced by another", facts: factsOf(asked) });
}

/** The refusal that names the other declaration. */
export function conflictWith(rival: DeclaredRow): Problem {
  return new Problem(restrictionConflict, {
    detail: `${rival.external_id} (${rival.source}) restricts that account already`,
    extensions: { conflictsWith: { source: rival.source, externalId: rival.external_id } },
  });
}
