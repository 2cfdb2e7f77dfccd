import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { socialStatsUpdated } from "#src/contract/neighbour-event-types";
import { row, rows, sql } from "#src/db/sql";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import type { DeliveryOutcome } from "#src/sidecar/port";
import { openInbox, verdicts, type OpenInbox } from "../../../test/kit/inbox.ts";
import { people } from "../../../test/kit/people.ts";
import { restrict } from "../../../test/kit/social.ts";
import { neighboursConsumers } from "./neighbours.consumers.ts";

interface Stats {
  readonly userId: string;
  readonly postsCount: number;
  readonly reactionsCount?: number;
  readonly version?: number;
}

/** As the social service sends it. */
function statsEvent(data: Stats & Readonly<Record<string, unknown>>, parts: Readonly<Record<string, unknown>> = {}): unknown {
  return {
    specversion: "1.0",
    id: newUuid(systemClock),
    source: "urn:videamozi:social-service",
    type: "social.stats.updated.v1",
    subject: data.userId,
    time: "2026-11-24T12:00:00.000Z",
    datacontenttype: "application/json",
    data,
    ...parts,
  };
}

const openNeighbours = (): Promise<OpenInbox> => openInbox(neighboursConsumers);

const deliver = (inbox: OpenInbox, event: unknown): Promise<DeliveryOutcome> => inbox.deliver(event, "social.v1");

const profileOf = (inbox: OpenInbox, userId: string): Promise<object | undefined> =>
  row(inbox.db, sql`select version, posts_count, reactions_count, source_time from social_profiles where user_id = ${userId}::uuid`);

