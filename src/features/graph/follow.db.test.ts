import { describe, expect, it } from "@jest/globals";
import pg from "pg";
import { lockPair } from "#src/db/locks";
import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { people } from "../../../test/kit/people.ts";
import { block, restrict, socialKit } from "../../../test/kit/social.ts";
import { until } from "../../../test/kit/until.ts";
import { countsOf } from "./counts.sql.ts";
import { follow, unfollow } from "./follow.ts";

interface OutboxRow {
  readonly type: string;
  readonly subject: string;
  readonly user_version: number;
  readonly data: { readonly followerId: string; readonly followeeId: string; readonly edgeVersion: number };
}

function events(db: Db): Promise<OutboxRow[]> {
  return rows(db, sql`select type, subject, user_version, data from outbox order by subject, user_version`);
}

const edgeOf = (follower: { id: string }, followee: { id: string }): { followerId: string; followeeId: string } => ({
  followerId: follower.id,
  followeeId: followee.id,
});

describe("follow", () => {
  it("makes the edge, moves both counters and tells of it once, in the follower's name", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });

    expect(await follow(kit, edgeOf(ann, bob))).toBe("accepted");

    const counts = await countsOf(kit.db, [ann.id, bob.id]);
    expect(counts.get(ann.id)).toEqual({ followersCount: 0, followingCount: 1 });
    expect(counts.get(bob.id)).toEqual({ followersCount: 1, followingCount: 0 });
    expect(await events(kit.db)).toEqual([
      { type: "videamozi.user.followed.v1", subject: ann.id, user_version: 1, data: { ...edgeOf(ann, bob), edgeVersion: 1 } },
    ]);
  });

  it("changes nothing and tells nobody the second time", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await follow(kit, edgeOf(ann, bob));

    expect(await follow(kit, edgeOf(ann, bob))).toBe("accepted");

    expect((await countsOf(kit.db, [bob.id])).get(bob.id)?.followersCount).toBe(1);
    expect(await events(kit.db)).toHaveLength(1);
  });

  it("leaves a tombstone when it ends, so that the edge's version only grows", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await follow(kit, edgeOf(ann, bob));

    expect(await unfollow(kit, edgeOf(ann, bob))).toBe("gone");
    expect(await unfollow(kit, edgeOf(ann, bob))).toBe("gone");
    await follow(kit, edgeOf(ann, bob));

    expect((await events(kit.db)).map(({ type, user_version, data }) => [type, user_version, data.edgeVersion])).toEqual([
      ["videamozi.user.followed.v1", 1, 1],
      ["videamozi.user.unfollowed.v1", 2, 2],
      ["videamozi.user.followed.v1", 3, 3],
    ]);
    expect((await countsOf(kit.db, [ann.id])).get(ann.id)).toEqual({ followersCount: 0, followingCount: 1 });
  });

  it("ends what never was without an edge or an event", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });

    expect(await unfollow(kit, edgeOf(ann, bob))).toBe("gone");

    expect(await rows(kit.db, sql`select * from follows`)).toEqual([]);
    expect(await events(kit.db)).toEqual([]);
  });

  it("is senseless with oneself", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });

    await expect(follow(kit, edgeOf(ann, ann))).rejects.toMatchObject({ code: "follow.self" });
    await expect(unfollow(kit, edgeOf(ann, ann))).rejects.toMatchObject({ code: "follow.self" });
  });

  it("knows no absent people", async () => {
    await using kit = await socialKit();
    const { ann } = await people(kit.db, { ann: {} });
    const nobody = { id: "00000000-0000-7000-8000-000000000001" };

    await expect(follow(kit, edgeOf(ann, nobody))).rejects.toMatchObject({ code: "user.not_found" });
    await expect(follow(kit, edgeOf(nobody, ann))).rejects.toMatchObject({ code: "user.not_found" });
  });

  it("hides a blocker as if they did not exist, and whom one blocked", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await block(kit.db, bob, ann);

    await expect(follow(kit, edgeOf(ann, bob))).rejects.toMatchObject({ code: "user.not_found" });
    await expect(follow(kit, edgeOf(bob, ann))).rejects.toMatchObject({ code: "user.not_found" });
  });

  it("asks for the standing of this moment, of both", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat, dan } = await people(kit.db, { ann: {}, bob: {}, cat: {}, dan: {} });
    await follow(kit, edgeOf(ann, bob));
    await restrict(kit.db, bob, { status: "suspended" });
    await restrict(kit.db, cat, { limited: ["follow"] });
    await restrict(kit.db, dan, { status: "banned" });

    await expect(follow(kit, edgeOf(cat, ann))).rejects.toMatchObject({ code: "capability.limited" });
    await expect(follow(kit, edgeOf(dan, ann))).rejects.toMatchObject({ code: "account.restricted" });
    await expect(follow(kit, edgeOf(ann, dan))).rejects.toMatchObject({ code: "user.unavailable" });
    expect(await unfollow(kit, edgeOf(ann, bob))).toBe("gone");
  });

  it("sees a block that was made while it waited for the pair", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    let following: Promise<unknown> | undefined;

    await inTx(kit.db, async (tx) => {
      await lockPair(tx, bob.id, ann.id);
      following = expect(follow(kit, edgeOf(ann, bob))).rejects.toMatchObject({ code: "user.not_found" });
      await until(
        () =>
          row(
            kit.db,
            sql`select 1 as waits from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`,
          ),
        {
          what: "the follow to wait for the pair",
        },
      );
      await affected(tx, sql`insert into blocks (blocker_id, blocked_id) values (${bob.id}::uuid, ${ann.id}::uuid)`);
    });

    await following;
    expect(await events(kit.db)).toEqual([]);
  });

  it("locks nothing of the followee: not their row, nor their counters, nor their version", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await affected(kit.db, sql`insert into follow_counts (user_id) values (${bob.id}::uuid)`);
    await affected(kit.db, sql`insert into user_versions (user_id) values (${bob.id}::uuid)`);
    const other = new pg.Client({ connectionString: kit.adminUrl });
    await other.connect();
    try {
      await other.query("begin");
      await other.query("select 1 from users where id = $1 for update", [bob.id]);
      await other.query("select 1 from follow_counts where user_id = $1 for update", [bob.id]);
      await other.query("select 1 from user_versions where user_id = $1 for update", [bob.id]);

      expect(await follow(kit, edgeOf(ann, bob))).toBe("accepted");
      expect(await unfollow(kit, edgeOf(ann, bob))).toBe("gone");
    } finally {
      await other.end();
    }
  });
});
