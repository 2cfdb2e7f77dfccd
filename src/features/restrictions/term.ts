/** From when to when a restriction holds. Pure. */

import { inputInvalid, Problem, type InputError } from "#src/kernel/problem";

const YEARS_10_MS = 10 * 365.25 * 24 * 60 * 60 * 1000;

export interface Term {
  readonly startsAt: Date;
  readonly expiresAt: Date | null;
}

/**
 * The term that was asked for, seen at the database's time. A start that has passed (or none) is this moment: nothing is
 * restricted before it was decided, and a moderator's clock may be slow.
 * @throws Problem `input.invalid` when the end is not after the start, or either is out of reach (10 years)
 */
export function termAt(now: Date, wished: { readonly startsAt?: Date | undefined; readonly expiresAt?: Date | undefined }): Term {
  const startsAt = wished.startsAt !== undefined && wished.startsAt > now ? wished.startsAt : now;
  const expiresAt = wished.expiresAt ?? null;
  const errors: InputError[] = [];
  if (startsAt.getTime() > now.getTime() + YEARS_10_MS) errors.push({ path: "body.startsAt", message: "at most 10 years ahead" });
  if (expiresAt !== null && expiresAt <= startsAt)
    errors.push({ path: "body.expiresAt", message: "must be after startsAt and not in the past" });
  if (expiresAt !== null && expiresAt.getTime() > startsAt.getTime() + YEARS_10_MS) {
    errors.push({ path: "body.expiresAt", message: "at most 10 years after startsAt; a ban without end has none" });
  }
  if (errors.length > 0) throw new Problem(inputInvalid, { errors });
  return { startsAt, expiresAt };
}

/** What the term of a declared restriction depends on beside the wish. */
export interface Past {
  /** When the declaration was first in force, from which a duration counts. */
  readonly firstEnforcedAt: Date | null;
  /** The start of what it replaces, where it merely goes on. */
  readonly goesOnFrom: Date | undefined;
}

/**
 * The term of a declared restriction, whose end may be given as a duration.
 * @throws Problem `input.invalid` as `termAt`, and for a duration that is over
 */
export function declaredTerm(
  now: Date,
  wish: { readonly startsAt?: Date | undefined; readonly expiresAt?: Date | undefined; readonly durationSeconds?: number | undefined },
  { firstEnforcedAt, goesOnFrom }: Past,
): Term {
  const begin = wish.startsAt !== undefined && wish.startsAt > now ? wish.startsAt : now;
  const runsOut =
    wish.durationSeconds === undefined ? undefined : new Date((firstEnforcedAt ?? begin).getTime() + wish.durationSeconds * 1000);
  if (runsOut !== undefined && runsOut <= begin) {
    throw new Problem(inputInvalid, {
      errors: [{ path: "body.durationSeconds", message: "is over already, counted from when it was first in force" }],
    });
  }
  const term = termAt(now, { startsAt: wish.startsAt, expiresAt: wish.expiresAt ?? runsOut });
  return goesOnFrom !== undefined && term.startsAt <= now ? { ...term, startsAt: goesOnFrom } : term;
}