describe("social.stats.updated.v1", () => {
  it("becomes the figures of its user", async () => {
    await using inbox = await openNeighbours();
    const { ann } = await people(inbox.db, { ann: {} });
    expect(await deliver(inbox, statsEvent({ userId: ann.id, postsCount: 3, reactionsCount: 12, version: 5, ofALaterVersion: true }))).toBe(
      "SUCCESS",
    );
    expect(await profileOf(inbox, ann.id)).toEqual({
      version: 5,
      posts_count: 3,
      reactions_count: 12,
      source_time: new Date("2026-11-24T12:00:00.000Z"),
    });
  });

  it("takes its version from the envelope where the data has none, and from the data where both have one", async () => {
    await using inbox = await openNeighbours();
    const { ann } = await people(inbox.db, { ann: {} });
    await deliver(inbox, statsEvent({ userId: ann.id, postsCount: 1 }, { userversion: 4 }));
    await deliver(inbox, statsEvent({ userId: ann.id, postsCount: 2, version: 3 }, { userversion: 9 }));
    expect(await profileOf(inbox, ann.id)).toMatchObject({ version: 4, posts_count: 1 });
  });

  it("is heard of an app that names no source and no subject, whose sidecar writes its app id", async () => {
    await using inbox = await openNeighbours();
    const { ann } = await people(inbox.db, { ann: {} });
    const bare = statsEvent(
      { userId: ann.id, postsCount: 1, version: 1 },
      { source: "social-service", subject: undefined, time: undefined },
    );
    expect(await deliver(inbox, bare)).toBe("SUCCESS");
    expect(await profileOf(inbox, ann.id)).toMatchObject({ posts_count: 1, source_time: expect.any(Date) });
  });

  it("replaces the figures whole: what is not said any more is not known any more", async () => {
    await using inbox = await openNeighbours();
    const { ann } = await people(inbox.db, { ann: {} });
    await deliver(inbox, statsEvent({ userId: ann.id, postsCount: 1, reactionsCount: 8, version: 1 }));
    await deliver(inbox, statsEvent({ userId: ann.id, postsCount: 2, version: 2 }));
    expect(await profileOf(inbox, ann.id)).toMatchObject({ posts_count: 2, reactions_count: null });
  });

  it("changes nothing when it is older, or of the same version, or its id was heard with another body", async () => {
    await using inbox = await openNeighbours();
    const { ann } = await people(inbox.db, { ann: {} });
    await deliver(inbox, statsEvent({ userId: ann.id, postsCount: 5, version: 5 }, { id: "s-5" }));
    for (const [postsCount, version, id] of [
      [4, 4, "s-4"],
      [50, 5, "s-5b"],
      [60, 6, "s-5"],
    ] as const) {
      expect(await deliver(inbox, statsEvent({ userId: ann.id, postsCount, version }, { id }))).toBe("SUCCESS");
    }
    expect(await profileOf(inbox, ann.id)).toMatchObject({ posts_count: 5, version: 5 });
    expect(inbox.figures()).toMatchObject({ success: 4, forged: 1 });
  });

  it("of many users at once goes to each of them", async () => {
    await using inbox = await openNeighbours();
    const { ann, bob } = await people(inbox.db, { ann: {}, bob: {} });
    const events = Array.from({ length: 20 }, (_, index) =>
      statsEvent({ userId: index % 2 === 0 ? ann.id : bob.id, postsCount: index, version: index + 1 }),
    );
    const outcomes = await Promise.all([...events, ...events].map((event) => deliver(inbox, event)));
    expect(new Set(outcomes)).toEqual(new Set(["SUCCESS"]));
    expect([await profileOf(inbox, ann.id), await profileOf(inbox, bob.id)]).toMatchObject([{ posts_count: 18 }, { posts_count: 19 }]);
  });

  it("gives an erased account nothing", async () => {
    await using inbox = await openNeighbours();
    const { ann } = await people(inbox.db, { ann: {} });
    await restrict(inbox.db, ann, { status: "erased" });
    expect(await deliver(inbox, statsEvent({ userId: ann.id, postsCount: 1, version: 1 }))).toBe("SUCCESS");
    expect(await profileOf(inbox, ann.id)).toBeUndefined();
  });

  it.each([
    ["2999-01-01T00:00:00Z", "the future"],
    ["0001-01-01T00:00:00Z", "long ago"],
    ["0000-01-01T00:00:00+14:00", "before all years"],
  ])("with a time of %s is not of %s", async (time) => {
    await using inbox = await openNeighbours();
    const { ann } = await people(inbox.db, { ann: {} });
    expect(await deliver(inbox, statsEvent({ userId: ann.id, postsCount: 1, version: 1 }, { time }))).toBe("SUCCESS");
    expect(await row(inbox.db, sql`select source_time between 'epoch' and now() as believable from social_profiles`)).toEqual({
      believable: true,
    });
  });

  it.each([
    ["of a user we never had", { userId: "0197a3a0-0000-7000-8000-000000000009" }, {}, "unknown user"],
    ["about another user than its subject", {}, { subject: "0197a3a0-0000-7000-8000-000000000009" }, "subject and data.userId differ"],
    ["without any version", { version: undefined }, {}, "neither data.version nor userversion"],
    ["with a negative count", { postsCount: -1 }, {}, "data: postsCount too_small"],
    ["with half a post", { postsCount: 1.5 }, {}, "data: postsCount invalid_type"],
    ["with a count beyond all numbers", { postsCount: 1e300 }, {}, "data: postsCount too_big"],
    ["with text for a count", { postsCount: "3" }, {}, "data: postsCount invalid_type"],
    ["without a count", { postsCount: undefined }, {}, "data: postsCount invalid_type"],
    ["with a user who is no id", { userId: "ann" }, { subject: "ann" }, "data: userId invalid_format"],
    ["with a null for reactions", { reactionsCount: null }, {}, "data: reactionsCount invalid_type"],
  ])("%s is dropped with the reason, and its dead letter changes nothing", async (_name, data, parts, reason) => {
    await using inbox = await openNeighbours();
    const { ann } = await people(inbox.db, { ann: {} });
    const event = statsEvent({ userId: ann.id, postsCount: 1, version: 1, ...data } as never, parts);
    expect(await deliver(inbox, event)).toBe("DROP");
    expect(await inbox.deliver(event, "social.v1.dead")).toBe("SUCCESS");
    expect(await verdicts(inbox.db)).toMatchObject([{ verdict: "DROP", reason }]);
    expect(await rows(inbox.db, sql`select * from social_profiles`)).toEqual([]);
  });

  it("takes the largest numbers there are", async () => {
    await using inbox = await openNeighbours();
    const { ann } = await people(inbox.db, { ann: {} });
    const most = Number.MAX_SAFE_INTEGER;
    expect(await deliver(inbox, statsEvent({ userId: ann.id.toUpperCase(), postsCount: most, reactionsCount: most, version: most }))).toBe(
      "SUCCESS",
    );
    expect(await profileOf(inbox, ann.id)).toMatchObject({ posts_count: most, reactions_count: most, version: most });
  });

  it("ends in the figures of the highest version, in whatever order and however often events come", async () => {
    await using inbox = await openNeighbours();
    const told = fc.array(fc.record({ version: fc.integer({ min: 1, max: 8 }), envelope: fc.boolean() }), { minLength: 1, maxLength: 8 });
    const story = told.chain((sent) =>
      fc.record({
        sent: fc.constant(sent),
        // Each at least once, some more often, all in any order.
        order: fc
          .array(fc.integer({ min: 0, max: sent.length - 1 }), { maxLength: 6 })
          .chain((again) => fc.shuffledSubarray([...sent.keys(), ...again], { minLength: sent.length + again.length })),
      }),
    );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(story, async ({ sent, order }) => {
        const name = `user${(round += 1)}`;
        const made = await people(inbox.db, { [name]: {} });
        const userId = made[name]?.id ?? "";
        // A version has one body, as the sender must have it.
        const events = sent.map(({ version, envelope }) =>
          statsEvent(
            {
              userId,
              postsCount: version * 10,
              ...(version % 2 === 0 ? { reactionsCount: version } : {}),
              ...(envelope ? {} : { version }),
            },
            envelope ? { userversion: version } : {},
          ),
        );
        for (const place of order) expect(await deliver(inbox, events[place])).toBe("SUCCESS");
        const highest = Math.max(...sent.map(({ version }) => version));
        expect(await profileOf(inbox, userId)).toMatchObject({
          version: highest,
          posts_count: highest * 10,
          reactions_count: highest % 2 === 0 ? highest : null,
        });
      }),
      { numRuns: 40 },
    );
  });

  it("is named as the social service names it", () => {
    expect(socialStatsUpdated).toMatchObject({ topic: "social.v1", type: "social.stats.updated.v1" });
  });
});
