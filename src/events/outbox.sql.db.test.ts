import { describe, expect, it } from "@jest/globals";
import pg from "pg";
import { closeDb, openDb, type Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx, type Tx } from "#src/db/tx";
import { systemClock } from "#src/kernel/clock";
import { newUuid, uuidFloor } from "#src/kernel/ids";
import { silentLog } from "#src/kernel/log";
import { eventDatabase, fillOutbox } from "../../test/kit/event-loop.ts";
import { claimDue, deleteOld, isAnythingDue, markDone, outboxFigures, unparkOrphans, type ClaimedEvent } from "./outbox.sql.ts";

async function claim(db: Db, limit = 64): Promise<readonly ClaimedEvent[]> {
  return (await inTx(db, (tx) => claimDue(tx, { look: limit, limit, leaseSeconds: 60 }))).claimed;
}

async function done(db: Db, events: readonly { readonly id: string }[]): Promise<{ done: number; freed: number }> {
  return await inTx(db, (tx) =>
    markDone(
      tx,
      events.map((event) => event.id),
    ),
  );
}

describe("claiming", () => {
  it("takes the oldest event of each user, counts the try and raises the fence", async () => {
    await using database = await eventDatabase(2);
    await fillOutbox(database.db, database.subjects, 3);
    const claimed = await claim(database.db);
    expect(claimed.map((event) => event.subject).sort()).toEqual([...database.subjects].sort());
    expect(claimed).toMatchObject([
      { user_version: 1, attempts: 1, fence: 1 },
      { user_version: 1, attempts: 1, fence: 1 },
    ]);
    expect(await claim(database.db)).toEqual([]);
    expect(await isAnythingDue(database.db)).toBe(false);
  });

  it("gives the next event of a user once the one before is done", async () => {
    await using database = await eventDatabase(1);
    await fillOutbox(database.db, database.subjects, 3);
    const order: number[] = [];
    for (let claimed = await claim(database.db); claimed.length > 0; claimed = await claim(database.db)) {
      order.push(...claimed.map((event) => event.user_version));
      await done(database.db, claimed);
    }
    expect(order).toEqual([1, 2, 3]);
  });

  it("claims no more than it may, of however many it looks at, and the oldest first", async () => {
    await using database = await eventDatabase(5);
    await fillOutbox(database.db, database.subjects, 1);
    await affected(
      database.db,
      sql`update outbox set due_at = now() - make_interval(secs => array_position(${database.subjects}::uuid[], subject))`,
    );
    const { claimed } = await inTx(database.db, (tx) => claimDue(tx, { look: 100, limit: 2, leaseSeconds: 60 }));
    expect(claimed.map((event) => event.subject).sort()).toEqual(database.subjects.slice(3).sort());
  });

  it("takes nothing while 512 wait for their receipts, whatever failed beside them, until one of these has come", async () => {
    await using database = await eventDatabase(520);
    await fillOutbox(database.db, database.subjects, 1);
    const claimed = await claim(database.db, 512);
    expect(claimed).toHaveLength(512);
    expect(await claim(database.db, 8)).toEqual([]);
    await done(database.db, claimed.slice(0, 1));
    expect(await claim(database.db, 8)).toHaveLength(8);
    await affected(database.db, sql`update outbox set last_error = 'the broker is away' where done_at is null`);
    await fillOutbox(database.db, database.subjects.slice(0, 1), 1);
    expect(await claim(database.db, 8)).toHaveLength(1);
  });

  it("takes nothing while 64 have waited for a fifth of their lease, and does when fewer have, or when it has ended", async () => {
    await using database = await eventDatabase(65);
    await fillOutbox(database.db, database.subjects, 1);
    const claimed = await claim(database.db, 64);
    const waited = async (seconds: number, count: number): Promise<readonly ClaimedEvent[]> => {
      const ids = claimed.slice(0, count).map(({ id }) => id);
      await affected(
        database.db,
        sql`update outbox set due_at = now() + make_interval(secs => 60 - case when id = any (${ids}::uuid[]) then ${seconds}::int else 0 end)
            where due_at > now() or id = any (${ids}::uuid[])`,
      );
      return await claim(database.db, 1);
    };
    expect(await waited(13, 64)).toEqual([]);
    expect(await waited(13, 63)).toHaveLength(1);
    // All over: they are due again.
    expect(await waited(61, 64)).toHaveLength(1);
  });

  it("gives an event again when its lease has ended, after a longer one each time", async () => {
    await using database = await eventDatabase(1);
    await fillOutbox(database.db, database.subjects, 1);
    const leases: number[] = [];
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      expect(await claim(database.db)).toMatchObject([{ attempts: attempt, fence: attempt }]);
      const held = await row<{ seconds: number }>(
        database.db,
        sql`select round(extract(epoch from due_at - now()))::int as seconds from outbox`,
      );
      leases.push(held?.seconds ?? 0);
      await affected(database.db, sql`update outbox set due_at = now()`);
    }
    expect(leases).toEqual([60, 120, 240]);
  });

  it("does not wait for another relay, and does not take what it has", async () => {
    await using database = await eventDatabase(10);
    await fillOutbox(database.db, database.subjects, 1);
    await inTx(database.db, async (tx) => {
      const mine = await claimDue(tx, { look: 6, limit: 6, leaseSeconds: 60 });
      const theirs = await claim(database.db);
      expect([mine.claimed.length, theirs.length]).toEqual([6, 4]);
    });
  });

  it("leaves an event for the next round whose predecessor is being marked done at this moment", async () => {
    await using database = await eventDatabase(1);
    await fillOutbox(database.db, database.subjects, 2);
    await affected(database.db, sql`update outbox set due_at = 'infinity' where user_version = 2`);
    const first = await claim(database.db);
    await affected(database.db, sql`update outbox set due_at = now() where user_version = 2`);
    await inTx(database.db, async (tx) => {
      await markDone(
        tx,
        first.map((event) => event.id),
      );
      // Not parked, or it would stay parked: the receipt has looked for it already.
      expect(await inTx(database.db, (other) => claimDue(other, { look: 64, limit: 64, leaseSeconds: 60 }))).toEqual({
        claimed: [],
        parked: 0,
      });
    });
    expect(await claim(database.db)).toMatchObject([{ user_version: 2 }]);
  });

  it("makes a receipt wait that comes while the next event is being parked", async () => {
    await using database = await eventDatabase(1);
    await fillOutbox(database.db, database.subjects, 2);
    await affected(database.db, sql`update outbox set due_at = 'infinity' where user_version = 2`);
    const first = await claim(database.db);
    await affected(database.db, sql`update outbox set due_at = now() where user_version = 2`);
    let marking: Promise<{ done: number; freed: number }> | undefined;
    await inTx(database.db, async (tx) => {
      expect(await claimDue(tx, { look: 64, limit: 64, leaseSeconds: 60 })).toMatchObject({ parked: 1 });
      marking = done(database.db, first);
      await untilBlocked(database.adminUrl);
    });
    expect(await marking).toEqual({ done: 1, freed: 1 });
    expect(await claim(database.db)).toMatchObject([{ user_version: 2 }]);
  });

  it.each([
    ["without statistics", "never"],
    ["with statistics", "now"],
    ["with statistics of a moment when all was done", "before"],
  ])(
    "costs no more with a great many done, waiting and parked, %s",
    async (_name, analyzed) => {
      await using database = await eventDatabase(10_000);
      await affected(database.db, sql`alter table outbox set (autovacuum_enabled = false)`);
      await fillOutbox(database.db, database.subjects, 1);
      await affected(database.db, sql`update outbox set done_at = now()`);
      if (analyzed === "before") await affected(database.db, sql`analyze outbox`);
      await fillOutbox(database.db, database.subjects.slice(0, 100), 100);
      await affected(database.db, sql`update outbox set due_at = 'infinity' where done_at is null`);
      await fillOutbox(database.db, database.subjects.slice(100), 1);
      if (analyzed === "now") await affected(database.db, sql`analyze outbox`);
      const cost = await inTx(database.db, async (tx) => {
        const before = await reads(tx);
        await isAnythingDue(tx as unknown as Db);
        const { claimed } = await claimDue(tx, { look: 64, limit: 64, leaseSeconds: 60 });
        expect(claimed).toHaveLength(64);
        await markDone(
          tx,
          claimed.map((event) => event.id),
        );
        const after = await reads(tx);
        return { scans: after.scans - before.scans, tuples: after.tuples - before.tuples };
      });
      expect(cost.scans).toBe(0);
      // Per event: found, looked for its predecessor, updated, marked, looked for its successor.
      expect(cost.tuples).toBeLessThan(64 * 12);
    },
    60_000,
  );
});

