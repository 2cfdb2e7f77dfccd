/** Timed work of profiles. */

import type { Db } from "#src/db/pool";
import type { Sweep } from "#src/jobs/job";
import { deleteOldTies } from "./tie-changes.sql.ts";

interface Deps {
  readonly db: Db;
}

export const profilesSweeps: readonly Sweep<Deps>[] = [
  {
    name: "profiles.forget-ties",
    summary: "Deletes changes of who may see whom that every process has read",
    everyMs: 60 * 60_000,
    run: (deps) => deleteOldTies(deps.db),
  },
];
