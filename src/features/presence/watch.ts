/** Watching other people's presence. */

import type { Db } from "#src/db/pool";
import type { Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { tooManyWatched } from "./presence.errors.ts";
import { selectPresence, selectWatchable } from "./presence.sql.ts";
import { statusView, unseenView, type StatusView } from "./presence.views.ts";

/** People one connection may watch at once. */
const MOST_WATCHED = 2_000;

/** Rooms of those who watch somebody. */
const PREFIX = "watch:";

export function watchRoom(userId: string): string {
  return `${PREFIX}${userId}`;
}

export function isWatchRoom(room: string): boolean {
  return room.startsWith(PREFIX);
}

/** The ids of those whom these rooms watch. */
export function watchedIn(rooms: Iterable<string>): string[] {
  return [...rooms].filter(isWatchRoom).map((room) => room.slice(PREFIX.length));
}

interface Needs {
  readonly db: Db;
}

interface Watching {
  readonly viewer: Actor;
  readonly userIds: readonly string[];
  /** Whom the connection watches already. */
  readonly watched: readonly string[];
  readonly join: (userId: string) => Promise<void>;
}

/**
 * Begins to watch those whom policy lets the viewer watch, and tells how all of them are now: joined before it is read, so
 * no change falls between. The others look like people who are not there, and are not watched.
 * @throws Problem `presence.too_many_watched`
 */
export async function watch(deps: Needs, watching: Watching): Promise<StatusView[]> {
  const userIds = [...new Set(watching.userIds.map((id) => id.toLowerCase()))];
  if (new Set([...watching.watched, ...userIds]).size > MOST_WATCHED)
    throw new Problem(tooManyWatched, { extensions: { limit: MOST_WATCHED } });
  const watchable = await selectWatchable(deps.db, watching.viewer, userIds);
  for (const userId of watchable) await watching.join(userId);
  const found = new Map((await selectPresence(deps.db, watchable)).map((row) => [row.user_id, statusView(row)]));
  return userIds.map((userId) => found.get(userId) ?? unseenView(userId));
}