describe("marking done", () => {
  it("counts an event once, however often its receipt comes", async () => {
    await using database = await eventDatabase(1);
    await fillOutbox(database.db, database.subjects, 2);
    const first = await claim(database.db);
    expect(await done(database.db, first)).toEqual({ done: 1, freed: 1 });
    expect(await done(database.db, first)).toEqual({ done: 0, freed: 0 });
    expect(await done(database.db, [{ id: newUuid(systemClock) }])).toEqual({ done: 0, freed: 0 });
  });

  it("does not deadlock with another process that got the same receipts in another order", async () => {
    await using database = await eventDatabase(200);
    await fillOutbox(database.db, database.subjects, 1);
    const claimed = await claim(database.db, 200);
    const counts = await Promise.all([done(database.db, claimed), done(database.db, claimed.toReversed()), done(database.db, claimed)]);
    expect(counts.reduce((sum, count) => sum + count.done, 0)).toBe(200);
  });
});

describe("keeping the outbox small", () => {
  it("deletes what was done a day ago, and nothing that is not done", async () => {
    await using database = await eventDatabase(1);
    const old = uuidFloor(new Date(Date.now() - 30 * 3_600_000));
    const insert = (id: string, version: number, doneHoursAgo: number | null): Promise<number> =>
      affected(
        database.db,
        sql`insert into outbox (id, topic, type, subject, user_version, data, done_at)
            values (${id}::uuid, 'users.v1', 't', ${database.subjects[0]}::uuid, ${version}, '{}', now() - make_interval(hours => ${doneHoursAgo}))`,
      );
    await insert(old, 1, 29);
    await insert(old.replace("-7000-", "-7001-"), 2, 1);
    await insert(old.replace("-7000-", "-7002-"), 3, null);
    await insert(newUuid(systemClock), 4, 25);
    expect(await deleteOld(database.db, uuidFloor(new Date(Date.now() - 24 * 3_600_000)))).toBe(1);
    expect(await rows(database.db, sql`select user_version from outbox order by user_version`)).toEqual([
      { user_version: 2 },
      { user_version: 3 },
      { user_version: 4 },
    ]);
  });

  it("frees an event that waits for one which was deleted by hand, and no other", async () => {
    await using database = await eventDatabase(2);
    const [broken = "", whole = ""] = database.subjects;
    await fillOutbox(database.db, database.subjects, 2);
    await claim(database.db);
    await affected(database.db, sql`delete from outbox where subject = ${broken}::uuid and user_version = 1`);
    expect(await claim(database.db)).toEqual([]);
    expect(await unparkOrphans(database.db)).toBe(1);
    expect(await claim(database.db)).toMatchObject([{ subject: broken, user_version: 2 }]);
    expect(
      await row(database.db, sql`select due_at = 'infinity' as parked from outbox where subject = ${whole}::uuid and user_version = 2`),
    ).toEqual({
      parked: true,
    });
  });
});

