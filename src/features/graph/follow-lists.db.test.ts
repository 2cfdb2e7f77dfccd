import { describe, expect, it } from "@jest/globals";
import { affected, sql } from "#src/db/sql";
import { encodeCursor } from "#src/kernel/page";
import { people } from "../../../test/kit/people.ts";
import { actorOf, block, restrict, readsOf, socialKit } from "../../../test/kit/social.ts";
import { follow, unfollow } from "./follow.ts";
import { listFollowers, listFollowing } from "./follow-lists.ts";

const whole = { limit: 100, cursor: undefined };

describe("lists of followers", () => {
  it("show the newest first, page by page, each person once", async () => {
    await using kit = await socialKit();
    const { ann, ...others } = await people(kit.db, { ann: {}, bob: {}, cat: {}, dan: {}, eve: {}, fay: {} });
    for (const one of Object.values(others)) await follow(kit, { followerId: one.id, followeeId: ann.id });
    // Two at the same moment: the higher id comes first.
    await affected(
      kit.db,
      sql`update follows set changed_at = (select changed_at from follows where follower_id = ${others.dan.id}::uuid)
          where follower_id = ${others.eve.id}::uuid`,
    );
    const [higher, lower] = others.dan.id > others.eve.id ? ["dan", "eve"] : ["eve", "dan"];

    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await listFollowers(kit, { viewer: actorOf(ann), ownerId: ann.id, limit: 2, cursor });
      seen.push(...page.data.map(({ username }) => username));
      cursor = page.pagination.nextCursor ?? undefined;
    } while (cursor !== undefined);

    expect(seen).toEqual(["fay", higher, lower, "cat", "bob"]);
  });

  it("go both ways and say what is between viewer and person", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: { displayName: "Bob B." } });
    await follow(kit, { followerId: ann.id, followeeId: bob.id });

    const following = await listFollowing(kit, { viewer: actorOf(ann), ownerId: ann.id, ...whole });
    const followers = await listFollowers(kit, { viewer: actorOf(bob), ownerId: bob.id, ...whole });

    expect(following.data).toMatchObject([{ id: bob.id, displayName: "Bob B.", isFollowing: true, followsYou: false }]);
    expect(followers.data).toMatchObject([{ id: ann.id, isFollowing: false, followsYou: true }]);
    expect(followers.data[0]).not.toHaveProperty("email");
  });

  it("tell the total, exact, in one's own list only", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat } = await people(kit.db, { ann: {}, bob: {}, cat: {} });
    await follow(kit, { followerId: bob.id, followeeId: ann.id });
    await follow(kit, { followerId: cat.id, followeeId: ann.id });

    const own = await listFollowers(kit, { viewer: actorOf(ann), ownerId: ann.id, limit: 1, cursor: undefined });
    const others = await listFollowers(kit, { viewer: actorOf(bob), ownerId: ann.id, limit: 1, cursor: undefined });

    expect(own.pagination).toMatchObject({ total: 2, totalIsExact: true });
    expect(Object.keys(others.pagination)).toEqual(["nextCursor"]);
  });

  it("leave out who unfollowed, and whom a block hides from this viewer", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat, dan, eve, fay } = await people(kit.db, { ann: {}, bob: {}, cat: {}, dan: {}, eve: {}, fay: {} });
    for (const one of [bob, cat, dan]) await follow(kit, { followerId: one.id, followeeId: ann.id });
    await unfollow(kit, { followerId: dan.id, followeeId: ann.id });
    await block(kit.db, bob, eve);

    const forEve = await listFollowers(kit, { viewer: actorOf(eve), ownerId: ann.id, ...whole });
    const forCat = await listFollowers(kit, { viewer: actorOf(cat), ownerId: ann.id, ...whole });

    expect(forEve.data.map(({ username }) => username)).toEqual(["cat"]);
    // Left out by the statement, so that the page is as long as was asked for.
    await block(kit.db, eve, cat);
    await follow(kit, { followerId: fay.id, followeeId: ann.id });
    await affected(kit.db, sql`update follows set changed_at = now() - interval '1 day' where follower_id = ${fay.id}::uuid`);
    const firstForEve = await listFollowers(kit, { viewer: actorOf(eve), ownerId: ann.id, limit: 1, cursor: undefined });
    expect(firstForEve.data.map(({ username }) => username)).toEqual(["fay"]);
    expect(firstForEve.pagination.nextCursor).toBeNull();
    expect(forCat.data.map(({ username }) => username)).toEqual(["cat", "bob"]);
  });

  it("show a restricted account as unavailable, so that total and list agree", async () => {
    await using kit = await socialKit();
    const { ann, bob, mod } = await people(kit.db, { ann: {}, bob: {}, mod: { roles: ["user", "moderator"] } });
    await follow(kit, { followerId: bob.id, followeeId: ann.id });
    await restrict(kit.db, bob, { status: "banned" });

    const own = await listFollowers(kit, { viewer: actorOf(ann), ownerId: ann.id, ...whole });
    const forMod = await listFollowers(kit, { viewer: actorOf(mod, { role: "moderator" }), ownerId: ann.id, ...whole });

    expect(own.data).toEqual([{ id: bob.id, username: "bob", status: "unavailable" }]);
    expect(own.pagination.total).toBe(1);
    expect(forMod.data).toMatchObject([{ id: bob.id, status: "banned", displayName: "bob" }]);
  });

  it("are refused where their owner is hidden or unavailable", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat } = await people(kit.db, { ann: {}, bob: {}, cat: {} });
    await block(kit.db, bob, ann);
    await restrict(kit.db, cat, { status: "suspended" });

    await expect(listFollowers(kit, { viewer: actorOf(ann), ownerId: bob.id, ...whole })).rejects.toMatchObject({ code: "user.not_found" });
    await expect(listFollowing(kit, { viewer: actorOf(ann), ownerId: cat.id, ...whole })).rejects.toMatchObject({
      code: "user.unavailable",
    });
  });

  it("refuse a cursor of another list, and a forged one", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat } = await people(kit.db, { ann: {}, bob: {}, cat: {} });
    await follow(kit, { followerId: ann.id, followeeId: bob.id });
    await follow(kit, { followerId: ann.id, followeeId: cat.id });
    const list = { viewer: actorOf(ann), ownerId: ann.id, limit: 1 };
    const cursor = (await listFollowing(kit, { ...list, cursor: undefined })).pagination.nextCursor ?? "";
    const forged = [
      ["following:x"],
      [`following:${ann.id}`, "yesterday", bob.id],
      [`following:${ann.id}`, "1", "no-id"],
      [`following:${ann.id}`, "9".repeat(17), bob.id],
    ];

    await expect(listFollowers(kit, { ...list, cursor })).rejects.toMatchObject({ code: "input.invalid" });
    for (const parts of forged) {
      const text = Buffer.from(JSON.stringify(parts)).toString("base64url");
      await expect(listFollowing(kit, { ...list, cursor: text })).rejects.toMatchObject({ code: "input.invalid" });
    }
  });

  it("read a page of a long list without reading the list", async () => {
    await using kit = await socialKit({ maxConnections: 1 });
    const { ann } = await people(kit.db, { ann: {} });
    await affected(
      kit.db,
      sql`with made as (
            insert into users (id, username, email, display_name)
            select gen_random_uuid(), 'person' || n, 'person' || n || '@example.com', 'p' from generate_series(1, 20000) n returning id
          )
          insert into follows (follower_id, followee_id, state, changed_at)
          select id, ${ann.id}::uuid, 'accepted', now() - random() * interval '1 year' from made`,
    );
    await affected(kit.db, sql`analyze users, follows`);
    const list = { viewer: actorOf(ann), ownerId: ann.id, limit: 20 };
    // From the middle of the list on.
    let cursor: string | undefined = encodeCursor(`followers:${ann.id}`, [String((Date.now() - 180 * 86_400_000) * 1_000), ann.id]);
    const before = { follows: await readsOf(kit.db, "follows"), users: await readsOf(kit.db, "users") };

    // More than five, so that PostgreSQL has made its generic plan as well.
    for (let page = 0; page < 12; page += 1) cursor = (await listFollowers(kit, { ...list, cursor })).pagination.nextCursor ?? undefined;

    const after = { follows: await readsOf(kit.db, "follows"), users: await readsOf(kit.db, "users") };
    expect(after.follows.sequential).toBe(before.follows.sequential);
    expect(after.users.sequential).toBe(before.users.sequential);
    expect(after.follows.index - before.follows.index).toBeLessThan(12 * 21 * 4);
    expect(after.users.index - before.users.index).toBeLessThan(12 * 21 * 4);
  });
});
