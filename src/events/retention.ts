/** What keeps outbox and inbox small, as sweeps for `jobs/`. */

import { uuidFloor } from "#src/kernel/ids";
import type { Clock } from "#src/kernel/clock";
import type { Db } from "#src/db/pool";
import { deleteOldInbox } from "./inbox.sql.ts";
import { deleteOld, unparkOrphans } from "./outbox.sql.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
}

const DAY_MS = 86_400_000;

/** Have the shape of `Sweep` in `jobs/`, which this room does not know. */
export const eventSweeps = [
  {
    name: "events.delete-old",
    summary: "Deletes events 24 hours after their receipt, and inbox rows after 7 days (30 where something was wrong).",
    everyMs: 60_000,
    run: async ({ db, clock }: Needs, signal: AbortSignal): Promise<void> => {
      const oldestKeptId = uuidFloor(new Date(clock.now().getTime() - DAY_MS));
      await whileFull(() => deleteOld(db, oldestKeptId), signal);
      await whileFull(() => deleteOldInbox(db), signal);
    },
  },
  {
    name: "events.unpark",
    summary: "Frees events that wait for one which was deleted by hand.",
    everyMs: 60_000,
    run: async ({ db }: Needs): Promise<void> => {
      await unparkOrphans(db);
    },
  },
] as const;

/** Batches of 1,000, so that no statement holds locks for long. */
async function whileFull(batch: () => Promise<number>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await batch()) === 1_000);
}
