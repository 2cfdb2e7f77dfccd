/** What many callers want at the same time, as one statement: under load the cost of a round trip is shared, alone nobody waits. */

import { currentSpan, inSpans, isTracing, type Span } from "#src/kernel/trace";
import type { Db } from "./pool.ts";

/** Statements of one kind in flight; while there are as many, further callers wait together for the next. */
const IN_FLIGHT = 2;
/** Callers in one statement at most. */
const LARGEST = 200;

interface Asked<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  readonly span: Span | undefined;
}

interface Queue<Item, Result> {
  waiting: Asked<Item, Result>[];
  inFlight: number;
  isScheduled: boolean;
}

/**
 * Makes a call for one of a call for many. What is asked for in one turn of the event loop goes together. A statement is
 * sent after the last of it was asked for, so every caller sees what was committed before; what fails, fails for all in it.
 * @param callMany gives one result for each item, in their order
 */
export function batched<Item, Result>(
  callMany: (db: Db, items: readonly Item[]) => Promise<readonly Result[]>,
): (db: Db, item: Item) => Promise<Result> {
  const queues = new WeakMap<Db, Queue<Item, Result>>();
  const flush = (db: Db, queue: Queue<Item, Result>): void => {
    queue.isScheduled = false;
    while (queue.waiting.length > 0 && queue.inFlight < IN_FLIGHT) {
      const batch = queue.waiting.splice(0, LARGEST);
      queue.inFlight += 1;
      const call = (): Promise<readonly Result[]> =>
        callMany(
          db,
          batch.map((asked) => asked.item),
        );
      void settle(batch, isTracing() ? () => inSpans(spansOf(batch), call) : call).finally(() => {
        queue.inFlight -= 1;
        flush(db, queue);
      });
    }
  };
  return (db, item) =>
    new Promise((resolve, reject) => {
      const queue = queueOf(queues, db);
      queue.waiting.push({ item, resolve, reject, span: currentSpan() });
      if (queue.isScheduled || queue.inFlight >= IN_FLIGHT) return;
      queue.isScheduled = true;
      setImmediate(flush, db, queue);
    });
}

/**
 * The same for reads by key: each key is read once however many ask for it.
 * @param readMany gives the rows that are there, by key
 */
export function coalesced<Row>(
  readMany: (db: Db, keys: readonly string[]) => Promise<ReadonlyMap<string, Row>>,
): (db: Db, key: string) => Promise<Row | undefined> {
  return batched<string, Row | undefined>(async (db, keys) => {
    const found = await readMany(db, [...new Set(keys)]);
    return keys.map((key) => found.get(key));
  });
}

function queueOf<Item, Result>(queues: WeakMap<Db, Queue<Item, Result>>, db: Db): Queue<Item, Result> {
  let queue = queues.get(db);
  if (queue === undefined) {
    queue = { waiting: [], inFlight: 0, isScheduled: false };
    queues.set(db, queue);
  }
  return queue;
}

/** Whose statement this is: a flush runs wherever the one before it ended, in a trace that has no part in it. */
function spansOf(batch: readonly { readonly span: Span | undefined }[]): Span[] {
  return [...new Set(batch.flatMap(({ span }) => span ?? []))];
}

async function settle<Item, Result>(batch: readonly Asked<Item, Result>[], call: () => Promise<readonly Result[]>): Promise<void> {
  try {
    const results = await call();
    for (const [place, asked] of batch.entries()) asked.resolve(results[place] as Result);
  } catch (error) {
    for (const asked of batch) asked.reject(error);
  }
}
