import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { userFollowed, userUnfollowed } from "#src/contract/event-types";
import { affected, row, sql } from "#src/db/sql";
import { systemClock } from "#src/kernel/clock";
import { newUuid, uuidFloor } from "#src/kernel/ids";
import type { CloudEvent } from "#src/sidecar/port";
import { anotherEvent, effects, openInbox, ourEvent, subject, verdicts, type InboxDeps } from "../../test/kit/inbox.ts";
import { consumer, neighbourConsumer, success, type Consumer, type Verdict } from "./consumer.ts";

const edge = { followerId: subject, followeeId: subject, edgeVersion: 3 };

/** A push consumer of our own event, and the ids it was told of. */
function listener(): { readonly pushed: string[]; readonly consumer: Consumer<InboxDeps> } {
  const pushed: string[] = [];
  return {
    pushed,
    consumer: consumer<InboxDeps, unknown>({
      name: "test.push",
      event: userUnfollowed as never,
      delivery: "push",
      handle: async (_deps, { id }) => (pushed.push(id), success),
    }),
  };
}

const hoursAgo = (hours: number): Date => new Date(systemClock.now().getTime() - hours * 3_600_000);

describe("an event in our name", () => {
  it.each<[string, Partial<CloudEvent>, string]>([
    ["an id that we never gave", { id: newUuid(systemClock) }, "id: not in the outbox"],
    ["an id that is none of ours", { id: "1" }, "id: none of ours"],
    ["an id of ours and other data", { data: { ...edge, edgeVersion: 4 } }, "event: not what the outbox says"],
    ["an id of ours and another subject", { subject: newUuid(systemClock) }, "event: not what the outbox says"],
    ["an id of ours and another type", { type: userFollowed.type }, "event: not what the outbox says"],
    ["an id of ours and a higher userversion", { userversion: 8 }, "event: not what the outbox says"],
    ["an id of ours and another time", { time: "2026-11-24T12:00:01.000Z" }, "event: not what the outbox says"],
    ["the name of another service", { source: "urn:videamozi:social-service" }, "source: another service's topic"],
  ])("is dropped with the reason and told as a security event when it has %s", async (_name, parts, reason) => {
    const { pushed, consumer: push } = listener();
    await using inbox = await openInbox([push]);
    expect(await inbox.deliver(ourEvent(parts))).toBe("DROP");
    expect(pushed).toEqual([]);
    expect(inbox.receipts).toEqual([]);
    expect(await verdicts(inbox.db)).toEqual([{ consumer: "(inbox)", verdict: "DROP", reason, attempts: 1 }]);
    expect(inbox.security).toEqual([{ securityEvent: true, kind: "event.forged", reason }]);
    expect(inbox.figures()).toMatchObject({ drop: 1, forged: 1 });
    // The real one is none the worse for it.
    expect(await inbox.deliver(ourEvent())).toBe("SUCCESS");
    expect(pushed).toEqual([ourEvent().id]);
    expect(inbox.receipts).toEqual([ourEvent().id]);
  });

  it("is dropped on a topic where we did not say it", async () => {
    await using inbox = await openInbox([]);
    expect(await inbox.deliver(ourEvent(), "users.private.v1")).toBe("DROP");
    expect(inbox.receipts).toEqual([]);
  });

  it("is known whatever form a sidecar gave it", async () => {
    await using inbox = await openInbox([]);
    const { data: _data, ...rest } = ourEvent();
    const said = {
      traceid: "00-1",
      ...rest,
      time: "2026-11-24T13:00:00+01:00",
      data: { edgeVersion: 3, followeeId: subject, followerId: subject },
    };
    expect(await inbox.deliver(said)).toBe("SUCCESS");
    expect(inbox.receipts).toEqual([ourEvent().id]);
  });

  it("that is older than the outbox remembers is nobody's news", async () => {
    const { pushed, consumer: push } = listener();
    await using inbox = await openInbox([push]);
    expect(await inbox.deliver(ourEvent({ id: uuidFloor(hoursAgo(25)) }))).toBe("SUCCESS");
    expect(await inbox.deliver(ourEvent({ id: uuidFloor(hoursAgo(23)) }))).toBe("DROP");
    expect(pushed).toEqual([]);
    expect(inbox.receipts).toEqual([]);
    expect(inbox.figures()).toMatchObject({ ignored: 1, drop: 1, forged: 1 });
  });

  it("that was out for two days is still news", async () => {
    const { pushed, consumer: push } = listener();
    await using inbox = await openInbox([push]);
    const old = anotherEvent(8, { id: uuidFloor(hoursAgo(48)) });
    await inbox.say([old]);
    expect(await inbox.deliver(old)).toBe("SUCCESS");
    expect(pushed).toEqual([old.id]);
  });

  it("does not end the retries of the real one, nor take its receipt, by a dead letter either", async () => {
    const never: Consumer<InboxDeps> = consumer<InboxDeps, unknown>({
      name: "test.once",
      event: userUnfollowed as never,
      delivery: "once",
      handle: () => Promise.resolve({ outcome: "RETRY", reason: "not yet" }),
    });
    await using inbox = await openInbox([never]);
    await inbox.deliver(ourEvent());
    const forged = ourEvent({ data: { ...edge, edgeVersion: 9 } });
    expect(await inbox.deliver(forged)).toBe("DROP");
    expect(await inbox.deliver(forged, "users.v1.dead")).toBe("SUCCESS");
    expect(await row(inbox.db, sql`select verdict, reason from inbox where consumer = 'test.once'`)).toEqual({
      verdict: "RETRY",
      reason: "not yet",
    });
    expect(inbox.receipts).toEqual([]);
    expect(inbox.figures().dead).toBe(0);
  });

  it("costs one statement to tell, and many that come at once cost few", async () => {
    const { pushed, consumer: push } = listener();
    await using inbox = await openInbox([push]);
    const events = Array.from({ length: 50 }, (_, index) => anotherEvent(8 + index));
    await inbox.say(events);
    const before = inbox.statements();
    await inbox.deliver(ourEvent());
    expect(inbox.statements() - before).toBe(1);
    await Promise.all(events.map((event) => inbox.deliver(event)));
    expect(inbox.statements() - before).toBeLessThanOrEqual(4);
    expect(pushed).toHaveLength(51);
  });
});

