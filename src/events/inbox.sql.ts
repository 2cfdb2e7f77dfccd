/** The inbox: which consumer has seen which event, and how it ended. Only this file writes it. */

import { coalesced } from "#src/db/coalesce";
import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";

/** The event as far as rows need it. */
export interface InboxEvent {
  readonly source: string;
  readonly id: string;
  readonly topic: string;
  readonly type: string;
  readonly subject: string | null;
  /** SHA-256 of what it says; null where it could not be read. */
  readonly digest: Buffer | null;
}

/**
 * Notes that this consumer is handling the event in this very transaction. Else it is settled already, by whichever verdict;
 * or the id is known with `another-body`, which must not have an effect.
 */
export async function claimOnce(tx: Tx, consumer: string, event: InboxEvent): Promise<"claimed" | "settled" | "another-body"> {
  const touched = await affected(
    tx,
    // Of two deliveries at once the second waits here for the first to commit or roll back.
    sql`insert into inbox as i (consumer, source, event_id, verdict, topic, type, subject, digest)
        values (${consumer}, ${event.source}, ${event.id}, 'SUCCESS', ${event.topic}, ${event.type}, ${event.subject}, ${event.digest}::bytea)
        on conflict (consumer, source, event_id) do update set verdict = 'SUCCESS', reason = null, event = null, received_at = now()
        where i.verdict = 'RETRY' and (i.digest is null or i.digest = excluded.digest)`,
  );
  if (touched === 1) return "claimed";
  const before = await row<{ same: boolean | null }>(
    tx,
    sql`select digest = ${event.digest}::bytea as same from inbox
        where consumer = ${consumer} and source = ${event.source} and event_id = ${event.id}`,
  );
  return before?.same === false ? "another-body" : "settled";
}

/** Writes down a verdict that is not SUCCESS, with the event. A settled one is not overwritten. */
export async function noteTrouble(
  db: Db,
  event: InboxEvent,
  trouble: { readonly consumer: string; readonly verdict: "RETRY" | "DROP" | "DEAD"; readonly reason: string; readonly received: unknown },
): Promise<void> {
  await affected(
    db,
    sql`insert into inbox as i (consumer, source, event_id, verdict, reason, topic, type, subject, digest, event)
        values (${trouble.consumer}, ${event.source}, ${event.id}, ${trouble.verdict}, ${trouble.reason}, ${event.topic}, ${event.type},
          ${event.subject}, ${event.digest}::bytea, ${JSON.stringify(trouble.received) ?? "null"}::json)
        on conflict (consumer, source, event_id) do update set
          verdict = excluded.verdict, reason = excluded.reason, attempts = i.attempts + 1, event = excluded.event, received_at = now()
        where i.verdict = 'RETRY'`,
  );
}

/** Settles as DEAD what was being retried. @returns how many consumers were, counting those with a DROP of before */
export async function noteDead(db: Db, event: Pick<InboxEvent, "source" | "id" | "digest">): Promise<number> {
  return await affected(
    db,
    sql`update inbox set verdict = case verdict when 'RETRY' then 'DEAD' else verdict end
        where source = ${event.source} and event_id = ${event.id} and verdict <> 'SUCCESS'
          and (digest is null or digest = ${event.digest}::bytea)`,
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

/** What we said under an id, as far as the outbox still has it. */
export interface Said {
  readonly id: string;
  readonly topic: string;
  readonly type: string;
  readonly subject: string;
  readonly user_version: number;
  readonly occurred_at: Date;
  readonly data: unknown;
}

/**
 * Events of ours by id, read together with whatever else is delivered at this moment: one probe of the primary key each. The
 * ids come out of a subquery, so that the planner does not see how many they are and keeps its plan (as in profiles.sql.ts).
 */
export const selectSaid = coalesced<Said>(async (db, ids) => {
  const found = await rows<Said>(
    db,
    sql`select o.id, o.topic, o.type, o.subject, o.user_version, o.occurred_at, o.data
        from unnest((select ${ids}::uuid[])) as wanted (id) join outbox o on o.id = wanted.id`,
  );
  return new Map(found.map((said) => [said.id, said]));
});
