import { describe, expect, it } from "@jest/globals";
import { restrictionLifted, userUnfollowed } from "#src/contract/event-types";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Db } from "#src/db/pool";
import type { CloudEvent } from "#src/sidecar/port";
import { append, eventDatabase, fillOutbox, startEventLoop, type EventLoopOptions } from "../../test/kit/event-loop.ts";
import { until } from "../../test/kit/until.ts";
import { delay, systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { createConfirmations } from "#src/sidecar/dapr/confirmations";
import { outboxFigures } from "./outbox.sql.ts";
import { createRelay } from "./relay.ts";

const never = new AbortController().signal;

/** Notes what is published, then passes it on. */
function noting(seen: CloudEvent[]): NonNullable<EventLoopOptions["publish"]> {
  return (real) => async (topic, event, signal) => {
    seen.push(event);
    await real(topic, event, signal);
  };
}

function unfollow(
  subject: string,
  edgeVersion = 1,
): { subject: string; data: { followerId: string; followeeId: string; edgeVersion: number } } {
  return { subject, data: { followerId: subject, followeeId: subject, edgeVersion } };
}

async function allDone(db: Db, withinMs = 30_000): Promise<void> {
  await until(async () => (await row(db, sql`select 1 from outbox where done_at is null limit 1`)) === undefined, {
    withinMs,
    what: "every event to be done",
  });
}

describe("the relay", () => {
  it("publishes an event as a CloudEvent and marks it done when it came back", async () => {
    await using database = await eventDatabase(1);
    const [subject = ""] = database.subjects;
    const seen: CloudEvent[] = [];
    await using _loop = startEventLoop(database.db, { publish: noting(seen) });
    await append(database.db, userUnfollowed, [unfollow(subject)]);
    await allDone(database.db);
    const kept = await row<{ id: string; occurred_at: Date }>(database.db, sql`select id, occurred_at from outbox`);
    expect(seen).toEqual([
      {
        specversion: "1.0",
        id: kept?.id,
        source: "urn:videamozi:user-service",
        type: "videamozi.user.unfollowed.v1",
        subject,
        time: kept?.occurred_at.toISOString(),
        datacontenttype: "application/json",
        userversion: 1,
        data: { followerId: subject, followeeId: subject, edgeVersion: 1 },
      },
    ]);
  });

  it("publishes again what came back and was not confirmed, and nothing of that user in between", async () => {
    await using database = await eventDatabase(1);
    const [subject = ""] = database.subjects;
    const seen: CloudEvent[] = [];
    // The first time the broker's connection is lost, though the event is in our queue.
    const confirm = (): Promise<boolean> => delay(30).then(() => seen.length > 1);
    await using loop = startEventLoop(database.db, { publish: noting(seen), confirm });
    await append(database.db, userUnfollowed, [unfollow(subject), unfollow(subject, 2)]);
    await allDone(database.db);
    expect(seen.map((event) => event.userversion)).toEqual([1, 1, 2]);
    expect(seen[1]?.id).toBe(seen[0]?.id);
    expect(loop.relay.figures()).toMatchObject({ published: 3, repeated: 1, unconfirmed: 1 });
  });

  it("sends fewer at once when the broker confirms nothing, halved once for all of one moment, and as many as before when it does", async () => {
    await using database = await eventDatabase(40);
    const windows: number[] = [];
    let lost = 8;
    const confirm = async (): Promise<boolean> => {
      await delay(20);
      windows.push(loop.relay.figures().window);
      return (lost -= 1) < 0;
    };
    await using loop = startEventLoop(database.db, { confirm, relay: { maxInFlight: 8 } });
    await fillOutbox(database.db, database.subjects, 1);
    await allDone(database.db);
    expect(Math.min(...windows)).toBe(4);
    expect(loop.relay.figures()).toMatchObject({ unconfirmed: 8, window: 8 });
  });

  it("sends hardly more than once what a slow broker would confirm too late of many at once", async () => {
    await using database = await eventDatabase(160);
    // Each is sent when the one before is: what a component of daprd does, here 25 ms for each.
    let sent: Promise<unknown> = Promise.resolve();
    let sends = 0;
    const send = async (): Promise<void> => {
      sends += 1;
      await (sent = sent.then(() => delay(25)));
    };
    const confirmations = createConfirmations({ clock: systemClock, probe: send });
    const told = new Map<string, Promise<boolean>>();
    await using loop = startEventLoop(database.db, {
      publish: (real) => async (topic, event, signal) => {
        const { confirmed } = await confirmations.sent(send);
        told.set(event.id, confirmed);
        await real(topic, event, signal);
      },
      confirm: (event) => told.get(event.id) ?? Promise.resolve(false),
    });
    await fillOutbox(database.db, database.subjects, 1);
    await allDone(database.db);
    // None, and one probe at the end, unless this machine stands still.
    expect(loop.relay.figures().repeated).toBeLessThan(16);
    expect(sends).toBeLessThan(160 * 1.2);
  });

  it("sends hardly more than once what is received slower than it could be sent", async () => {
    await using database = await eventDatabase(2_000);
    let delivered: Promise<unknown> = Promise.resolve();
    await using loop = startEventLoop(database.db, {
      // Taken at once, delivered one after the other.
      publish: (real) => async (topic, event) => {
        delivered = delivered.then(() => delay(5)).then(() => real(topic, event, never));
      },
      relay: { leaseMs: 5_000, publishTimeoutMs: 4_000 },
    });
    await fillOutbox(database.db, database.subjects, 1);
    await allDone(database.db, 60_000);
    // Some, where this machine stands still; without bounds more than half.
    expect(loop.relay.figures().repeated).toBeLessThan(200);
  });

  it("lets a user's next event leave only after the receipt of the one before, and others meanwhile", async () => {
    await using database = await eventDatabase(2);
    const [slow = "", quick = ""] = database.subjects;
    const seen: CloudEvent[] = [];
    const gate = Promise.withResolvers<void>();
    await using _loop = startEventLoop(database.db, {
      publish: (real) => async (topic, event, signal) => {
        seen.push(event);
        // Accepted at once, delivered late: what a 204 of daprd is.
        if (event.subject === slow && event.userversion === 1) void gate.promise.then(() => real(topic, event, never));
        else await real(topic, event, signal);
      },
    });
    await append(database.db, userUnfollowed, [unfollow(slow), unfollow(slow), unfollow(quick), unfollow(quick), unfollow(quick)]);
    await until(() => seen.filter((event) => event.subject === quick).length === 3);
    expect(seen.filter((event) => event.subject === slow).map((event) => event.userversion)).toEqual([1]);
    gate.resolve();
    await allDone(database.db);
    expect(seen.filter((event) => event.subject === slow).map((event) => event.userversion)).toEqual([1, 2]);
  });

  it("keeps public and private events of one user apart: neither waits for the other", async () => {
    await using database = await eventDatabase(1);
    const [subject = ""] = database.subjects;
    const seen: CloudEvent[] = [];
    await using _loop = startEventLoop(database.db, {
      publish: (real) => (topic, event, signal) => (
        seen.push(event),
        topic === "users.v1" ? Promise.resolve() : real(topic, event, signal)
      ),
    });
    await append(database.db, userUnfollowed, [unfollow(subject)]);
    await append(database.db, restrictionLifted, [
      { subject, data: { userId: subject, restrictionId: subject, kind: "limit", note: "sorry", liftedBy: null } },
    ]);
    await until(async () => row(database.db, sql`select 1 from outbox where topic = 'users.private.v1' and done_at is not null`));
    expect(seen.map((event) => event.userversion)).toEqual([1, 1]);
  });

  it("publishes again, with the same id, what never came back", async () => {
    await using database = await eventDatabase(1);
    const seen: CloudEvent[] = [];
    await using loop = startEventLoop(database.db, {
      // Answered well, and lost: the broker died after its 204.
      publish: (real) => (topic, event, signal) => (seen.push(event) === 1 ? Promise.resolve() : real(topic, event, signal)),
      relay: { leaseMs: 200, publishTimeoutMs: 100 },
    });
    await append(database.db, userUnfollowed, [unfollow(database.subjects[0] ?? "")]);
    await allDone(database.db);
    expect(seen.map((event) => event.id)).toEqual([seen[0]?.id, seen[0]?.id]);
    expect(loop.relay.figures()).toMatchObject({ published: 2, repeated: 1 });
  });

  it("tries again, with the same id, what the sidecar refused, and tells why in the row", async () => {
    await using database = await eventDatabase(1);
    const seen: CloudEvent[] = [];
    const errors: (string | undefined)[] = [];
    await using loop = startEventLoop(database.db, {
      publish: (real) => async (topic, event, signal) => {
        if (seen.push(event) === 1) throw new Error("the broker is away\0");
        errors.push((await row<{ last_error: string }>(database.db, sql`select last_error from outbox`))?.last_error);
        await real(topic, event, signal);
      },
    });
    await append(database.db, userUnfollowed, [unfollow(database.subjects[0] ?? "")]);
    await allDone(database.db);
    expect(new Set(seen.map((event) => event.id)).size).toBe(1);
    expect(errors).toEqual(["Error: the broker is away"]);
    expect(loop.relay.figures()).toMatchObject({ failed: 1, published: 1 });
  });

  it("gives up a publish that hangs, at its deadline", async () => {
    await using database = await eventDatabase(1);
    let tries = 0;
    await using _loop = startEventLoop(database.db, {
      publish: (real) => (topic, event, signal) =>
        (tries += 1) > 1
          ? real(topic, event, signal)
          : new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
      relay: { leaseMs: 60_000, publishTimeoutMs: 50 },
    });
    await append(database.db, userUnfollowed, [unfollow(database.subjects[0] ?? "")]);
    await allDone(database.db);
    expect(tries).toBe(2);
  });

  it("sends one event at a time while the sidecar is away, and all when it is back", async () => {
    await using database = await eventDatabase(200);
    let away = true;
    let most = 0;
    let now = 0;
    await fillOutbox(database.db, database.subjects, 1);
    await using loop = startEventLoop(database.db, {
      publish: (real) => async (topic, event, signal) => {
        most = Math.max(most, (now += 1));
        try {
          if (away) throw new Error("away");
          await real(topic, event, signal);
        } finally {
          now -= 1;
        }
      },
      relay: { maxInFlight: 8 },
    });
    await until(() => loop.relay.figures().failed >= 10);
    // The first 8 left together; after that it was one every half second.
    expect(loop.relay.figures().failed).toBeLessThan(12);
    away = false;
    await until(async () => (await outboxFigures(database.db)).waiting === 0, { withinMs: 20_000 });
    expect(most).toBeLessThanOrEqual(8);
  });

  it("serves many users at once with several relays, each event published once and each user in order", async () => {
    await using database = await eventDatabase(60);
    const seen: CloudEvent[] = [];
    await fillOutbox(database.db, database.subjects, 5);
    {
      await using _first = startEventLoop(database.db, { publish: noting(seen) });
      await using _second = startEventLoop(database.db, { publish: noting(seen) });
      await allDone(database.db);
    }
    expect(seen).toHaveLength(300);
    for (const subject of database.subjects) {
      expect(seen.filter((event) => event.subject === subject).map((event) => event.userversion)).toEqual([1, 2, 3, 4, 5]);
    }
  });

  it("claims many at once under load, not one for each that got out", async () => {
    await using database = await eventDatabase(400);
    await fillOutbox(database.db, database.subjects, 1);
    // One after the other, as daprd publishes to RabbitMQ; and nothing comes back.
    let turn: Promise<void> = Promise.resolve();
    const publish = (): Promise<void> => (turn = turn.then(() => delay(1)));
    await using loop = startEventLoop(database.db, { publish: () => publish });
    await until(() => loop.relay.figures().published === 400);
    // What was claimed together has one lease.
    const found = await row<{ claims: number }>(database.db, sql`select count(distinct due_at) as claims from outbox`);
    expect(found?.claims).toBeLessThan(40);
  });

  it("finds an event that is appended while the one before is being marked done", async () => {
    await using database = await eventDatabase(8);
    await using _loop = startEventLoop(database.db);
    // Many appends to few users, at the pace of the relay: each lands beside the receipt of the one before.
    await Promise.all(
      database.subjects.map(async (subject) => {
        for (let version = 1; version <= 60; version += 1) await append(database.db, userUnfollowed, [unfollow(subject, version)]);
      }),
    );
    await allDone(database.db);
    expect(await row(database.db, sql`select count(*) as done from outbox where done_at is not null`)).toEqual({ done: 480 });
  });

  it("brings a lone event to its consumer within 50 ms, half of the time", async () => {
    await using database = await eventDatabase(1);
    const [subject = ""] = database.subjects;
    const arrived: number[] = [];
    await using _loop = startEventLoop(database.db, {
      publish: (real) => (topic, event, signal) => (arrived.push(performance.now()), real(topic, event, signal)),
    });
    const tookMs: number[] = [];
    for (let i = 0; i < 21; i += 1) {
      await append(database.db, userUnfollowed, [unfollow(subject)]);
      const committedMs = performance.now();
      await until(() => arrived.length > i, { everyMs: 1 });
      tookMs.push((arrived[i] ?? Infinity) - committedMs);
      await allDone(database.db);
    }
    expect(tookMs.sort((a, b) => a - b)[10]).toBeLessThan(50);
  });

  it("gives back at shutdown what did not get out, so that the next relay has it at once", async () => {
    await using database = await eventDatabase(1);
    const began = Promise.withResolvers<void>();
    const loop = startEventLoop(database.db, {
      publish: () => (_topic, _event, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
          began.resolve();
        }),
    });
    await append(database.db, userUnfollowed, [unfollow(database.subjects[0] ?? "")]);
    await began.promise;
    await loop.relay.stop(AbortSignal.abort());
    await loop[Symbol.asyncDispose]();
    expect(await row(database.db, sql`select due_at <= now() as due, done_at from outbox`)).toEqual({ due: true, done_at: null });
  });

  it("outlives a database that is away", async () => {
    await using database = await eventDatabase(2);
    await using _loop = startEventLoop(database.db);
    await append(database.db, userUnfollowed, [unfollow(database.subjects[0] ?? "")]);
    await rows(
      database.db,
      sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    );
    await append(database.db, userUnfollowed, [unfollow(database.subjects[1] ?? "")]);
    await allDone(database.db);
  });

  it("refuses a lease shorter than the publish deadline: two relays would hold one event", async () => {
    await using database = await eventDatabase(0);
    const options = {
      db: database.db,
      sidecar: { publish: () => Promise.reject(new Error("unused")), confirms: false },
      clock: systemClock,
      log: silentLog,
    };
    expect(() => createRelay({ ...options, leaseMs: 100, publishTimeoutMs: 100 })).toThrow(RangeError);
  });
});

