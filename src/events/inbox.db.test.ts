import { describe, expect, it } from "@jest/globals";
import { restrictionLifted, userFollowed, userUnfollowed } from "#src/contract/event-types";
import { neighbourEventTypes } from "#src/contract/neighbour-event-types";
import { affected, row, rows, sql } from "#src/db/sql";
import { silentLog } from "#src/kernel/log";
import { append, eventDatabase, startEventLoop } from "../../test/kit/event-loop.ts";
import { anotherEvent, effects, openInbox, ourEvent as event, subject, verdicts, type InboxDeps as Deps } from "../../test/kit/inbox.ts";
import { until } from "../../test/kit/until.ts";
import { consumer, neighbourConsumer, success, type Consumer, type ReceivedEvent } from "./consumer.ts";
import { createInbox } from "./inbox.ts";
import { deleteOldInbox } from "./inbox.sql.ts";

type Handle = (
  deps: Deps,
  event: ReceivedEvent<{ edgeVersion: number }>,
  tx: never,
) => Promise<Awaited<ReturnType<Consumer<Deps>["handle"]>>>;

function once(handle: Handle, name = "test.once"): Consumer<Deps> {
  return consumer<Deps, never>({ name, event: userUnfollowed as never, delivery: "once", handle: handle as never });
}

function push(handle: Handle, name = "test.push"): Consumer<Deps> {
  return consumer<Deps, never>({ name, event: userUnfollowed as never, delivery: "push", handle: handle as never });
}

/** Writes the effect, so that a test can count it. */
const effect: Handle = async (_deps, event, tx) => {
  await affected(tx, sql`insert into effects values (${event.id}, ${String(event.data.edgeVersion)})`);
  return success;
};

