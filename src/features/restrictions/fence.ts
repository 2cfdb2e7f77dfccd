/** The fence: which calls about a declaration still count. Pure. */

import { Problem } from "#src/kernel/problem";
import type { Declared } from "./declared.rows.ts";
import { restrictionSuperseded } from "./restrictions.errors.ts";
import type { Wish } from "./wish.ts";

/** What is known of a declaration when somebody speaks of its incarnation `uid`. */
export interface Seen {
  readonly own: Declared | undefined;
  /** Another incarnation that was not ended. */
  readonly live: Declared | undefined;
  /** When the newest of the others was made. */
  readonly newestOther: Date | undefined;
}

/** Sorts what `selectDeclared` found. */
export function seenOf(found: readonly Declared[], uid: string): Seen {
  const others = found.filter((one) => one.uid !== uid);
  const times = others.map((one) => one.object_created_at.getTime());
  return {
    own: found.find((one) => one.uid === uid),
    live: others.find((one) => one.ended_at === null),
    newestOther: times.length === 0 ? undefined : new Date(Math.max(...times)),
  };
}

/**
 * How a wish relates to what was seen: the first of its incarnation, a later version (with the same content or another),
 * or the very one. Of two incarnations the later made one counts; when both were made in one second, the later seen.
 * @throws Problem `restriction.superseded`
 */
export function judgeWish(seen: Seen, wish: Wish): "first" | "later" | "later-same" | "repeat" {
  const { own } = seen;
  refuseOldIncarnation(seen, wish);
  if (own === undefined) return "first";
  if (wish.generation < own.generation) throw superseded(`Generation ${own.generation} is known`);
  const isSame = own.content_hash?.equals(wish.contentHash) === true;
  if (wish.generation > own.generation) return isSame ? "later-same" : "later";
  if (!isSame || !namesTheSame(own, wish)) throw superseded(`Generation ${own.generation} is known with other content`);
  return "repeat";
}

function refuseOldIncarnation({ own, newestOther }: Seen, wish: Wish): void {
  if (own !== undefined && own.ended_at !== null) throw superseded("That incarnation has ended");
  const createdAt = own?.object_created_at ?? wish.createdAt;
  if (newestOther !== undefined && newestOther > createdAt) throw superseded("A later incarnation is known");
}

/** Whether the wish names the account as before, or by the id that was found then. */
export function namesTheSame(own: Declared, wish: Wish): boolean {
  if (own.reference_hash?.equals(wish.referenceHash) === true) return true;
  return own.user_id !== null && "id" in wish.reference && wish.reference.id === own.user_id;
}

/**
 * Whether an end still counts. One of an incarnation that has ended does, as a repeat; one of an incarnation that was
 * never seen does, as it keeps that out.
 * @throws Problem `restriction.superseded` when a later generation was seen
 */
export function judgeEnd({ own }: Seen, end: { readonly generation: number }): void {
  if (own !== undefined && own.ended_at === null && end.generation < own.generation)
    throw superseded(`Generation ${own.generation} is known`);
}

function superseded(detail: string): Problem {
  return new Problem(restrictionSuperseded, { detail });
}