const weatherSeen = {
  topic: "weather.v1",
  sources: ["urn:weather"],
  type: "weather.seen.v1",
  summary: "For tests.",
  data: z.object({ note: z.string() }),
};

function weather(parts: Readonly<Record<string, unknown>> = {}): unknown {
  return { specversion: "1.0", id: "w-1", source: "urn:weather", type: weatherSeen.type, data: { note: "rain", wind: 3 }, ...parts };
}

function forecaster(verdicts: readonly Verdict[] = []): Consumer<InboxDeps> {
  const given = verdicts.values();
  return neighbourConsumer<InboxDeps, { note: string }>({
    name: "test.weather",
    event: weatherSeen,
    delivery: "once",
    handle: async (_deps, event, tx) => {
      await affected(tx, sql`insert into effects values (${event.id}, ${event.data.note})`);
      return given.next().value ?? success;
    },
  });
}

const retry: Verdict = { outcome: "RETRY", reason: "not yet" };

describe("an event of another service", () => {
  it("needs what CloudEvents requires and no more, and is handled once; we take no receipt of it", async () => {
    await using inbox = await openInbox([forecaster()]);
    for (let time = 0; time < 3; time += 1) expect(await inbox.deliver(weather({ traceid: `00-${time}` }), "weather.v1")).toBe("SUCCESS");
    expect(await effects(inbox.db)).toEqual([{ event_id: "w-1", note: "rain" }]);
    expect(inbox.receipts).toEqual([]);
    expect(inbox.figures()).toMatchObject({ success: 3, forged: 0 });
  });

  it("has no effect when its id was heard with another body, and is told as a security event", async () => {
    await using inbox = await openInbox([forecaster()]);
    await inbox.deliver(weather(), "weather.v1");
    // The same fields in another order say the same.
    expect(await inbox.deliver(weather({ data: { wind: 3, note: "rain" } }), "weather.v1")).toBe("SUCCESS");
    expect(inbox.security).toEqual([]);
    for (const other of [
      { data: { note: "sun", wind: 3 } },
      { data: { note: "rain", wind: 4 } },
      { userversion: 2 },
      { subject: "someone" },
    ]) {
      expect(await inbox.deliver(weather(other), "weather.v1")).toBe("SUCCESS");
    }
    expect(await effects(inbox.db)).toEqual([{ event_id: "w-1", note: "rain" }]);
    expect(inbox.figures()).toMatchObject({ success: 6, forged: 4 });
    expect(inbox.security).toHaveLength(4);
  });

  it("that is tried again is not replaced by another body under its id, nor ended by its dead letter", async () => {
    await using inbox = await openInbox([forecaster([retry])]);
    const other = weather({ data: { note: "sun" } });
    expect(await inbox.deliver(weather(), "weather.v1")).toBe("RETRY");
    expect(await inbox.deliver(other, "weather.v1")).toBe("SUCCESS");
    expect(await inbox.deliver(other, "weather.v1.dead")).toBe("SUCCESS");
    expect(await effects(inbox.db)).toEqual([]);
    expect(await inbox.deliver(weather(), "weather.v1")).toBe("SUCCESS");
    expect(await effects(inbox.db)).toEqual([{ event_id: "w-1", note: "rain" }]);
  });

  it("is kept with its reason when the sidecar gave it up", async () => {
    await using inbox = await openInbox([forecaster([retry])]);
    await inbox.deliver(weather(), "weather.v1");
    expect(await inbox.deliver(weather(), "weather.v1.dead")).toBe("SUCCESS");
    expect(await verdicts(inbox.db)).toEqual([{ consumer: "test.weather", verdict: "DEAD", reason: "not yet", attempts: 1 }]);
  });

  it.each([
    ["another type", { type: "weather.heard.v1" }],
    ["a later version of the type", { type: "weather.seen.v2" }],
  ])("of %s is ignored", async (_name, parts) => {
    await using inbox = await openInbox([forecaster()]);
    expect(await inbox.deliver(weather(parts), "weather.v1")).toBe("SUCCESS");
    expect(await verdicts(inbox.db)).toEqual([]);
    expect(inbox.figures()).toMatchObject({ ignored: 1, success: 0 });
  });

  it.each([
    ["we are said to have sent", { ...ourEvent() }, "source: another service's topic"],
    ["a third one sent", { source: "urn:nobody" }, "source: another service's topic"],
    ["that has wrong data", { data: { note: 3 } }, "data: note invalid_type"],
    ["that has no data", { data: undefined }, "data: (whole) invalid_type"],
    ["of the wrong version", { specversion: "0.3" }, "no CloudEvent: specversion invalid_value"],
    ["without an id", { id: undefined }, "no CloudEvent: id invalid_type"],
    ["with a very long id", { id: "x".repeat(257) }, "no CloudEvent: id invalid_format"],
    ["with a userversion that is no number", { userversion: "2" }, "no CloudEvent: userversion invalid_type"],
  ])("%s is dropped with the reason", async (_name, parts, reason) => {
    await using inbox = await openInbox([forecaster()]);
    expect(await inbox.deliver(weather(parts), "weather.v1")).toBe("DROP");
    expect(await verdicts(inbox.db)).toEqual([{ consumer: "(inbox)", verdict: "DROP", reason, attempts: 1 }]);
    expect(await effects(inbox.db)).toEqual([]);
    expect(inbox.receipts).toEqual([]);
    expect(inbox.figures()).toMatchObject({ drop: 1, forged: reason.startsWith("source") ? 1 : 0 });
  });
});