describe("the inbox", () => {
  it("gives a consumer the event with its data parsed, and takes the receipt", async () => {
    const seen: unknown[] = [];
    await using inbox = await openInbox([push(async (_deps, received) => (seen.push(received), success))]);
    const later = anotherEvent(8, { data: { followerId: subject, followeeId: subject, edgeVersion: 3, ofALaterVersion: true } });
    await inbox.say([later]);
    expect(await inbox.deliver(later)).toBe("SUCCESS");
    expect(seen).toEqual([
      {
        id: later.id,
        type: userUnfollowed.type,
        subject,
        userVersion: 8,
        time: new Date("2026-11-24T12:00:00.000Z"),
        data: { followerId: subject, followeeId: subject, edgeVersion: 3 },
      },
    ]);
    expect(inbox.receipts).toEqual([later.id]);
  });

  it("takes the receipt of events that nobody here consumes, and ignores attributes it does not know", async () => {
    await using inbox = await openInbox([]);
    const unknown = anotherEvent(8, { type: "videamozi.user.something_new.v1" });
    await inbox.say([unknown]);
    expect(await inbox.deliver({ ...unknown, pubsubname: "pubsub", topic: "users.v1" })).toBe("SUCCESS");
    expect(await inbox.deliver(event())).toBe("SUCCESS");
    expect(inbox.receipts).toEqual([unknown.id, event().id]);
    expect(inbox.figures()).toMatchObject({ ignored: 1, success: 1 });
  });

  it("gives an event to consumers of its topic and type only", async () => {
    const seen: string[] = [];
    const other: Consumer<Deps> = consumer<Deps, unknown>({
      name: "test.private",
      event: restrictionLifted as never,
      delivery: "push",
      handle: async () => (seen.push("private"), success),
    });
    await using inbox = await openInbox([push(async () => (seen.push("public"), success)), other]);
    const [elsewhere, followed] = [anotherEvent(1), anotherEvent(8, { type: userFollowed.type })];
    await inbox.say([elsewhere], "users.private.v1");
    await inbox.say([followed]);
    await inbox.deliver(event());
    // The right type from the wrong topic, and another type from the right one.
    expect(await inbox.deliver(elsewhere, "users.private.v1")).toBe("SUCCESS");
    expect(await inbox.deliver(followed)).toBe("SUCCESS");
    expect(seen).toEqual(["public"]);
  });

  it("handles an event once, however often it is delivered", async () => {
    await using inbox = await openInbox([once(effect)]);
    for (let i = 0; i < 3; i += 1) expect(await inbox.deliver(event())).toBe("SUCCESS");
    expect(await effects(inbox.db)).toEqual([{ event_id: event().id, note: "3" }]);
    expect(inbox.receipts).toHaveLength(3);
  });

  it("handles an event once that is delivered many times at the same moment", async () => {
    await using inbox = await openInbox([once(effect)]);
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => inbox.deliver(event())));
    expect(new Set(outcomes)).toEqual(new Set(["SUCCESS"]));
    expect(await effects(inbox.db)).toHaveLength(1);
  });

  it("keeps nothing that a handler wrote before it asked for another try, and takes no receipt", async () => {
    let tries = 0;
    await using inbox = await openInbox([
      once(async (deps, received, tx) => {
        await effect(deps, received, tx);
        return (tries += 1) === 1 ? { outcome: "RETRY", reason: "not yet" } : success;
      }),
    ]);
    expect(await inbox.deliver(event())).toBe("RETRY");
    expect(await effects(inbox.db)).toEqual([]);
    expect(inbox.receipts).toEqual([]);
    expect(await verdicts(inbox.db)).toEqual([{ consumer: "test.once", verdict: "RETRY", reason: "not yet", attempts: 1 }]);
    expect(await inbox.deliver(event())).toBe("SUCCESS");
    expect(await effects(inbox.db)).toHaveLength(1);
    expect(await verdicts(inbox.db)).toEqual([{ consumer: "test.once", verdict: "SUCCESS", reason: null, attempts: 1 }]);
  });

  it("tries again what threw or hung", async () => {
    let tries = 0;
    await using inbox = await openInbox(
      [once(async () => ((tries += 1) === 1 ? Promise.reject(new Error("broken\0")) : new Promise(() => {})))],
      { consumerTimeoutMs: 50 },
    );
    expect(await inbox.deliver(event())).toBe("RETRY");
    expect(await inbox.deliver(event())).toBe("RETRY");
    expect(await verdicts(inbox.db)).toEqual([
      { consumer: "test.once", verdict: "RETRY", reason: "Error: not done after 50 ms", attempts: 2 },
    ]);
  });

  it("drops what a handler drops: with its reason and the event, nothing written, never asked again", async () => {
    let asked = 0;
    await using inbox = await openInbox([
      once(async (deps, received, tx) => {
        asked += 1;
        await effect(deps, received, tx);
        return { outcome: "DROP", reason: "unknown tariff" };
      }),
    ]);
    expect(await inbox.deliver(event())).toBe("DROP");
    expect(await inbox.deliver(event())).toBe("SUCCESS");
    expect(asked).toBe(1);
    expect(await effects(inbox.db)).toEqual([]);
    expect(await row(inbox.db, sql`select verdict, reason, event->>'id' as id from inbox`)).toEqual({
      verdict: "DROP",
      reason: "unknown tariff",
      id: event().id,
    });
    expect(inbox.receipts).toHaveLength(2);
  });

  it("asks each consumer, whatever another said, and asks those again only that are not done", async () => {
    let tries = 0;
    await using inbox = await openInbox([
      once(async () => ((tries += 1) === 1 ? { outcome: "RETRY", reason: "not yet" } : success), "test.first"),
      once(effect, "test.second"),
    ]);
    expect(await inbox.deliver(event())).toBe("RETRY");
    expect(await effects(inbox.db)).toHaveLength(1);
    expect(await inbox.deliver(event())).toBe("SUCCESS");
    expect(await effects(inbox.db)).toHaveLength(1);
  });

  it("pushes once while an event is tried again, and again when it comes again later", async () => {
    let tries = 0;
    const pushed: string[] = [];
    await using inbox = await openInbox([
      once(async () => ((tries += 1) < 3 ? { outcome: "RETRY", reason: "not yet" } : success)),
      push(async (_deps, received) => (pushed.push(received.id), success)),
    ]);
    for (let i = 0; i < 3; i += 1) await inbox.deliver(event());
    expect(pushed).toHaveLength(1);
    await inbox.deliver(event());
    expect(pushed).toHaveLength(2);
  });

  it("does not try a failed push again, and lets it hold up nobody", async () => {
    await using inbox = await openInbox(
      [push(() => Promise.reject(new Error("socket gone")), "test.failing"), push(() => new Promise(() => {}), "test.hanging")],
      { consumerTimeoutMs: 50 },
    );
    expect(await inbox.deliver(event())).toBe("SUCCESS");
    expect(inbox.receipts).toHaveLength(1);
  });

  it.each([
    ["null", null],
    ["text", "hello"],
    ["an empty object", {}],
    ["no id", { ...event(), id: undefined }],
    ["an id with NUL", event({ id: "a\0b" })],
    ["half a surrogate pair", event({ subject: "\ud800", data: "\ud800" })],
    ["another specversion", { ...event(), specversion: "0.3" }],
    ["a userversion of nought", event({ userversion: 0 })],
    ["a time that is none", event({ time: "yesterday" })],
    ["one without a userversion", { ...event(), userversion: undefined }],
    ["data nested a million levels deep", { ...event(), data: JSON.parse("[".repeat(1e6) + "]".repeat(1e6)) as unknown }],
  ])("drops what is no CloudEvent of ours, with the reason: %s", async (_name, poison) => {
    await using inbox = await openInbox([push(async () => success)]);
    expect(await inbox.deliver(poison)).toBe("DROP");
    const kept = await row<{ verdict: string; reason: string }>(inbox.db, sql`select verdict, reason from inbox`);
    expect(kept?.verdict).toBe("DROP");
    expect(kept?.reason).toMatch(/^no CloudEvent: /);
    // Again: known by what it says, so it is one row.
    expect(await inbox.deliver(poison)).toBe("DROP");
    expect(await verdicts(inbox.db)).toHaveLength(1);
  });

  it("drops data that is not as the type says, names where and not what, and settles the event", async () => {
    await using inbox = await openInbox([once(effect)]);
    const wrong = anotherEvent(8, { data: { followerId: "secret", followeeId: subject, edgeVersion: 3 } });
    await inbox.say([wrong]);
    expect(await inbox.deliver(wrong)).toBe("DROP");
    expect(await verdicts(inbox.db)).toEqual([
      { consumer: "(inbox)", verdict: "DROP", reason: "data: followerId invalid_format", attempts: 1 },
    ]);
    expect(inbox.receipts).toEqual([wrong.id]);
  });

  it("settles a dead letter as DEAD, keeping the reason it was tried again for, and takes its receipt", async () => {
    await using inbox = await openInbox([once(() => Promise.resolve({ outcome: "RETRY", reason: "the store is shut" }))]);
    await inbox.deliver(event());
    expect(await inbox.deliver(event(), "users.v1.dead")).toBe("SUCCESS");
    expect(await verdicts(inbox.db)).toEqual([{ consumer: "test.once", verdict: "DEAD", reason: "the store is shut", attempts: 1 }]);
    expect(inbox.receipts).toEqual([event().id]);
    // A late repeat does not wake it.
    expect(await inbox.deliver(event())).toBe("SUCCESS");
    expect(await effects(inbox.db)).toEqual([]);
  });

  it("keeps a dead letter that it never saw alive", async () => {
    await using inbox = await openInbox([]);
    expect(await inbox.deliver(event(), "users.v1.dead")).toBe("SUCCESS");
    expect(await verdicts(inbox.db)).toEqual([{ consumer: "(inbox)", verdict: "DEAD", reason: "given up by the sidecar", attempts: 1 }]);
  });

  it("subscribes to our topics whoever consumes, and to those of others that somebody does, each with its dead letters", () => {
    const topics = (consumers: readonly Consumer<Deps>[]): unknown[] => {
      const inbox = createInbox({ db: {} as never, deps: {} as never, consumers, receipts: { note: () => {} }, log: silentLog });
      return inbox.subscriptions.map(({ topic, deadLetterTopic }) => [topic, deadLetterTopic]);
    };
    const ours = [
      ["users.v1", "users.v1.dead"],
      ["users.v1.dead", undefined],
      ["users.private.v1", "users.private.v1.dead"],
      ["users.private.v1.dead", undefined],
    ];
    const listens = neighbourConsumer<Deps, unknown>({
      name: "test.social",
      event: neighbourEventTypes()[0] as never,
      delivery: "once",
      handle: async () => success,
    });
    expect(topics([])).toEqual(ours);
    expect(topics([listens])).toEqual([...ours, ["social.v1", "social.v1.dead"], ["social.v1.dead", undefined]]);
  });

  it("refuses two consumers of one name: the inbox remembers by it", async () => {
    await expect(openInbox([once(effect), once(effect)])).rejects.toThrow(/test\.once/);
  });

  it("forgets settled events after a week and trouble after a month", async () => {
    await using inbox = await openInbox([]);
    const insert = (id: string, verdict: string, days: number): Promise<number> =>
      affected(
        inbox.db,
        sql`insert into inbox (consumer, source, event_id, verdict, topic, type, received_at)
            values ('c', 's', ${id}, ${verdict}, 't', 't', now() - make_interval(days => ${days}))`,
      );
    await insert("a", "SUCCESS", 8);
    await insert("b", "SUCCESS", 6);
    await insert("c", "DEAD", 8);
    await insert("d", "DEAD", 31);
    expect(await deleteOldInbox(inbox.db)).toBe(2);
    expect(await rows(inbox.db, sql`select event_id as id from inbox order by 1`)).toEqual([{ id: "b" }, { id: "c" }]);
  });
});

