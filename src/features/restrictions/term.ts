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
