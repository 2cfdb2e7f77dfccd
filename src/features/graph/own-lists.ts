/** Lists that only their owner sees: who asks to follow, who is blocked, who is muted. The newest first, by keyset. */

import type { Db } from "#src/db/pool";
import { readPeople, type PersonView } from "#src/features/profiles/public";
import { cutPage, mapPage, type PlacedPage } from "#src/kernel/page";
import type { Viewer } from "#src/policy/decide";
import { selectBlocked, type BlockedRow } from "./block.sql.ts";
import { cursorsOf, readPlace } from "./follow-lists.ts";
import { selectRequests, type Place } from "./follow-lists.sql.ts";
import { selectMuted, type Mute } from "./mute.sql.ts";

interface Needs {
  readonly db: Db;
}

/** Who reads their own list, and which page. */
export interface OwnListInput {
  readonly viewer: Viewer;
  readonly limit: number;
  readonly cursor: string | undefined;
}

/** Someone muted, and how. */
export interface MutedPerson extends Mute {
  readonly user: PersonView;
}

/** Who waits for a yes. @throws Problem `input.invalid` for a cursor of another list */
export async function listRequests(deps: Needs, input: OwnListInput): Promise<PlacedPage<PersonView>> {
  const page = await pageOf(input, "requests", (after, limit) =>
    selectRequests(deps.db, { ownerId: input.viewer.userId, viewer: input.viewer, after, limit }),
  );
  const people = await peopleOf(deps, input.viewer, page);
  return mapPage(page, ({ id }) => people.get(id));
}

/** Whom one blocked. @throws Problem `input.invalid` for a cursor of another list */
export async function listBlocks(deps: Needs, input: OwnListInput): Promise<PlacedPage<BlockedRow>> {
  return await pageOf(input, "blocks", (after, limit) => selectBlocked(deps.db, { ownerId: input.viewer.userId, after, limit }));
}

/** Whom one muted, while it lasts. @throws Problem `input.invalid` for a cursor of another list */
export async function listMutes(deps: Needs, input: OwnListInput): Promise<PlacedPage<MutedPerson>> {
  const page = await pageOf(input, "mutes", (after, limit) => selectMuted(deps.db, { ownerId: input.viewer.userId, after, limit }));
  const people = await peopleOf(deps, input.viewer, page);
  return mapPage(page, ({ id, until, notifications }) => {
    const user = people.get(id);
    return user === undefined ? undefined : { user, until, notifications };
  });
}

async function peopleOf(deps: Needs, viewer: Viewer, { data }: PlacedPage<Place>): Promise<ReadonlyMap<string, PersonView>> {
  const people = await readPeople(deps, { viewer, ids: data.map(({ id }) => id), action: "view" });
  return new Map(people.map((person) => [person.id, person]));
}

async function pageOf<Row extends Place>(
  { viewer, limit, cursor }: OwnListInput,
  which: string,
  select: (after: Place | undefined, limit: number) => Promise<Row[]>,
): Promise<PlacedPage<Row>> {
  const list = `${which}:${viewer.userId}`;
  const found = await select(cursor === undefined ? undefined : readPlace(list, cursor), limit + 1);
  return cutPage(found, limit, cursorsOf(list));
}
