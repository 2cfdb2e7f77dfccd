import { describe, expect, it } from "@jest/globals";
import pg from "pg";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { eventDatabase, fillOutbox } from "../../test/kit/event-loop.ts";
import { until } from "../../test/kit/until.ts";
import { claimDue } from "./outbox.sql.ts";
import { createDoubt } from "./doubt.ts";
import { createReceipts } from "./receipts.ts";

describe("receipts", () => {
  it("are marked together when many come at once", async () => {
    await using database = await eventDatabase(300);
    await fillOutbox(database.db, database.subjects, 1);
    const events = await rows<{ id: string }>(database.db, sql`select id from outbox`);
    {
      await using receipts = createReceipts({ db: database.db, log: silentLog });
      for (const event of events) receipts.note(event.id);
      await until(() => receipts.figures().marked === 300);
    }
    // Two statements for the first one and for the rest behind it, so at most two moments.
    const marked = await row<{ moments: number; done: number }>(
      database.db,
      sql`select count(distinct done_at) as moments, count(done_at) as done from outbox`,
    );
    expect(marked?.done).toBe(300);
    expect(marked?.moments).toBeLessThanOrEqual(2);
  });

  it("wake the relay beside them when an event was waiting for one of them, and only then", async () => {
    await using database = await eventDatabase(2);
    const [alone = "", pair = ""] = database.subjects;
    await fillOutbox(database.db, [alone], 1);
    await fillOutbox(database.db, [pair], 2);
    const { claimed } = await inTx(database.db, (tx) => claimDue(tx, { look: 9, limit: 9, leaseSeconds: 60 }));
    let freed = 0;
    await using receipts = createReceipts({ db: database.db, log: silentLog, onFreed: () => (freed += 1) });
    receipts.note(claimed.find((event) => event.subject === alone)?.id ?? "");
    await until(() => receipts.figures().marked === 1);
    expect(freed).toBe(0);
    receipts.note(claimed.find((event) => event.subject === pair)?.id ?? "");
    await until(() => receipts.figures().marked === 2);
    expect(freed).toBe(1);
  });

  it("are kept and marked later when the database does not answer", async () => {
    await using database = await eventDatabase(1);
    await fillOutbox(database.db, database.subjects, 1);
    const event = await row<{ id: string }>(database.db, sql`select id from outbox`);
    const cutter = new pg.Client({ connectionString: database.adminUrl });
    await cutter.connect();
    try {
      await cutter.query("begin");
      await cutter.query("lock table outbox");
      await using receipts = createReceipts({ db: database.db, log: silentLog });
      receipts.note(event?.id ?? "");
      await until(async () => {
        const cut = await cutter.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        return cut.rowCount !== 0;
      });
      await cutter.query("commit");
      await until(() => receipts.figures().marked === 1);
    } finally {
      await cutter.end();
    }
  });

  it("are marked before closing ends", async () => {
    await using database = await eventDatabase(1);
    await fillOutbox(database.db, database.subjects, 1);
    const event = await row<{ id: string }>(database.db, sql`select id from outbox`);
    const receipts = createReceipts({ db: database.db, log: silentLog });
    receipts.note(event?.id ?? "");
    await receipts.close();
    expect(await row(database.db, sql`select 1 as open from outbox where done_at is null`)).toBeUndefined();
  });

  it("are not believed when they come late after a silence, as when a broker was killed: the event goes out once more", async () => {
    await using database = await eventDatabase(2);
    const { db } = database;
    await fillOutbox(db, database.subjects, 2);
    const claim = async (): Promise<string[]> => {
      const { claimed } = await claimDue(db, { look: 9, limit: 9, leaseSeconds: 10 });
      return claimed.map(({ id }) => id);
    };
    const [late = "", soon = ""] = await claim();
    // Published 5 s ago.
    await affected(db, sql`update outbox set due_at = due_at - interval '5 seconds' where id = ${late}::uuid`);
    const doubt = createDoubt({ db, clock: systemClock, leaseSeconds: 10 });
    await using receipts = createReceipts({ db, log: silentLog, doubt });
    receipts.note(late);
    receipts.note(soon);
    await until(() => receipts.figures().marked === 1 && receipts.figures().doubted === 1);
    const next = await claim();
    expect(next).toContain(late);
    // What is behind the one is still parked, what is behind the other is free.
    expect(next.length).toBe(2);
    receipts.note(late);
    await until(() => receipts.figures().marked === 2);
    // Late alone is no reason: receipts that keep coming say that there is only much to do.
    const [behind = ""] = await claim();
    await affected(db, sql`update outbox set due_at = due_at - interval '5 seconds' where id = ${behind}::uuid`);
    receipts.note(behind);
    await until(() => receipts.figures().received === 4 && receipts.figures().marked + receipts.figures().doubted === 4);
    expect(receipts.figures()).toMatchObject({ doubted: 2 });
  });
});
