/** The caller's own sessions. */

import type { Db } from "#src/db/pool";
import type { Actor } from "#src/kernel/actor";
import { isUuid } from "#src/kernel/ids";
import { decodeCursor, encodeCursor, type Page } from "#src/kernel/page";
import { inputInvalid, Problem } from "#src/kernel/problem";
import { selectSessions } from "./sessions.sql.ts";
import { sessionView, type SessionView } from "./sessions.views.ts";

interface Needs {
  readonly db: Db;
}

/** Standing sessions, newest first. @throws Problem `input.invalid` for a cursor of another list */
export async function listSessions(
  deps: Needs,
  input: { readonly actor: Actor; readonly limit: number; readonly cursor: string | undefined },
): Promise<Page<SessionView>> {
  const after = input.cursor === undefined ? undefined : readCursor(input.cursor);
  const found = await selectSessions(deps.db, { userId: input.actor.userId, after, limit: input.limit + 1 });
  const shown = found.slice(0, input.limit);
  const last = found.length > input.limit ? shown.at(-1) : undefined;
  return {
    data: shown.map((session) => sessionView(session, input.actor.sessionId)),
    pagination: { nextCursor: last === undefined ? null : encodeCursor("sessions", [last.created_at.toISOString(), last.id]) },
  };
}

function readCursor(cursor: string): { readonly createdAt: string; readonly id: string } {
  const [createdAt, id] = decodeCursor("sessions", cursor, 2);
  if (createdAt === undefined || id === undefined || !isUuid(id) || Number.isNaN(Date.parse(createdAt))) {
    throw new Problem(inputInvalid, { errors: [{ path: "query.cursor", message: "not a cursor of this list; begin again without one" }] });
  }
  return { createdAt: new Date(createdAt).toISOString(), id };
}
