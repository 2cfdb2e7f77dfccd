/** What keeps the tables of this feature small. Nothing here ends a session: time does. */

import type { Db } from "#src/db/pool";
import type { Sweep } from "#src/jobs/job";
import { deleteOldRevocations } from "./feed.sql.ts";
import { deleteOldSessions } from "./sessions.sql.ts";

interface Deps {
  readonly db: Db;
}

export const sessionsSweeps: readonly Sweep<Deps>[] = [
  {
    name: "sessions.delete-old",
    summary: "Deletes sessions 30 days after their end and revocations after 24 hours",
    everyMs: 60_000,
    run: async ({ db }, signal) => {
      while (!signal.aborted && (await deleteOldSessions(db)) === 1_000);
      while (!signal.aborted && (await deleteOldRevocations(db)) === 1_000);
    },
  },
];