describe("an event of ours, from outbox to consumer", () => {
  it("holds the user's next one back while a consumer asks for another try, and lets it go with the dead letter", async () => {
    await using database = await eventDatabase(1);
    const asked: number[] = [];
    const stubborn = once(async (_deps, received) => {
      asked.push(received.userVersion);
      return received.userVersion === 1 ? { outcome: "RETRY", reason: "never" } : success;
    });
    await using loop = startEventLoop(database.db, { consumers: [stubborn], maxAttempts: 3 });
    const [user = ""] = database.subjects;
    const one = { subject: user, data: { followerId: user, followeeId: user, edgeVersion: 1 } };
    await append(database.db, userUnfollowed, [one, one]);
    await until(async () => row(database.db, sql`select 1 from inbox where verdict = 'SUCCESS'`));
    expect(asked).toEqual([1, 1, 1, 2]);
    expect(await row(database.db, sql`select verdict, attempts, reason from inbox where verdict <> 'SUCCESS'`)).toEqual({
      verdict: "DEAD",
      attempts: 3,
      reason: "never",
    });
    await until(async () => (await row(database.db, sql`select 1 from outbox where done_at is null`)) === undefined);
    expect(loop.inbox.figures()).toEqual({ success: 1, ignored: 0, retry: 3, drop: 0, dead: 1, forged: 0, pushFailed: 0 });
  });
});
