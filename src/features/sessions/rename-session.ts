/** Naming a session, so that its owner knows it again in the list. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import type { Actor } from "#src/kernel/actor";
import { Problem } from "#src/kernel/problem";
import { sessionNotFound } from "./sessions.errors.ts";
import { writeName } from "./sessions.sql.ts";
import { sessionView, type PlaceOf, type SessionView } from "./sessions.views.ts";

interface Needs {
  readonly db: Db;
  readonly placeOf?: PlaceOf;
}

/** @param input.name null takes the name away. @throws Problem `session.not_found` also for those of others */
export async function renameSession(
  deps: Needs,
  input: { readonly actor: Actor; readonly sessionId: string; readonly name: string | null },
): Promise<SessionView> {
  const { userId, sessionId: currentId } = input.actor;
  const renamed = await inTx(deps.db, (tx) => writeName(tx, { id: input.sessionId, userId, name: input.name }));
  if (renamed === undefined) throw new Problem(sessionNotFound);
  return sessionView(renamed, { currentId, placeOf: deps.placeOf });
}
