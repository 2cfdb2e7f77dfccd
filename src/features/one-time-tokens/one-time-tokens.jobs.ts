/** What keeps the table small. */

import type { Db } from "#src/db/pool";
import type { Sweep } from "#src/jobs/job";
import { deleteOldTokens } from "./one-time-tokens.sql.ts";

interface Deps {
  readonly db: Db;
}

export const oneTimeTokensSweeps: readonly Sweep<Deps>[] = [
  {
    name: "one-time-tokens.delete-old",
    summary: "Deletes links and codes a day after their end",
    everyMs: 60_000,
    run: async ({ db }, signal) => {
      while (!signal.aborted && (await deleteOldTokens(db)) === 1_000);
    },
  },
];
