/** Suggesting people, and not wanting somebody suggested. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import { readPeople, requirePerson, type PersonView } from "#src/features/profiles/public";
import type { Viewer } from "#src/policy/decide";
import { selectFriendsOfFriends, selectPopular, writeDismissal } from "./suggestions.sql.ts";

interface Needs {
  readonly db: Db;
}

/** Why somebody is suggested: people one follows do follow them, or many do. */
export type Reason =
  | { readonly kind: "followed_by"; readonly by: readonly PersonView[]; readonly count: number }
  | { readonly kind: "popular" };

export interface Suggestion {
  readonly user: PersonView;
  readonly reason: Reason;
}

const DISMISSED_DAYS = 90;
const MOST_DISMISSED = 1_000;

/** Friends of friends, those followed by most of one's own first; where they are few, popular people after them. */
export async function suggest(deps: Needs, input: { readonly viewer: Viewer; readonly limit: number }): Promise<Suggestion[]> {
  const { viewer, limit } = input;
  const near = await selectFriendsOfFriends(deps.db, viewer, limit);
  const known = new Set(near.map(({ id }) => id));
  const popular = near.length < limit ? (await selectPopular(deps.db, viewer, limit)).filter(({ id }) => !known.has(id)) : [];
  const found = [...near, ...popular].slice(0, limit);
  const [people, friends] = await Promise.all([
    readPeople(deps, { viewer, ids: found.map(({ id }) => id), action: "find" }),
    readPeople(deps, { viewer, ids: [...new Set(near.flatMap(({ by }) => by))], action: "view" }),
  ]);
  const friendOf = new Map(friends.map((friend) => [friend.id, friend]));
  const reasonOf = new Map<string, Reason>(
    near.map(({ id, by, count }) => [id, { kind: "followed_by", by: by.flatMap((one) => friendOf.get(one) ?? []), count }]),
  );
  return people.map((user) => ({ user, reason: reasonOf.get(user.id) ?? { kind: "popular" } }));
}

/**
 * Has somebody not suggested for 90 days; again begins them anew. The thousand last stand.
 * @throws Problem `user.not_found`, `user.unavailable`
 */
export async function dismiss(deps: Needs, input: { readonly viewer: Viewer; readonly id: string }): Promise<void> {
  const { viewer, id } = input;
  await requirePerson(deps, { viewer, id, action: "view" });
  if (id === viewer.userId) return;
  await inTx(deps.db, (tx) => writeDismissal(tx, { userId: viewer.userId, dismissedId: id, days: DISMISSED_DAYS, most: MOST_DISMISSED }));
}
