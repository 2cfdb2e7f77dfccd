/** The sweeps that tell of starts and ends, find who was waited for, and forget old fences. */

import type { Db } from "#src/db/pool";
import type { Sweep } from "#src/jobs/job";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { announceDue } from "./announce.ts";
import { deleteForgotten } from "./declared.sql.ts";
import { imposeOverdue } from "./impose-awaited.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
}

export const restrictionsSweeps: readonly Sweep<Needs>[] = [
  {
    name: "restrictions.announce",
    summary: "Tells users and neighbours that a restriction began or ended; enforcement does not wait for it",
    everyMs: 1_000,
    run: async (deps, signal) => {
      await announceDue(deps, signal);
    },
  },
  {
    name: "restrictions.impose-awaited",
    summary: "Imposes declared restrictions whose address has an account by now, where its registration did not tell",
    everyMs: 60_000,
    run: async (deps, signal) => {
      await imposeOverdue(deps, signal);
    },
  },
  {
    name: "restrictions.forget-declared",
    summary: "Forgets declarations that ended 30 days ago",
    everyMs: 3_600_000,
    run: async ({ db }, signal) => {
      while (!signal.aborted && (await deleteForgotten(db)) === 1_000);
    },
  },
];
