/** Watching other people's presence. */

import type { Db } from "#src/db/pool";
import type { Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { tooManyWatched } from "./presence.errors.ts";
import { selectPresence, selectSight } from "./presence.sql.ts";
import { statusView, unseenView, type StatusView } from "./presence.views.ts";

/** People one connection may watch at once. */
const MOST_WATCHED = 2_000;

/** Rooms of those who watch somebody: whether they are there, and what becomes of their profile. */
const PREFIXES = ["watch:", "profile:"] as const;

export function watchRoom(userId: string): string {
  return `watch:${userId}`;
}

export function profileRoom(userId: string): string {
  return `profile:${userId}`;
}

/** The ids of those whom these rooms watch, each once. */
export function watchedIn(rooms: Iterable<string>): string[] {
  const ids = [...rooms].flatMap((room) => {
    const prefix = PREFIXES.find((one) => room.startsWith(one));
    return prefix === undefined ? [] : [room.slice(prefix.length)];
  });
  return [...new Set(ids)];
}

interface Needs {
  readonly db: Db;
}

interface Watching {
  readonly viewer: Actor;
  readonly userIds: readonly string[];
  /** Whom the connection watches already. */
  readonly watched: readonly string[];
  readonly join: (room: string) => Promise<void>;
  readonly leave: (room: string) => Promise<void>;
}

/**
 * Begins to watch those whom policy lets the viewer watch, and tells how all of them are now: joined before it is read, so
 * no change falls between. The others look like people who are not there, and are not watched. Policy is asked again after
 * joining: what changed in between found nobody in the room to take out.
 * @throws Problem `presence.too_many_watched`
 */
export async function watch(deps: Needs, watching: Watching): Promise<StatusView[]> {
  const userIds = [...new Set(watching.userIds.map((id) => id.toLowerCase()))];
  if (new Set([...watching.watched, ...userIds]).size > MOST_WATCHED)
    throw new Problem(tooManyWatched, { extensions: { limit: MOST_WATCHED } });
  const before = await roomsFor(deps, watching.viewer, userIds);
  for (const room of before) await watching.join(room);
  const after = await roomsFor(deps, watching.viewer, userIds);
  for (const room of before) if (!after.has(room)) await watching.leave(room);
  const watchable = userIds.filter((userId) => after.has(watchRoom(userId)));
  const found = new Map((await selectPresence(deps.db, watchable)).map((row) => [row.user_id, statusView(row)]));
  return userIds.map((userId) => found.get(userId) ?? unseenView(userId));
}

async function roomsFor(deps: Needs, viewer: Actor, userIds: readonly string[]): Promise<ReadonlySet<string>> {
  const seen = await selectSight(deps.db, [viewer], userIds);
  return new Set(seen.flatMap(roomsOf));
}

/** The rooms somebody may be in who sees so much of this person. */
export function roomsOf(sight: { readonly target_id: string; readonly watchable: boolean; readonly whole: boolean }): string[] {
  return [...(sight.watchable ? [watchRoom(sight.target_id)] : []), ...(sight.whole ? [profileRoom(sight.target_id)] : [])];
}
