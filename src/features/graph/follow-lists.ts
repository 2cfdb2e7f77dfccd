/** Lists of followers and of those followed: candidates here, then hydrate, rules and present in profiles. */

import type { Db } from "#src/db/pool";
import { readPeople, requirePerson, type PersonView } from "#src/features/profiles/public";
import { isUuid } from "#src/kernel/ids";
import { decodeCursor, encodeCursor, type Page } from "#src/kernel/page";
import { inputInvalid, Problem } from "#src/kernel/problem";
import type { Viewer } from "#src/policy/decide";
import { countsOf } from "./counts.sql.ts";
import { selectFollowers, selectFollowing, type Place } from "./follow-lists.sql.ts";

interface Needs {
  readonly db: Db;
}

/** Whose list, who reads it, and which page. */
export interface ListInput {
  readonly viewer: Viewer;
  readonly ownerId: string;
  readonly limit: number;
  readonly cursor: string | undefined;
}

/**
 * Who follows someone, the newest first. Only one's own list tells its total: count minus list would tell who is hidden.
 * @throws Problem `user.not_found`, `user.unavailable`, `input.invalid` for a cursor of another list
 */
export async function listFollowers(deps: Needs, input: ListInput): Promise<Page<PersonView>> {
  return await page(deps, input, "followers");
}

/** Whom someone follows, the newest first. @throws as `listFollowers` */
export async function listFollowing(deps: Needs, input: ListInput): Promise<Page<PersonView>> {
  return await page(deps, input, "following");
}

async function page(deps: Needs, input: ListInput, which: "followers" | "following"): Promise<Page<PersonView>> {
  const { viewer, ownerId, limit } = input;
  const list = `${which}:${ownerId}`;
  const after = input.cursor === undefined ? undefined : readCursor(list, input.cursor);
  const isOwn = viewer.userId === ownerId;
  if (!isOwn) await requirePerson(deps, { viewer, id: ownerId, action: "view" });
  const select = which === "followers" ? selectFollowers : selectFollowing;
  const found = await select(deps.db, { ownerId, viewer, after, limit: limit + 1 });
  const shown = found.slice(0, limit);
  const last = found.length > limit ? shown.at(-1) : undefined;
  const nextCursor = last === undefined ? null : encodeCursor(list, [last.changed_us, last.id]);
  const data = await readPeople(deps, { viewer, ids: shown.map(({ id }) => id), action: "view" });
  if (!isOwn) return { data, pagination: { nextCursor } };
  const counts = (await countsOf(deps.db, [ownerId])).get(ownerId);
  const total = (which === "followers" ? counts?.followersCount : counts?.followingCount) ?? 0;
  return { data, pagination: { nextCursor, total, totalIsExact: true } };
}

function readCursor(list: string, cursor: string): Place {
  const [changedUs = "", id = ""] = decodeCursor(list, cursor, 2);
  if (!/^\d{1,16}$/.test(changedUs) || !isUuid(id)) {
    throw new Problem(inputInvalid, { errors: [{ path: "query.cursor", message: "not a cursor of this list; begin again without one" }] });
  }
  return { changed_us: changedUs, id };
}
