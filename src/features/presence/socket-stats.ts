/** Figures of open sockets, for moderators. */

import type { Db } from "#src/db/pool";
import { selectTotals } from "./presence.sql.ts";

interface Needs {
  readonly db: Db;
  readonly realtime: {
    readonly figures: () => {
      readonly connections: number;
      readonly users: number;
      readonly redis: "off" | "up" | "down";
      readonly pushesMissed: number;
    };
  };
}

/** This process's own figures, and what the database knows of all. */
export async function socketStats(
  deps: Needs,
): Promise<{ readonly process: ReturnType<Needs["realtime"]["figures"]>; readonly all: Awaited<ReturnType<typeof selectTotals>> }> {
  return { process: deps.realtime.figures(), all: await selectTotals(deps.db) };
}