describe("a claim", () => {
  it("is not used by a relay that stood still past its lease", async () => {
    await using database = await eventDatabase(1);
    const seen: CloudEvent[] = [];
    let looks = 0;
    // The second look at the clock, between claim and publish, is a minute later.
    const monotonicMs = (): number => systemClock.monotonicMs() + ((looks += 1) === 1 ? 0 : 60_000);
    await using loop = startEventLoop(database.db, {
      publish: noting(seen),
      relay: { clock: { now: systemClock.now, monotonicMs }, leaseMs: 500, publishTimeoutMs: 100 },
    });
    await append(database.db, userUnfollowed, [unfollow(database.subjects[0] ?? "")]);
    await until(() => loop.relay.figures().fenced === 1);
    expect(seen).toEqual([]);
    await allDone(database.db);
    expect(seen).toHaveLength(1);
  });

  it("does not change an event that another relay has claimed since", async () => {
    await using database = await eventDatabase(1);
    const gate = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    await using loop = startEventLoop(database.db, {
      publish: () => async () => {
        began.resolve();
        await gate.promise;
        throw new Error("too late");
      },
    });
    await append(database.db, userUnfollowed, [unfollow(database.subjects[0] ?? "")]);
    await began.promise;
    await affected(database.db, sql`update outbox set fence = fence + 1, due_at = 'infinity'`);
    gate.resolve();
    await until(() => loop.relay.figures().fenced === 1);
    expect(await row(database.db, sql`select due_at = 'infinity' as untouched, last_error from outbox`)).toEqual({
      untouched: true,
      last_error: null,
    });
  });
});
