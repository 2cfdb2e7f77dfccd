/** What keeps the tables of this feature small. Nothing here ends a session: time does. */

import type { Db } from "#src/db/pool";
import type { Sweep } from "#src/jobs/job";
import { deleteOldRevocations } from "./feed.sql.ts";
import { deleteOldSessions } from "./sessions.sql.ts";
import { deleteExpiredDevices } from "./trusted-devices.sql.ts";

interface Deps {
  readonly db: Db;
}

export const sessionsSweeps: readonly Sweep<Deps>[] = [
  {
    name: "sessions.delete-old",
    summary: "Deletes sessions 90 days after their end, revocations after 24 hours, and devices when their trust is over",
    everyMs: 60_000,
    run: async ({ db }, signal) => {
      while (!signal.aborted && (await deleteOldSessions(db)) === 1_000);
      while (!signal.aborted && (await deleteOldRevocations(db)) === 1_000);
      while (!signal.aborted && (await deleteExpiredDevices(db)) === 1_000);
    },
  },
];
