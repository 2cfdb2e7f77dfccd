/** Events in the outbox of a scenario's database, as `appendEvent` leaves them, and the same as bodies to POST. */

import { writeFile } from "node:fs/promises";
import type pg from "pg";
import { toCloudEvent, type OutgoingEvent } from "#src/events/cloud-event";
import { USER_ID } from "./seed.ts";

/** Of people `from` to `from + people - 1` each as many events; all the first ones come before the second ones. */
export interface Filling {
  readonly from: number;
  readonly people: number;
  readonly each: number;
  /** Not for the relay: rows of events that are published otherwise, so that the inbox knows them for ours. */
  readonly isDone?: boolean;
}

/** Puts events into the outbox in one transaction. */
export async function fillOutbox(client: pg.Client, { from, people, each, isDone = false }: Filling): Promise<readonly OutgoingEvent[]> {
  const { rows } = await client.query<OutgoingEvent & { readonly user_version: string }>(
    `with numbered as (
       update user_versions v set version = v.version + $3::int
       from (select ${USER_ID} as id from generate_series($1::int, $1::int + $2::int - 1) n) people where v.user_id = people.id
       returning v.user_id, v.version
     )
     insert into outbox (id, topic, type, subject, user_version, data, done_at)
     select uuidv7(), 'users.v1', 'videamozi.user.followed.v1', user_id, version - $3::int + n,
       jsonb_build_object('followerId', user_id, 'followeeId', user_id, 'edgeVersion', version - $3::int + n),
       case when $4::boolean then now() end
     from numbered cross join generate_series(1, $3::int) n order by n
     returning id, topic, type, subject, user_version, data, traceparent, occurred_at`,
    [from, people, each, isDone],
  );
  return rows.map((row) => ({ ...row, user_version: Number(row.user_version) }));
}

/** One body a line. */
export async function writeBodies(file: string, events: readonly OutgoingEvent[]): Promise<void> {
  await writeFile(file, events.map((event) => JSON.stringify(toCloudEvent(event))).join("\n"));
}

const DRAINED_WITHIN_MS = 60_000;

/** Waits until every event of the outbox has its receipt. @throws Error when they do not come */
export async function drained(client: pg.Client): Promise<void> {
  const giveUp = AbortSignal.timeout(DRAINED_WITHIN_MS);
  for (;;) {
    const { rows } = await client.query<{ waiting: number }>("select count(*)::int as waiting from outbox where done_at is null");
    if (rows[0]?.waiting === 0) return;
    if (giveUp.aborted) throw new Error(`${rows[0]?.waiting} events were still in the outbox after ${DRAINED_WITHIN_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
