/**
 * A relay with a consumer and nothing else, for test/chaos/relay.db.test.ts to kill.
 * DATABASE_URL; DIE_AT: kills itself before it publishes its third event, or after that was applied and before its receipt is marked.
 * Writes `applied` (once each event, by the consumer's transaction) and `seen` (each delivery).
 */

import { userUnfollowed } from "#src/contract/event-types";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, sql } from "#src/db/sql";
import { consumer, success, type ReceivedEvent } from "#src/events/consumer";
import { silentLog } from "#src/kernel/log";
import { startEventLoop } from "../kit/event-loop.ts";

interface Deps {
  readonly db: Db;
}

const { DATABASE_URL = "", DIE_AT } = process.env;
const db = openDb({ url: DATABASE_URL, maxConnections: 6, applicationName: "relay", log: silentLog });
let published = 0;

function dieAt(place: string): void {
  if (DIE_AT === place && published === 3) process.kill(process.pid, "SIGKILL");
}

const applying = consumer({
  name: "chaos.apply",
  event: userUnfollowed,
  delivery: "once",
  handle: async (_deps: Deps, event: ReceivedEvent<unknown>, tx) => {
    await affected(
      tx,
      sql`insert into applied (event_id, subject, version) values (${event.id}::uuid, ${event.subject}::uuid, ${event.userVersion})`,
    );
    return success;
  },
});

const watching = consumer({
  name: "chaos.watch",
  event: userUnfollowed,
  delivery: "push",
  handle: async (deps: Deps, event: ReceivedEvent<unknown>) => {
    await affected(
      deps.db,
      sql`insert into seen (event_id, subject, version) values (${event.id}::uuid, ${event.subject}::uuid, ${event.userVersion})`,
    );
    dieAt("before-receipt");
    return success;
  },
});

const loop = startEventLoop(db, {
  consumers: [applying, watching],
  relay: { leaseMs: 1_000, publishTimeoutMs: 500, maxInFlight: 16 },
  publish: (real) => async (topic, event, signal) => {
    published += 1;
    dieAt("before-publish");
    await real(topic, event, signal);
  },
});
process.stdout.write("relaying\n");

process.on("SIGUSR2", () => process.stdout.write(`${JSON.stringify(loop.relay.figures())}\n`));
process.once("SIGTERM", () => {
  void loop[Symbol.asyncDispose]().then(() => closeDb(db));
});
