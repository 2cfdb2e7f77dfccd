/** The only way work comes to be done later: a row of `jobs`, in the transaction that wants it. */

import type { z } from "zod";
import { affected, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";

/** What a use case must know of a job to ask for it. A feature declares it in its core and spreads it into `job({...})` at its edge. */
export interface JobKind<Payload> {
  /** `<feature>.<verb>`, e.g. `notices.send-mail`. */
  readonly kind: string;
  readonly payload: z.ZodType<Payload>;
}

export interface EnqueueOptions {
  /** Not before this moment; at once when left out. */
  readonly runAt?: Date;
  /** Names the piece of work: the same kind and key is done once, however often it is asked for (while its row is kept, 7 days after it was done). */
  readonly key?: string;
}

/**
 * Asks for a job, to be done at least once after the transaction commits.
 * @throws ZodError when the payload is not as the kind says: a bug, told before it is stored
 */
export async function enqueue<Payload>(
  tx: Tx,
  kind: JobKind<Payload>,
  payload: Payload,
  options: EnqueueOptions = {},
): Promise<"enqueued" | "already-known"> {
  const inserted = await affected(
    tx,
    sql`insert into jobs (id, kind, key, payload, due_at)
        values (${newUuid(systemClock)}::uuid, ${kind.kind}, ${options.key ?? null}, ${JSON.stringify(kind.payload.parse(payload))}::jsonb,
          coalesce(${options.runAt ?? null}::timestamptz, now()))
        on conflict (kind, key) do nothing`,
  );
  return inserted === 1 ? "enqueued" : "already-known";
}
