/** The sweep that tells of starts and ends. */

import type { Db } from "#src/db/pool";
import type { Sweep } from "#src/jobs/job";
import type { Log } from "#src/kernel/log";
import { announceDue } from "./announce.ts";

interface Needs {
  readonly db: Db;
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
];
