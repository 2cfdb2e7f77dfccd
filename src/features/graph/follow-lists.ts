/** Lists of followers and of those followed: candidates here, then hydrate, rules and present in profiles. */

import type { Db } from "#src/db/pool";
import { userNotFound } from "#src/features/accounts/public";
import { readPeople, readRefusals, type PersonView } from "#src/features/profiles/public";
import { isUuid } from "#src/kernel/ids";
import { cutPage, decodeCursor, encodeCursor, mapPage, type PlacedPage } from "#src/kernel/page";
import { inputInvalid, Problem } from "#src/kernel/problem";
import type { Viewer } from "#src/policy/decide";
import { countsOf } from "./counts.sql.ts";
import { selectFollowers, selectFollowing, type Place } from "./follow-lists.sql.ts";

interface Needs {
  readonly db: Db;
}

/** Which of the two lists of somebody. */
export type Direction = "followers" | "following";

/** Who reads, and which page. */
interface PageInput {
  readonly viewer: Viewer;
  readonly limit: number;
  readonly cursor: string | undefined;
}

/** Whose list, who reads it, and which page. */
export interface ListInput extends PageInput {
  readonly ownerId: string;
}

/**
 * Who follows someone, the newest first. Only one's own list tells its total: count minus list would tell who is hidden.
 * @throws Problem `user.not_found`, `user.unavailable`, `user.private`, `input.invalid` for a cursor of another list
 */
export async function listFollowers(deps: Needs, input: ListInput): Promise<PlacedPage<PersonView>> {
  return await listOne(deps, "followers", input);
}

/** Whom someone follows, the newest first. @throws as `listFollowers` */
export async function listFollowing(deps: Needs, input: ListInput): Promise<PlacedPage<PersonView>> {
  return await listOne(deps, "following", input);
}

async function listOne(deps: Needs, which: Direction, { ownerId, ...input }: ListInput): Promise<PlacedPage<PersonView>> {
  const [page] = await listOfMany(deps, which, { ...input, ownerIds: [ownerId] });
  if (page === undefined) throw new Error("no answer for a list that was asked for");
  if (page instanceof Problem) throw page;
  return page;
}

/**
 * The same list of many people, in the order of `ownerIds`: three statements however many they are, one more where the viewer
 * is among them. Where one list is refused, as `listFollowers` would, its problem stands in its place.
 */
export async function listOfMany(
  deps: Needs,
  which: Direction,
  input: PageInput & { readonly ownerIds: readonly string[] },
): Promise<(PlacedPage<PersonView> | Problem)[]> {
  const { viewer, limit } = input;
  const { after, refusals: foreign } = placesFor(which, input);
  const others = input.ownerIds.filter((id) => !foreign.has(id) && id !== viewer.userId);
  const action = which === "followers" ? "view_followers" : "view_following";
  const refusals = new Map([...foreign, ...(await readRefusals(deps, { viewer, ids: others, action }))]);
  const ownerIds = input.ownerIds.filter((id) => !refusals.has(id));
  const select = which === "followers" ? selectFollowers : selectFollowing;
  const found = ownerIds.length === 0 ? [] : await select(deps.db, { ownerIds, viewer, after, limit: limit + 1 });
  const lists = Map.groupBy(found, ({ owner_id: ownerId }) => ownerId);
  const pages = new Map(ownerIds.map((id) => [id, cutPage(lists.get(id) ?? [], limit, cursorsOf(listOf(which, id)))]));
  const [people, total] = await Promise.all([
    readPeople(deps, { viewer, ids: [...new Set([...pages.values()].flatMap(({ data }) => data.map(({ id }) => id)))], action: "view" }),
    pages.has(viewer.userId) ? ownTotal(deps, which, viewer.userId) : {},
  ]);
  const personOf = new Map(people.map((person) => [person.id, person]));
  return input.ownerIds.map((ownerId) => {
    const page = pages.get(ownerId);
    if (page === undefined) return refusals.get(ownerId) ?? new Problem(userNotFound);
    const { pagination, ...shown } = mapPage(page, ({ id }) => personOf.get(id));
    return { ...shown, pagination: { ...pagination, ...(ownerId === viewer.userId && total) } };
  });
}

/** A cursor names whose list it is of, so that of many lists it can be of one only; the others are refused. */
function placesFor(
  which: Direction,
  { ownerIds, cursor }: { readonly ownerIds: readonly string[]; readonly cursor: string | undefined },
): { readonly after: Place | undefined; readonly refusals: ReadonlyMap<string, Problem> } {
  const refusals = new Map<string, Problem>();
  let after: Place | undefined;
  if (cursor === undefined) return { after, refusals };
  for (const ownerId of ownerIds) {
    try {
      after = readPlace(listOf(which, ownerId), cursor);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      refusals.set(ownerId, error);
    }
  }
  return { after, refusals };
}

async function ownTotal(deps: Needs, which: Direction, id: string): Promise<{ readonly total: number; readonly totalIsExact: true }> {
  const counts = (await countsOf(deps.db, [id])).get(id);
  return { total: (which === "followers" ? counts?.followersCount : counts?.followingCount) ?? 0, totalIsExact: true };
}

function listOf(which: Direction, ownerId: string): string {
  return `${which}:${ownerId}`;
}

/** What makes the cursors of a list out of its rows. */
export function cursorsOf(list: string): (place: Place) => string {
  return (place) => encodeCursor(list, [place.changed_us, place.id]);
}

/** The place a cursor of this list stands for. @throws Problem `input.invalid` */
export function readPlace(list: string, cursor: string): Place {
  const [changedUs = "", id = ""] = decodeCursor(list, cursor, 2);
  if (!/^\d{1,16}$/.test(changedUs) || !isUuid(id)) {
    throw new Problem(inputInvalid, { errors: [{ path: "query.cursor", message: "not a cursor of this list; begin again without one" }] });
  }
  return { changed_us: changedUs, id };
}
