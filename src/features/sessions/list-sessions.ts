/** The caller's own sessions. */

import type { Db } from "#src/db/pool";
import type { Actor } from "#src/kernel/actor";
import { isUuid } from "#src/kernel/ids";
import { cutPage, decodeCursor, encodeCursor, mapPage, type PlacedPage } from "#src/kernel/page";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { selectSessions } from "./sessions.sql.ts";
import type { SessionLimits } from "./session-limits.ts";
import { sessionView, type PlaceOf, type SessionView } from "./sessions.views.ts";

interface Needs {
  readonly db: Db;
  readonly sessionLimits: SessionLimits;
  readonly placeOf?: PlaceOf;
}

/** Standing sessions, newest first. @throws Problem `input.invalid` for a cursor of another list */
export async function listSessions(
  deps: Needs,
  input: { readonly actor: Actor; readonly limit: number; readonly cursor: string | undefined },
): Promise<PlacedPage<SessionView>> {
  const after = input.cursor === undefined ? undefined : readCursor(input.cursor);
  const found = await selectSessions(deps.db, {
    userId: input.actor.userId,
    after,
    limit: input.limit + 1,
    idleDays: deps.sessionLimits.idleDays,
  });
  const page = cutPage(found, input.limit, (session) => encodeCursor("sessions", [session.created_at.toISOString(), session.id]));
  return mapPage(page, (session) => sessionView(session, { currentId: input.actor.sessionId, placeOf: deps.placeOf }));
}

/** The newest 100 of anybody's, for those who may see them. */
export async function listSessionsOf(deps: Needs, userId: string): Promise<SessionView[]> {
  const found = await selectSessions(deps.db, { userId, after: undefined, limit: 100, idleDays: deps.sessionLimits.idleDays });
  return found.map((session) => sessionView(session, { currentId: "", placeOf: deps.placeOf }));
}

function readCursor(cursor: string): { readonly createdAt: string; readonly id: string } {
  const [createdAt, id] = decodeCursor("sessions", cursor, 2);
  if (createdAt === undefined || id === undefined || !isUuid(id) || Number.isNaN(Date.parse(createdAt))) {
    throw new Problem(inputInvalid, { errors: [{ path: "query.cursor", message: "not a cursor of this list; begin again without one" }] });
  }
  return { createdAt: new Date(createdAt).toISOString(), id };
}
