/** A user name for somebody who comes from elsewhere, of what is said of them there. */

import { username } from "#src/features/accounts/public";

/** Leaves room for what tells namesakes apart. */
const MOST_OF_HINT = 20;
const FALLBACK = "user";

/** @param digits tells namesakes apart, different each time; @returns names that may be taken, the best first */
export function suggestUsernames(hints: readonly string[], digits: () => string): readonly string[] {
  const stem = hints.map(stemOf).find((name) => username.safeParse(name).success);
  const bare = stem === undefined ? [] : [stem];
  return [...bare, ...[1, 2, 3, 4].map(() => `${stem ?? FALLBACK}${digits()}`)];
}

/** Accents off, what is neither letter nor digit as a dot: `Åsa Öberg` is `asa.oberg`. */
function stemOf(hint: string): string {
  const plain = hint.slice(0, 200).normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase();
  const dotted = plain.replaceAll(/[^a-z0-9_]+/g, ".").slice(0, MOST_OF_HINT + 1);
  return dotted.replaceAll(/^[._]+|[._]+$/g, "");
}
