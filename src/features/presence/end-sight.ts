/** Taking those who may not watch any more out of the rooms they are in. */

import type { Db } from "#src/db/pool";
import type { Actor } from "#src/kernel/actor";
import { selectSight, type Tie } from "./presence.sql.ts";
import { profileRoom, roomsOf, watchRoom } from "./watch.ts";

/** A connection that watches. */
export interface Watcher {
  readonly actor: Pick<Actor, "userId" | "role">;
  readonly leave: (room: string) => Promise<void>;
}

interface Needs {
  readonly db: Db;
  /** The connections of this process in a room. */
  readonly connectionsIn: (room: string) => readonly Watcher[];
}

/** Viewers asked about in one statement. */
const BATCH = 500;

/** Asks the policy about every connection here that watches across one of these ties, and has those it refuses leave. */
export async function endSight(needs: Needs, ties: readonly Tie[]): Promise<void> {
  for (const [targetId, viewerIds] of grouped(ties)) {
    const watching = [watchRoom(targetId), profileRoom(targetId)].flatMap((room) =>
      needs
        .connectionsIn(room)
        .flatMap((connection) => (viewerIds.has(connection.actor.userId) || viewerIds.has(null) ? { room, connection } : [])),
    );
    for (let start = 0; start < watching.length; start += BATCH) await leaveUnseen(needs, targetId, watching.slice(start, start + BATCH));
  }
}

interface Place {
  readonly room: string;
  readonly connection: Watcher;
}

async function leaveUnseen(needs: Needs, targetId: string, places: readonly Place[]): Promise<void> {
  // One line a viewer: the role of a connection is its account's.
  const viewers = [...new Map(places.map(({ connection: { actor } }) => [actor.userId, actor])).values()];
  const allowed = new Map((await selectSight(needs.db, viewers, [targetId])).map((sight) => [sight.viewer_id, new Set(roomsOf(sight))]));
  for (const { room, connection } of places) if (allowed.get(connection.actor.userId)?.has(room) !== true) await connection.leave(room);
}

/** Whom it is about -> whose sight of them changed; null for everybody's. */
function grouped(ties: readonly Tie[]): ReadonlyMap<string, ReadonlySet<string | null>> {
  const byTarget = new Map<string, Set<string | null>>();
  const add = (target: string, viewer: string | null): void => {
    byTarget.set(target, (byTarget.get(target) ?? new Set()).add(viewer));
  };
  for (const { oneId, otherId } of ties) {
    add(oneId, otherId);
    if (otherId !== null) add(otherId, oneId);
  }
  return byTarget;
}
