/** Text that no string from outside may hold, wherever it is: PostgreSQL cannot keep NUL, and lone surrogates are no Unicode. */

import type { InputError } from "./problem.ts";

/** Deeper input is refused rather than walked. */
const MAX_DEPTH = 32;

/** What is said of text that is not clean. */
export const UNCLEAN = "holds a NUL character or half of a surrogate pair";

/** Whether the text holds no NUL and no lone surrogate. */
export function isCleanText(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

/** Looks through parsed JSON, keys included, and tells the first place that is refused; `path` names the value itself, e.g. `variables`. */
export function findUnsafeText(value: unknown, path: string, depth = 0): InputError | undefined {
  if (typeof value === "string") return isCleanText(value) ? undefined : { path, message: UNCLEAN };
  if (typeof value !== "object" || value === null) return undefined;
  if (depth === MAX_DEPTH) return { path: shortened(path), message: "is nested too deeply" };
  for (const [key, inner] of Object.entries(value)) {
    if (!isCleanText(key)) return { path, message: `has a key that ${UNCLEAN}` };
    const found = findUnsafeText(inner, `${path}.${key}`, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function shortened(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}…` : path;
}