describe("the outbox's figures", () => {
  it("are nought when everything is done", async () => {
    await using database = await eventDatabase(1);
    await fillOutbox(database.db, database.subjects, 1);
    await done(database.db, await claim(database.db));
    expect(await outboxFigures(database.db)).toEqual({ lagSeconds: 0, waiting: 0, unconfirmed: 0 });
  });

  it("tell the age of the oldest without receipt, also while it is in flight and others wait behind it", async () => {
    await using database = await eventDatabase(2);
    const [old = ""] = database.subjects;
    await fillOutbox(database.db, database.subjects, 2);
    await affected(database.db, sql`update outbox set occurred_at = now() - interval '90 seconds' where subject = ${old}::uuid`);
    await claim(database.db);
    const figures = await outboxFigures(database.db);
    expect(Math.round(figures.lagSeconds)).toBe(90);
    expect(figures).toMatchObject({ waiting: 4, unconfirmed: 0 });
  });

  it("count what was published and has no receipt in time", async () => {
    await using database = await eventDatabase(2);
    await fillOutbox(database.db, database.subjects, 1);
    await claim(database.db);
    await affected(database.db, sql`update outbox set due_at = now()`);
    expect(await outboxFigures(database.db)).toMatchObject({ unconfirmed: 2 });
    await claim(database.db);
    expect(await outboxFigures(database.db)).toMatchObject({ unconfirmed: 2 });
  });

  it("stop counting at 10,000", async () => {
    await using database = await eventDatabase(2);
    await fillOutbox(database.db, database.subjects, 5_001);
    expect(await outboxFigures(database.db)).toMatchObject({ waiting: 10_000 });
  });
});

async function reads(tx: Tx): Promise<{ scans: number; tuples: number }> {
  const found = await row<{ scans: number; tuples: number }>(
    tx,
    sql`select seq_scan as scans, idx_tup_fetch + seq_tup_read as tuples from pg_stat_xact_user_tables where relname = 'outbox'`,
  );
  if (found === undefined) throw new Error("no statistics of the outbox");
  return found;
}

/** Returns when some statement of this database waits for a lock. */
async function untilBlocked(adminUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    for (;;) {
      const { rowCount } = await client.query(
        "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      if (rowCount !== 0) return;
    }
  } finally {
    await client.end();
  }
}

describe("claims and marks", () => {
  it("are planned anew each time: a plan that was kept from a small outbox reads all of a large one", async () => {
    await using database = await eventDatabase(1);
    const db = openDb({ url: database.url, maxConnections: 1, applicationName: "test", log: silentLog });
    try {
      await fillOutbox(db, database.subjects, 2);
      const { claimed } = await claimDue(db, { look: 10, limit: 10, leaseSeconds: 10 });
      await inTx(db, (tx) =>
        markDone(
          tx,
          claimed.map(({ id }) => id),
        ),
      );
      const kept = await rows(db, sql`select name from pg_prepared_statements where statement ~ 'update outbo[x]'`);
      expect([claimed.length, kept]).toEqual([1, []]);
    } finally {
      await closeDb(db);
    }
  });
});
