/** The inbox: which consumer has seen which event, and how it ended. Only this file writes it. */

import type { Db } from "#src/db/pool";
import { affected, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** The event as far as rows need it. */
export interface InboxEvent {
  readonly source: string;
  readonly id: string;
  readonly topic: string;
  readonly type: string;
  readonly subject: string | null;
}

/** Notes that this consumer is handling the event in this very transaction. @returns false when it is settled already, by whichever verdict */
export async function claimOnce(tx: Tx, consumer: string, event: InboxEvent): Promise<boolean> {
  const touched = await affected(
    tx,
    // Of two deliveries at once the second waits here for the first to commit or roll back.
    sql`insert into inbox as i (consumer, source, event_id, verdict, topic, type, subject)
        values (${consumer}, ${event.source}, ${event.id}, 'SUCCESS', ${event.topic}, ${event.type}, ${event.subject})
        on conflict (consumer, source, event_id) do update set verdict = 'SUCCESS', reason = null, event = null, received_at = now()
        where i.verdict = 'RETRY'`,
  );
  return touched === 1;
}

/** Writes down a verdict that is not SUCCESS, with the event. A settled one is not overwritten. */
export async function noteTrouble(
  db: Db,
  event: InboxEvent,
  trouble: { readonly consumer: string; readonly verdict: "RETRY" | "DROP" | "DEAD"; readonly reason: string; readonly received: unknown },
): Promise<void> {
  await affected(
    db,
    sql`insert into inbox as i (consumer, source, event_id, verdict, reason, topic, type, subject, event)
        values (${trouble.consumer}, ${event.source}, ${event.id}, ${trouble.verdict}, ${trouble.reason}, ${event.topic}, ${event.type},
          ${event.subject}, ${JSON.stringify(trouble.received) ?? "null"}::json)
        on conflict (consumer, source, event_id) do update set
          verdict = excluded.verdict, reason = excluded.reason, attempts = i.attempts + 1, event = excluded.event, received_at = now()
        where i.verdict = 'RETRY'`,
  );
}

/** Settles as DEAD what was being retried. @returns how many consumers were, counting those with a DROP of before */
export async function noteDead(db: Db, event: { readonly source: string; readonly id: string }): Promise<number> {
  return await affected(
    db,
    sql`update inbox set verdict = case verdict when 'RETRY' then 'DEAD' else verdict end
        where source = ${event.source} and event_id = ${event.id} and verdict <> 'SUCCESS'`,
  );
}

/** Deletes up to 1,000 old rows: settled well after 7 days, longer than any repeat can be late; others after 30. */
export async function deleteOldInbox(db: Db): Promise<number> {
  return await affected(
    db,
    sql`delete from inbox where (consumer, source, event_id) in (
          select consumer, source, event_id from inbox
          where received_at < now() - interval '7 days' and (verdict = 'SUCCESS' or received_at < now() - interval '30 days')
          order by received_at limit 1000
        )`,
  );
}
