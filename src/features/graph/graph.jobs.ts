/** Timed work of the graph. */

import type { Db } from "#src/db/pool";
import type { Sweep } from "#src/jobs/job";
import { foldCounts } from "./fold.ts";
import { deleteEndedMutes } from "./mute.sql.ts";

interface Deps {
  readonly db: Db;
}

export const graphSweeps: readonly Sweep<Deps>[] = [
  {
    name: "graph.fold-counts",
    summary: "Folds the deltas of follower counters into their bases",
    everyMs: 1_000,
    run: foldCounts,
  },
  {
    name: "graph.forget-mutes",
    summary: "Deletes mutes that have reached their end",
    everyMs: 60 * 60_000,
    run: (deps) => deleteEndedMutes(deps.db),
  },
];
