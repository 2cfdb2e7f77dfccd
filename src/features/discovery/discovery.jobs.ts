/** Timed work of discovery. */

import type { Db } from "#src/db/pool";
import type { Sweep } from "#src/jobs/job";
import { deleteEndedDismissals } from "./suggestions.sql.ts";

interface Deps {
  readonly db: Db;
}

export const discoverySweeps: readonly Sweep<Deps>[] = [
  {
    name: "discovery.forget-dismissals",
    summary: "Deletes dismissals of suggestions that have reached their end",
    everyMs: 60 * 60_000,
    run: (deps) => deleteEndedDismissals(deps.db),
  },
];
