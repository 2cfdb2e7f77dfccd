/** The only way an event comes to be: a row of the outbox, in the transaction of the change it tells. */

import { affected, sql } from "#src/db/sql";
import type { Tx } from "#src/db/tx";
import type { EventType } from "#src/contract/event-types";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { currentTraceparent } from "#src/kernel/trace";

/** What happened, to whom. */
export interface NewEvent<Data> {
  /** The user who changed; of an edge always the follower. */
  readonly subject: string;
  readonly data: Data;
  /** W3C trace context of what caused it; of the current request or event when left out. */
  readonly traceparent?: string;
}

/**
 * Appends an event with the subject's next number, which is taken under the lock of its `user_versions` row (line 2 of
 * the lock order) and so grows in the order of commits. Fields that the type's schema does not name do not leave.
 * @throws ZodError when the data is not as the type says: a bug, told before anything is stored
 */
export async function appendEvent<Data>(tx: Tx, type: EventType<Data>, event: NewEvent<Data>): Promise<void> {
  const isPrivate = type.topic === "users.private.v1";
  await affected(
    tx,
    sql`with numbered as (
          insert into user_versions as v (user_id, version, private_version)
          values (${event.subject}::uuid, case when ${isPrivate}::boolean then 0 else 1 end, case when ${isPrivate}::boolean then 1 else 0 end)
          on conflict (user_id) do update set
            version = v.version + excluded.version,
            private_version = v.private_version + excluded.private_version
          returning version, private_version
        )
        insert into outbox (id, topic, type, subject, user_version, data, traceparent)
        select ${newUuid(systemClock)}::uuid, ${type.topic}, ${type.type}, ${event.subject}::uuid,
          case when ${isPrivate}::boolean then private_version else version end,
          ${JSON.stringify(type.data.parse(event.data))}::jsonb, ${event.traceparent ?? currentTraceparent() ?? null}
        from numbered`,
  );
}

/**
 * The same for many subjects, each once, in one statement: their version rows are taken in the order of their ids. For batches;
 * whoever has one event uses `appendEvent`.
 * @throws ZodError as `appendEvent`
 */
export async function appendEvents<Data>(tx: Tx, type: EventType<Data>, events: readonly NewEvent<Data>[]): Promise<void> {
  const isPrivate = type.topic === "users.private.v1";
  const [ids, subjects] = [events.map(() => newUuid(systemClock)), events.map(({ subject }) => subject)];
  const data = events.map((event) => JSON.stringify(type.data.parse(event.data)));
  const traceparents = events.map(({ traceparent }) => traceparent ?? currentTraceparent() ?? null);
  await affected(
    tx,
    sql`with given as materialized (
          select * from unnest(${ids}::uuid[], ${subjects}::uuid[], ${data}::jsonb[], ${traceparents}::text[])
            as g (id, subject, data, traceparent)
        ), numbered as (
          insert into user_versions as v (user_id, version, private_version)
          select subject, case when ${isPrivate}::boolean then 0 else 1 end, case when ${isPrivate}::boolean then 1 else 0 end
          from given order by subject
          on conflict (user_id) do update set
            version = v.version + excluded.version,
            private_version = v.private_version + excluded.private_version
          returning user_id, version, private_version
        )
        insert into outbox (id, topic, type, subject, user_version, data, traceparent)
        select g.id, ${type.topic}, ${type.type}, g.subject,
          case when ${isPrivate}::boolean then n.private_version else n.version end, g.data, g.traceparent
        from given g join numbered n on n.user_id = g.subject`,
  );
}

/**
 * Takes the subject's version row (line 2 of the lock order) ahead of the event, for changes whose event tells what later
 * statements find out. A subject that does not exist has no row to take.
 */
export async function lockSubject(tx: Tx, subject: string): Promise<void> {
  await affected(
    tx,
    sql`insert into user_versions as v (user_id) select id from users where id = ${subject}::uuid
        on conflict (user_id) do update set version = v.version`,
  );
}
