import { describe, expect, it } from "@jest/globals";
import type { Db } from "#src/db/pool";
import { rows, sql } from "#src/db/sql";
import { people } from "../../../test/kit/people.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { actorOf, block as blockByHand, restrict, socialKit } from "../../../test/kit/social.ts";
import { changePrivacy } from "#src/features/profiles/privacy";
import { block, unblock } from "./block.ts";
import { countsOf } from "./counts.sql.ts";
import { follow } from "./follow.ts";
import { listBlocks } from "./own-lists.ts";

interface Someone {
  readonly id: string;
}

const pairOf = (actor: Someone, other: Someone): { actorId: string; otherId: string } => ({ actorId: actor.id, otherId: other.id });
const edgeOf = (follower: Someone, followee: Someone): { followerId: string; followeeId: string } => ({
  followerId: follower.id,
  followeeId: followee.id,
});
const typesOf = async (db: Db): Promise<string[]> =>
  (await rows<{ type: string }>(db, sql`select type from outbox order by occurred_at, topic, user_version`)).map(({ type }) =>
    type.replace("videamozi.user.", ""),
  );
const whole = { limit: 10, cursor: undefined };

describe("block", () => {
  it("cuts follows both ways, with events and counters as after an unfollow, and keeps what it cut", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await follow(kit, edgeOf(ann, bob));
    await follow(kit, edgeOf(bob, ann));

    expect(await block(kit, pairOf(ann, bob))).toBe("blocked");

    expect([...(await countsOf(kit.db, [ann.id, bob.id])).values()]).toEqual([
      { followersCount: 0, followingCount: 0 },
      { followersCount: 0, followingCount: 0 },
    ]);
    expect((await typesOf(kit.db)).toSorted()).toEqual(["blocked.v1", "followed.v1", "followed.v1", "unfollowed.v1", "unfollowed.v1"]);
    expect(await rows(kit.db, sql`select topic, subject, data from outbox where type like '%.blocked.v1'`)).toEqual([
      {
        topic: "users.private.v1",
        subject: ann.id,
        data: { blockerId: ann.id, blockedId: bob.id, cut: { follow: "accepted", followed: "accepted" } },
      },
    ]);
    expect((await listBlocks(kit, { viewer: actorOf(ann), ...whole })).data).toMatchObject([
      { id: bob.id, username: "bob", follow: "accepted", followed: "accepted" },
    ]);
  });

  it("changes nothing the second time", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });

    await block(kit, pairOf(ann, bob));
    await block(kit, pairOf(ann, bob));

    expect(await typesOf(kit.db)).toEqual(["blocked.v1"]);
  });

  it("ends requests both ways, and tells nobody that there was one", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    for (const { id } of [ann, bob]) await changePrivacy(kit, { actor: { userId: id }, change: { requireFollowApproval: true } });
    await follow(kit, edgeOf(ann, bob));
    await follow(kit, edgeOf(bob, ann));

    await block(kit, pairOf(bob, ann));

    expect(await rows(kit.db, sql`select state, edge_version from follows`)).toEqual([
      { state: "gone", edge_version: 2 },
      { state: "gone", edge_version: 2 },
    ]);
    expect(await rows(kit.db, sql`select data->>'how' as how from outbox where topic = 'users.v1' or type like '%request_ended%'`)).toEqual(
      [{ how: "blocked" }, { how: "blocked" }],
    );
    expect(await unblock(kit, pairOf(bob, ann))).toEqual({ follow: "requested", followed: "requested" });
  });

  it("is refused for oneself, for who is not there, for staff, and by who is restricted", async () => {
    await using kit = await socialKit();
    const { ann, bob, gone, mod, bad } = await people(kit.db, {
      ann: {},
      bob: {},
      gone: {},
      mod: { roles: ["user", "moderator"] },
      bad: {},
    });
    await restrict(kit.db, gone, { status: "erased" });
    await restrict(kit.db, bad, { status: "banned" });
    await blockByHand(kit.db, bob, ann);
    const nobody = { id: "00000000-0000-7000-8000-000000000001" };

    for (const act of [block, unblock]) {
      expect(await codeOf(act(kit, pairOf(ann, ann)))).toBe("block.self");
      // Who blocked one, who is erased, who never was: all alike.
      for (const other of [bob, gone, nobody]) expect(await codeOf(act(kit, pairOf(ann, other)))).toBe("user.not_found");
      expect(await codeOf(act(kit, pairOf(bad, ann)))).toBe("account.restricted");
    }
    expect(await codeOf(block(kit, pairOf(ann, mod)))).toBe("user.is_staff");
    expect(await codeOf(block(kit, pairOf(mod, ann)))).toBe("ok");
    expect(await codeOf(block(kit, pairOf(ann, bad)))).toBe("ok");
  });

  it("can be taken back when the other is gone", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await block(kit, pairOf(ann, bob));
    await restrict(kit.db, bob, { status: "erased" });

    expect((await listBlocks(kit, { viewer: actorOf(ann), ...whole })).data).toEqual([]);
    expect(await codeOf(unblock(kit, pairOf(ann, bob)))).toBe("ok");
    expect(await rows(kit.db, sql`select * from blocks`)).toEqual([]);
  });
});

describe("unblock", () => {
  it("tells what was cut and restores nothing", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await follow(kit, edgeOf(bob, ann));
    await block(kit, pairOf(ann, bob));

    expect(await unblock(kit, pairOf(ann, bob))).toEqual({ follow: null, followed: "accepted" });
    expect(await unblock(kit, pairOf(ann, bob))).toEqual({ follow: null, followed: null });

    expect((await countsOf(kit.db, [ann.id])).get(ann.id)).toEqual({ followersCount: 0, followingCount: 0 });
    expect((await typesOf(kit.db)).filter((type) => type === "unblocked.v1")).toHaveLength(1);
    expect(await follow(kit, edgeOf(bob, ann))).toBe("accepted");
  });
});

describe("the list of blocks", () => {
  it("has the newest first, page by page, and refuses the cursor of another list", async () => {
    await using kit = await socialKit();
    const { ann, ...others } = await people(kit.db, { ann: {}, bob: {}, cat: {}, dan: {} });
    for (const one of Object.values(others)) await block(kit, pairOf(ann, one));
    const viewer = actorOf(ann);

    const first = await listBlocks(kit, { viewer, limit: 2, cursor: undefined });
    const second = await listBlocks(kit, { viewer, limit: 2, cursor: first.pagination.nextCursor ?? "" });

    expect([...first.data, ...second.data].map(({ username }) => username)).toEqual(["dan", "cat", "bob"]);
    expect(second.pagination.nextCursor).toBeNull();
    const foreign = listBlocks(kit, { viewer: actorOf(others.bob), limit: 2, cursor: first.pagination.nextCursor ?? "" });
    expect(await codeOf(foreign)).toBe("input.invalid");
  });
});
