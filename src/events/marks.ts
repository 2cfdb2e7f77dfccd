/**
 * What has become of events that were published, noted in batches. Receipts: an event came back through our own subscription and
 * its consumers were called. Confirmations: the broker has it for every queue.
 */

import { backoffMs } from "#src/kernel/backoff";
import { createWakeup } from "#src/kernel/wakeup";
import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import type { Log } from "#src/kernel/log";
import { markDone, type Arrival } from "./outbox.sql.ts";

/** Collects ids of events that arrived, in one of the two ways. */
export interface Marks extends AsyncDisposable {
  /** Notes one; it is marked within milliseconds, together with those that come meanwhile. */
  readonly note: (eventId: string) => void;
  /** Marks what was noted, once more if need be, and stops. What cannot be marked is published again, with the same id. */
  readonly close: () => Promise<void>;
  /** `done`: those of which both are known by now. */
  readonly figures: () => { readonly noted: number; readonly marked: number; readonly done: number };
}

export interface MarksOptions {
  readonly db: Db;
  readonly log: Log;
  /** Told when events became due because those before them are done: wakes a relay in the same process. */
  readonly onFreed?: () => void;
  /** Receipts when left out. */
  readonly arrival?: Arrival;
}

const BATCH = 500;
/** Under load batches begin this far apart. With less in each of them, marking cost the API as much as all else it does with an event. */
const APART_MS = 20;
/** Beyond this, they are dropped while the database is away: their events come again. */
const MOST_WAITING = 50_000;

/**
 * Starts marking. One batch at a time, and the next one after a moment: under load they grow, and a lone receipt does not wait. A
 * mark that a crash of the database takes back is one event published again, with the same id: so no commit waits for the disk.
 */
export function createMarks({ db, log, onFreed, arrival = "received" }: MarksOptions): Marks {
  const waiting = new Set<string>();
  const figures = { noted: 0, marked: 0, done: 0 };
  const closing = new AbortController();
  const wakeup = createWakeup();
  let running: Promise<void> | undefined;

  async function drain(): Promise<void> {
    for (let failures = 0; waiting.size > 0;) {
      const batch = firstOf(waiting, BATCH);
      try {
        const { done, freed } = await inTx(db, (tx) => markDone(tx, batch, arrival), { durable: false });
        for (const id of batch) waiting.delete(id);
        figures.marked += batch.length;
        figures.done += done;
        failures = 0;
        if (freed > 0) onFreed?.();
        await wakeup.pause(APART_MS, closing.signal);
      } catch (error) {
        failures += 1;
        if (failures === 1)
          log.warn({ error, arrival, waiting: waiting.size }, "arrivals cannot be noted just now; they are kept and tried again");
        if (closing.signal.aborted) break;
        await wakeup.pause(backoffMs(failures, { firstMs: 50, mostMs: 2_000 }), closing.signal);
      }
    }
    // In the same turn as the last look at `waiting`, so that no note falls between.
    running = undefined;
  }

  const close = async (): Promise<void> => {
    closing.abort();
    await running;
  };
  return {
    note: (eventId) => {
      figures.noted += 1;
      if (waiting.size >= MOST_WAITING) return;
      waiting.add(eventId);
      running ??= drain();
    },
    close,
    figures: () => ({ ...figures }),
    [Symbol.asyncDispose]: close,
  };
}

function firstOf(ids: ReadonlySet<string>, count: number): string[] {
  const first: string[] = [];
  for (const id of ids) {
    if (first.length === count) break;
    first.push(id);
  }
  return first;
}
