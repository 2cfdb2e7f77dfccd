import { describe, expect, it } from "@jest/globals";
import pg from "pg";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { silentLog } from "#src/kernel/log";
import { eventDatabase, fillOutbox } from "../../test/kit/event-loop.ts";
import { until } from "../../test/kit/until.ts";
import { claimDue, markDone } from "./outbox.sql.ts";
import { createMarks, type Marks } from "./marks.ts";

describe("receipts", () => {
  it("are marked together when many come at once", async () => {
    await using database = await eventDatabase(300);
    await fillOutbox(database.db, database.subjects, 1);
    const events = await rows<{ id: string }>(database.db, sql`select id from outbox`);
    {
      await using receipts = createMarks({ db: database.db, log: silentLog });
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
    await using receipts = createMarks({ db: database.db, log: silentLog, onFreed: () => (freed += 1) });
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
      await using receipts = createMarks({ db: database.db, log: silentLog });
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
    const receipts = createMarks({ db: database.db, log: silentLog });
    receipts.note(event?.id ?? "");
    await receipts.close();
    expect(await row(database.db, sql`select 1 as open from outbox where done_at is null`)).toBeUndefined();
  });

  it("make an event done when it was received and confirmed, in either order, and free what is behind it once", async () => {
    await using database = await eventDatabase(2);
    const { db } = database;
    await fillOutbox(db, database.subjects, 2);
    const { claimed } = await claimDue(db, { look: 9, limit: 9, leaseSeconds: 60, confirms: true });
    const [early, late] = claimed.map(({ id }) => id) as [string, string];
    let freed = 0;
    const onFreed = (): void => void (freed += 1);
    await using received = createMarks({ db, log: silentLog, onFreed });
    await using confirmed = createMarks({ db, log: silentLog, arrival: "confirmed", onFreed });
    const noted = async (marks: Marks, id: string, done: number): Promise<void> => {
      const { marked } = marks.figures();
      marks.note(id);
      await until(() => marks.figures().marked === marked + 1);
      expect([received, confirmed].map((one) => one.figures().done).reduce((sum, each) => sum + each)).toBe(done);
      expect(freed).toBe(done);
    };
    await noted(received, early, 0);
    await noted(received, early, 0);
    await noted(confirmed, early, 1);
    await noted(confirmed, late, 1);
    await noted(received, late, 2);
    await noted(confirmed, late, 2);
  });

  it("want a confirmation of the last try, five times at most; where nothing confirms a receipt is enough", async () => {
    await using database = await eventDatabase(1);
    const { db } = database;
    await fillOutbox(db, database.subjects, 1);
    const again = async (confirms: boolean): Promise<string> => {
      await affected(db, sql`update outbox set due_at = now(), done_at = null`);
      return (await claimDue(db, { look: 9, limit: 9, leaseSeconds: 60, confirms })).claimed[0]?.id ?? "";
    };
    const done = (id: string): Promise<number> => inTx(db, async (tx) => (await markDone(tx, [id], "received")).done);
    const results: number[] = [];
    for (let tries = 1; tries <= 5; tries += 1) results.push(await done(await again(true)));
    expect(results).toEqual([0, 0, 0, 0, 1]);
    await affected(db, sql`update outbox set attempts = 0`);
    expect(await done(await again(false))).toBe(1);
  });
});
