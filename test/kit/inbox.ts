/** An inbox on a database of its own, delivered to by hand, with a table `effects` that handlers may write. */

import { userUnfollowed } from "#src/contract/event-types";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, rows, sql } from "#src/db/sql";
import { EVENT_SOURCE } from "#src/events/cloud-event";
import type { Consumer } from "#src/events/consumer";
import { createInbox, type InboxFigures } from "#src/events/inbox";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { silentLog, type LogFields } from "#src/kernel/log";
import type { CloudEvent, DeliveryOutcome } from "#src/sidecar/port";
import { cloneDatabase } from "./database.ts";

export interface InboxDeps {
  readonly db: Db;
}

export interface OpenInbox extends AsyncDisposable {
  readonly db: Db;
  /** Ids whose receipt was taken. */
  readonly receipts: readonly string[];
  /** Lines of the security stream. */
  readonly security: readonly LogFields[];
  readonly figures: () => InboxFigures;
  /** Statements and transactions run on the pool so far. */
  readonly statements: () => number;
  /** Writes the events to the outbox, as they will be delivered. */
  readonly say: (events: readonly CloudEvent[], topic?: string) => Promise<void>;
  readonly deliver: (event: unknown, topic?: string) => Promise<DeliveryOutcome>;
}

/** Opens it; `ourEvent()` is in its outbox already. */
export async function openInbox(
  consumers: readonly Consumer<InboxDeps>[],
  options: { readonly consumerTimeoutMs?: number } = {},
): Promise<OpenInbox> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await cloneDatabase());
  let count = 0;
  const onQuery = (): void => void (count += 1);
  const db = openDb({ url: database.url, maxConnections: 4, applicationName: "test", log: silentLog, onQuery });
  stack.defer(() => closeDb(db));
  await affected(db, sql`create table effects (event_id text, note text)`);
  const receipts: string[] = [];
  const security: LogFields[] = [];
  const log = { ...silentLog, info: (fields: LogFields) => void security.push(fields) };
  const inbox = createInbox({ db, consumers, deps: { db }, receipts: { note: (id) => receipts.push(id) }, log, ...options });
  const say = async (events: readonly CloudEvent[], topic = "users.v1"): Promise<void> => {
    for (const event of events) {
      await affected(
        db,
        sql`insert into outbox (id, topic, type, subject, user_version, data, occurred_at)
            values (${event.id}::uuid, ${topic}, ${event.type}, ${event.subject}::uuid, ${event.userversion}, ${JSON.stringify(event.data)}::jsonb, ${event.time})`,
      );
    }
  };
  await say([ourEvent()]);
  const owned = stack.move();
  return {
    db,
    receipts,
    security,
    figures: inbox.figures,
    statements: () => count,
    say,
    deliver: async (event, topic = "users.v1") => {
      const subscription = inbox.subscriptions.find((one) => one.topic === topic);
      if (subscription === undefined) throw new Error(`nobody subscribes to ${topic}`);
      return await subscription.deliver(event);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export const subject = "0197a3a0-0000-7000-8000-000000000001";
const id = newUuid(systemClock);

/** An event of ours, the same at each call but for `parts`. */
export function ourEvent(parts: Partial<CloudEvent> = {}): CloudEvent {
  return {
    specversion: "1.0",
    id,
    source: EVENT_SOURCE,
    type: userUnfollowed.type,
    subject,
    time: "2026-11-24T12:00:00.000Z",
    datacontenttype: "application/json",
    userversion: 7,
    data: { followerId: subject, followeeId: subject, edgeVersion: 3 },
    ...parts,
  };
}

/** Another one of ours. */
export function anotherEvent(userversion: number, parts: Partial<CloudEvent> = {}): CloudEvent {
  return ourEvent({ id: newUuid(systemClock), userversion, ...parts });
}

/** What handlers wrote. */
export const effects = (db: Db): Promise<object[]> => rows(db, sql`select event_id, note from effects`);

/** What the inbox remembers. */
export const verdicts = (db: Db): Promise<object[]> =>
  rows(db, sql`select consumer, verdict, reason, attempts from inbox order by consumer, event_id`);
