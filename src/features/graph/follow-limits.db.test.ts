import { describe, expect, it } from "@jest/globals";
import { warmUp, type Db } from "#src/db/pool";
import { affected, row, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { codeOf } from "../../../test/kit/outcome.ts";
import { people, type Person } from "../../../test/kit/people.ts";
import { socialKit } from "../../../test/kit/social.ts";
import { follow, FOLLOW_LIMITS, unfollow } from "./follow.ts";
import { noteRequest } from "./note-requests.ts";

const edgeOf = (follower: Person, followee: Person): { followerId: string; followeeId: string } => ({
  followerId: follower.id,
  followeeId: followee.id,
});

/** So many edges to people whom nobody asks about. */
async function edges(db: Db, { id }: Person, count: number, how: { readonly state: string; readonly hoursAgo: number }): Promise<void> {
  const ids = Array.from({ length: count }, () => newUuid(systemClock));
  await affected(
    db,
    sql`insert into follows (follower_id, followee_id, state, created_at)
        select ${id}::uuid, one, ${how.state}, now() - ${how.hoursAgo}::int * interval '1 hour' from unnest(${ids}::uuid[]) one`,
  );
}

const old = (db: Db, { id }: Person): Promise<number> =>
  affected(db, sql`update users set created_at = now() - interval '8 days' where id = ${id}::uuid`);

describe("how many new people one may follow", () => {
  it("is bounded in a day, more closely for a new account, and leaving them gives nothing back", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat, dan } = await people(kit.db, { ann: {}, bob: {}, cat: {}, dan: {} });
    await edges(kit.db, ann, FOLLOW_LIMITS.newcomersInADay - 1, { state: "gone", hoursAgo: 20 });
    // Too long ago to count.
    await edges(kit.db, ann, 200, { state: "accepted", hoursAgo: 25 });

    expect(await follow(kit, edgeOf(ann, bob))).toBe("accepted");
    const refused: unknown = await follow(kit, edgeOf(ann, cat)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "follow.too_many", type: { status: 429 } });
    const wait = (refused as { details: { retryAfterSeconds: number } }).details.retryAfterSeconds;
    expect(wait).toBeGreaterThan(3.9 * 3_600);
    expect(wait).toBeLessThanOrEqual(4 * 3_600);
    expect(await row(kit.db, sql`select 1 from follows where followee_id = ${cat.id}::uuid`)).toBeUndefined();
    // Nobody new: they were followed before.
    await unfollow(kit, edgeOf(ann, bob));
    expect(await follow(kit, edgeOf(ann, bob))).toBe("accepted");

    await old(kit.db, ann);
    expect(await follow(kit, edgeOf(ann, cat))).toBe("accepted");
    await edges(kit.db, ann, FOLLOW_LIMITS.newInADay - FOLLOW_LIMITS.newcomersInADay - 1, { state: "accepted", hoursAgo: 1 });
    expect(await codeOf(follow(kit, edgeOf(ann, dan)))).toBe("follow.too_many");
    // Others are not counted with her, and where limits are off nobody is.
    expect(await follow(kit, edgeOf(bob, dan))).toBe("accepted");
    expect(await follow({ ...kit, config: { rateLimits: false } }, edgeOf(ann, dan))).toBe("accepted");
  });

  it("is exact for many at once", async () => {
    await using kit = await socialKit({ maxConnections: 10 });
    const crowd = Array.from({ length: 8 }, (_, index) => [`other${index}`, {}] as const);
    const everybody = await people(kit.db, { ann: {}, ...Object.fromEntries(crowd) });
    const others = Object.values(everybody).slice(1);
    await edges(kit.db, everybody.ann, FOLLOW_LIMITS.newcomersInADay - 3, { state: "accepted", hoursAgo: 1 });

    // Connections that are opened one after the other would have them follow one after the other.
    await warmUp(kit.db);

    const codes = await Promise.all(others.map((other) => codeOf(follow(kit, edgeOf(everybody.ann, other)))));
    expect(codes.toSorted()).toEqual([...Array<string>(5).fill("follow.too_many"), ...Array<string>(3).fill("ok")]);
  });

  it("is bounded where they must say yes by how many have not answered", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat } = await people(kit.db, { ann: {}, bob: {}, cat: {} });
    await affected(kit.db, sql`insert into privacy_settings (user_id, require_follow_approval) values (${bob.id}::uuid, true)`);
    await edges(kit.db, ann, FOLLOW_LIMITS.waiting, { state: "requested", hoursAgo: 100 });

    expect(await codeOf(follow(kit, edgeOf(ann, bob)))).toBe("follow.too_many_waiting");
    expect(await follow(kit, edgeOf(ann, cat))).toBe("accepted");
    await affected(
      kit.db,
      sql`update follows set state = 'gone' where ctid in (select ctid from follows where follower_id = ${ann.id}::uuid and state = 'requested' limit 1)`,
    );
    expect(await follow(kit, edgeOf(ann, bob))).toBe("requested");
  });
});

describe("whom a crowd asks to follow", () => {
  it("is not buried in notices, and has every request in the list of them", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await affected(kit.db, sql`insert into privacy_settings (user_id, require_follow_approval) values (${bob.id}::uuid, true)`);
    await affected(
      kit.db,
      sql`insert into notices (id, user_id, type, data)
          select gen_random_uuid(), ${bob.id}::uuid, 'follow.requested', jsonb_build_object('userId', gen_random_uuid()) from generate_series(1, 100)`,
    );
    const unread = async (): Promise<number> =>
      Number(
        (await row<{ n: number }>(kit.db, sql`select count(*)::int as n from notices where user_id = ${bob.id}::uuid and read_at is null`))
          ?.n,
      );
    await follow(kit, edgeOf(ann, bob));

    await inTx(kit.db, (tx) => noteRequest(tx, edgeOf(ann, bob)));
    expect(await unread()).toBe(100);
    await affected(
      kit.db,
      sql`update notices set read_at = now() where ctid in (select ctid from notices where user_id = ${bob.id}::uuid limit 1)`,
    );
    await inTx(kit.db, (tx) => noteRequest(tx, edgeOf(ann, bob)));
    expect(await unread()).toBe(100);
  });
});
