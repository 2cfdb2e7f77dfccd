/** Outbox, relay, in-process sidecar, inbox and receipts on a database of their own, wired as the API process does it. */

import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import type { EventType } from "#src/contract/event-types";
import { appendEvent } from "#src/events/append";
import type { Consumer } from "#src/events/consumer";
import { createInbox, type Inbox } from "#src/events/inbox";
import { createMarks, type Marks } from "#src/events/marks";
import { createRelay, type Relay, type RelayOptions } from "#src/events/relay";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import type { CloudEvent, Sidecar } from "#src/sidecar/port";
import { createLocalSidecar } from "#src/sidecar/local/local-sidecar";
import { cloneDatabase } from "./database.ts";

/** A database with subjects that events can be about. */
export interface EventDatabase extends AsyncDisposable {
  readonly url: string;
  readonly adminUrl: string;
  readonly db: Db;
  readonly subjects: readonly string[];
}

/** A clone with `count` accounts. */
export async function eventDatabase(count: number): Promise<EventDatabase> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await cloneDatabase());
  const db = openDb({ url: database.url, maxConnections: 10, applicationName: "test", log: silentLog, statementTimeoutMs: 30_000 });
  stack.defer(() => closeDb(db));
  const made = await rows<{ id: string }>(
    db,
    sql`insert into users (id, username, email, display_name)
        select gen_random_uuid(), 'user' || n, 'user' || n || '@example.com', 'User ' || n from generate_series(1, ${count}::int) n returning id`,
  );
  const owned = stack.move();
  return {
    url: database.url,
    adminUrl: database.adminUrl,
    db,
    subjects: made.map((user) => user.id),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

type Publish = (...publish: Parameters<Sidecar["publish"]>) => Promise<unknown>;

export interface EventLoopOptions {
  readonly consumers?: readonly Consumer<{ readonly db: Db }>[];
  /** Stands before the sidecar's publish: to fail, to lose, to look. */
  readonly publish?: (real: Publish) => Publish;
  /** What a broker says of each publish; left out: there is none. */
  readonly confirm?: (event: CloudEvent) => Promise<boolean>;
  readonly relay?: Partial<RelayOptions>;
  readonly maxAttempts?: number;
  readonly consumerTimeoutMs?: number;
}

/** What runs. Disposal stops it in the order of the API process. */
export interface EventLoop extends AsyncDisposable {
  readonly relay: Relay;
  readonly receipts: Marks;
  readonly inbox: Inbox;
}

/** Starts a relay with everything behind it. */
export function startEventLoop(db: Db, options: EventLoopOptions = {}): EventLoop {
  const sidecar = createLocalSidecar({
    db,
    log: silentLog,
    production: false,
    dataDir: "/nowhere",
    environment: {},
    maxAttempts: options.maxAttempts ?? 4,
    retry: { firstMs: 10, mostMs: 40 },
  });
  const receipts = createMarks({ db, log: silentLog, onFreed: () => relay.nudge() });
  const inbox = createInbox({
    db,
    consumers: options.consumers ?? [],
    deps: { db },
    receipts,
    log: silentLog,
    consumerTimeoutMs: options.consumerTimeoutMs ?? 5_000,
  });
  sidecar.subscribe(inbox.subscriptions);
  const send = options.publish?.(sidecar.publish) ?? sidecar.publish;
  const publish: Sidecar["publish"] = async (topic, event, signal) => {
    await send(topic, event, signal);
    return { confirmed: options.confirm?.(event) ?? Promise.resolve(true) };
  };
  const relay = createRelay({
    db,
    sidecar: { publish, confirms: options.confirm !== undefined },
    clock: systemClock,
    log: silentLog,
    ...options.relay,
  });
  relay.start();
  const stop = async (): Promise<void> => {
    await relay.stop(AbortSignal.timeout(2_000));
    await sidecar.close();
    await receipts.close();
  };
  return { relay, receipts, inbox, [Symbol.asyncDispose]: stop };
}

/** Appends events of one type in one transaction each subject given, in that order. */
export async function append<Data>(
  db: Db,
  type: EventType<Data>,
  events: readonly { readonly subject: string; readonly data: Data }[],
): Promise<void> {
  await inTx(db, async (tx) => {
    for (const event of events) await appendEvent(tx, type, event);
  });
}

/** Fills the outbox with `perSubject` events for each of `subjects`, as `appendEvent` would have, in one statement. */
export async function fillOutbox(db: Db, subjects: readonly string[], perSubject: number): Promise<void> {
  await affected(
    db,
    sql`with numbered as (
          insert into user_versions (user_id, version) select s, ${perSubject}::int from unnest(${subjects}::uuid[]) s
          on conflict (user_id) do update set version = user_versions.version + excluded.version
          returning user_id, version
        )
        insert into outbox (id, topic, type, subject, user_version, data)
        select gen_random_uuid(), 'users.v1', 'videamozi.user.unfollowed.v1', user_id, version - ${perSubject}::int + n,
          jsonb_build_object('followerId', user_id, 'followeeId', user_id, 'edgeVersion', n)
        from numbered cross join generate_series(1, ${perSubject}::int) n`,
  );
}
