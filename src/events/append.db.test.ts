import { describe, expect, it } from "@jest/globals";
import { restrictionLifted, userUnfollowed } from "#src/contract/event-types";
import { row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { eventDatabase } from "../../test/kit/event-loop.ts";
import { appendEvent, appendEvents } from "./append.ts";

describe("appendEvent", () => {
  it("numbers a user's events without a gap, private ones on their own", async () => {
    await using database = await eventDatabase(1);
    const [subject = ""] = database.subjects;
    await inTx(database.db, async (tx) => {
      await appendEvent(tx, userUnfollowed, { subject, data: { followerId: subject, followeeId: subject, edgeVersion: 1 } });
      await appendEvent(tx, restrictionLifted, {
        subject,
        data: { userId: subject, restrictionId: subject, kind: "ban", note: "n", liftedBy: null },
      });
      await appendEvent(tx, userUnfollowed, { subject, data: { followerId: subject, followeeId: subject, edgeVersion: 2 } });
    });
    expect(await rows(database.db, sql`select topic, user_version from outbox order by topic, user_version`)).toEqual([
      { topic: "users.private.v1", user_version: 1 },
      { topic: "users.v1", user_version: 1 },
      { topic: "users.v1", user_version: 2 },
    ]);
  });

  it("numbers in the order of commits when many append at once, and leaves no gap for what was rolled back", async () => {
    await using database = await eventDatabase(1);
    const [subject = ""] = database.subjects;
    const data = { followerId: subject, followeeId: subject, edgeVersion: 1 };
    const append = (fails: boolean): Promise<void> =>
      inTx(database.db, async (tx) => {
        await appendEvent(tx, userUnfollowed, { subject, data });
        if (fails) throw new Error("undone");
      });
    await Promise.allSettled(Array.from({ length: 40 }, (_, index) => append(index % 4 === 0)));
    expect(await row(database.db, sql`select count(*) as events, max(user_version) as newest from outbox`)).toEqual({
      events: 30,
      newest: 30,
    });
  });

  it("keeps the trace of the request", async () => {
    await using database = await eventDatabase(1);
    const [subject = ""] = database.subjects;
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await inTx(database.db, (tx) =>
      appendEvent(tx, userUnfollowed, { subject, traceparent, data: { followerId: subject, followeeId: subject, edgeVersion: 1 } }),
    );
    expect(await row(database.db, sql`select traceparent from outbox`)).toEqual({ traceparent });
  });

  it("lets nothing leave that the schema does not name", async () => {
    await using database = await eventDatabase(1);
    const [subject = ""] = database.subjects;
    const data = { followerId: subject, followeeId: subject, edgeVersion: 1, email: "ann@example.com" };
    await inTx(database.db, (tx) => appendEvent(tx, userUnfollowed, { subject, data }));
    expect(await row(database.db, sql`select data from outbox`)).toEqual({
      data: { followerId: subject, followeeId: subject, edgeVersion: 1 },
    });
  });

  it("refuses data that is not as the type says, before anything is stored", async () => {
    await using database = await eventDatabase(1);
    const [subject = ""] = database.subjects;
    const broken = { followerId: "nobody", followeeId: subject, edgeVersion: 1 };
    await expect(inTx(database.db, (tx) => appendEvent(tx, userUnfollowed, { subject, data: broken }))).rejects.toThrow();
    expect(await row(database.db, sql`select count(*) as events from outbox`)).toEqual({ events: 0 });
  });
});

describe("appendEvents", () => {
  it("numbers each subject's event as appendEvent does, in one statement, all or none", async () => {
    await using database = await eventDatabase(3);
    const { subjects } = database;
    const [first = ""] = subjects;
    const data = { followerId: first, followeeId: first, edgeVersion: 1, email: "ann@example.com" };
    await inTx(database.db, (tx) => appendEvent(tx, userUnfollowed, { subject: first, data }));

    await inTx(database.db, (tx) =>
      appendEvents(
        tx,
        userUnfollowed,
        subjects.toReversed().map((subject) => ({ subject, data })),
      ),
    );
    await inTx(database.db, async (tx) => {
      await appendEvents(tx, userUnfollowed, [{ subject: first, data }]);
      throw new Error("undone");
    }).catch(() => {});

    const events = await rows<{ subject: string; user_version: number; data: object }>(
      database.db,
      sql`select subject, user_version, data from outbox order by user_version desc, subject`,
    );
    expect(events.map(({ subject, user_version: version }) => [subject, version])).toEqual([
      [first, 2],
      ...subjects.toSorted().map((subject) => [subject, 1]),
    ]);
    expect(new Set(events.map((event) => JSON.stringify(Object.keys(event.data).toSorted())))).toEqual(
      new Set(['["edgeVersion","followeeId","followerId"]']),
    );
    await inTx(database.db, (tx) => appendEvents(tx, userUnfollowed, []));
  });
});
