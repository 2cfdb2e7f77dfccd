import { describe, expect, it } from "@jest/globals";
import { affected, rows, sql } from "#src/db/sql";
import { people } from "../../../test/kit/people.ts";
import { actorOf, block, readsOf, restrict, socialKit, type TableReads } from "../../../test/kit/social.ts";
import { readPeople, readProfile } from "./people.ts";
import { profileSchema } from "./profiles.views.ts";

describe("a profile", () => {
  it("is found by id and by username in any case, in one statement, and has nothing that is only its owner's", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: { username: "Bob.B", displayName: "Bob" } });
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state) values (${bob.id}::uuid, ${ann.id}::uuid, 'accepted')`,
    );
    await affected(kit.db, sql`insert into count_deltas (user_id, followers, following) values (${bob.id}::uuid, 0, 1)`);
    const viewer = actorOf(ann);
    const profile = await readProfile(kit, { viewer, idOrUsername: "bOB.b" });

    expect(await kit.statements(() => readProfile(kit, { viewer, idOrUsername: bob.id }))).toBe(1);
    expect(await kit.statements(() => readProfile(kit, { viewer, idOrUsername: "bob.b" }))).toBe(1);

    expect(await readProfile(kit, { viewer, idOrUsername: bob.id.toUpperCase() })).toEqual(profile);
    expect(profileSchema.parse(profile)).toEqual(profile);
    expect(profile).toEqual({
      id: bob.id,
      username: "Bob.B",
      displayName: "Bob",
      avatarUrl: null,
      bio: "",
      links: [],
      pronouns: null,
      location: null,
      timezone: null,
      status: "active",
      profileVersion: 1,
      email: null,
      isFollowing: false,
      followRequested: false,
      followsYou: true,
      followersCount: 0,
      followingCount: 1,
      social: null,
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
  });

  it.each(["nobody", "a b", "no-such-name", "%", "'; drop table users", "x".repeat(100), "00000000-0000-7000-8000-000000000001"])(
    "of %s is not found",
    async (idOrUsername) => {
      await using kit = await socialKit();
      const { ann } = await people(kit.db, { ann: {} });

      await expect(readProfile(kit, { viewer: actorOf(ann), idOrUsername })).rejects.toMatchObject({ code: "user.not_found" });
    },
  );

  it("is not there for whom its owner blocked, nor for who blocked its owner, moderators included", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await block(kit.db, ann, bob);

    for (const [viewer, target] of [
      [ann, bob],
      [bob, ann],
    ] as const) {
      for (const role of ["user", "moderator"] as const) {
        for (const idOrUsername of [target.id, target.username]) {
          await expect(readProfile(kit, { viewer: actorOf(viewer, { role }), idOrUsername })).rejects.toMatchObject({
            code: "user.not_found",
          });
        }
      }
    }
  });

  it.each(["suspended", "banned"] as const)(
    "of a %s account shows that it is unavailable and nothing personal, but to moderators",
    async (status) => {
      await using kit = await socialKit();
      const { ann, bob } = await people(kit.db, { ann: {}, bob: { displayName: "Bob B." } });
      await restrict(kit.db, bob, { status });

      expect(await readProfile(kit, { viewer: actorOf(ann), idOrUsername: "bob" })).toEqual({
        id: bob.id,
        username: "bob",
        status: "unavailable",
      });
      expect(await readProfile(kit, { viewer: actorOf(ann, { role: "moderator" }), idOrUsername: "bob" })).toMatchObject({
        displayName: "Bob B.",
        status,
      });
    },
  );

  it("is back by itself when a suspension has ended, and gone when one has begun", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat } = await people(kit.db, { ann: {}, bob: {}, cat: {} });
    await affected(
      kit.db,
      sql`update users set status = 'suspended', status_valid_until = now() - interval '1 second' where id = ${bob.id}::uuid`,
    );
    await affected(kit.db, sql`update users set status_valid_until = now() - interval '1 second' where id = ${cat.id}::uuid`);
    await affected(
      kit.db,
      sql`insert into restrictions (id, user_id, kind, reason_policy, reason, starts_at) values (gen_random_uuid(), ${cat.id}::uuid, 'ban', '1', 'spam', now() - interval '1 second')`,
    );

    expect(await readProfile(kit, { viewer: actorOf(ann), idOrUsername: "bob" })).toMatchObject({ status: "active" });
    expect(await readProfile(kit, { viewer: actorOf(ann), idOrUsername: "cat" })).toMatchObject({ status: "unavailable" });
  });
});

describe("people of a list", () => {
  it("come in the order asked for, in one statement, without those the policy refuses", async () => {
    await using kit = await socialKit();
    const { ann, bob, cat, dan, eve } = await people(kit.db, { ann: {}, bob: {}, cat: {}, dan: {}, eve: {} });
    await block(kit.db, cat, ann);
    await restrict(kit.db, dan, { status: "banned" });
    await restrict(kit.db, eve, { limited: ["be_found"] });
    const ids = [eve.id, dan.id, cat.id, bob.id];
    const list = { viewer: actorOf(ann), ids };
    const names = async (action: "view" | "find"): Promise<string[]> =>
      (await readPeople(kit, { ...list, action })).map((one) => `${one.username} ${one.status}`);

    expect(await names("view")).toEqual(["eve active", "dan unavailable", "bob active"]);
    expect(await names("find")).toEqual(["bob active"]);
    expect(await kit.statements(() => readPeople(kit, { ...list, action: "view" }))).toBe(1);
  });

  it("cost one probe an edge, however many the viewer follows", async () => {
    await using kit = await socialKit({ maxConnections: 1 });
    const { ann, bob, cat } = await people(kit.db, { ann: {}, bob: {}, cat: {} });
    // Most follow a few; ann follows 5,000, which the planner's average does not tell.
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state) select gen_random_uuid(), gen_random_uuid(), 'accepted' from generate_series(1, 20000)`,
    );
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state) select ${ann.id}::uuid, gen_random_uuid(), 'accepted' from generate_series(1, 5000)`,
    );
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state) values (${ann.id}::uuid, ${bob.id}::uuid, 'accepted')`,
    );
    await affected(kit.db, sql`analyze follows`);
    const viewer = actorOf(ann);
    const before = await readsOf(kit.db, "follows");

    for (let time = 0; time < 12; time += 1) {
      const [first, second] = await readPeople(kit, { viewer, ids: [bob.id, cat.id], action: "view" });
      expect([first, second]).toMatchObject([{ isFollowing: true }, { isFollowing: false }]);
      expect(await readProfile(kit, { viewer, idOrUsername: bob.id })).toMatchObject({ isFollowing: true, followsYou: false });
    }

    const after = await readsOf(kit.db, "follows");
    expect(after.sequential).toBe(before.sequential);
    // Two people and a profile, two edges each, at most four pages an edge.
    expect(after.indexPages - before.indexPages).toBeLessThan(12 * 3 * 2 * 4);
  });
});

describe("what the viewer may see of people", () => {
  it("is read by keys alone, whoever follows, blocks and hides however many", async () => {
    await using kit = await socialKit({ maxConnections: 1 });
    const { ann } = await people(kit.db, { ann: {} });
    await affected(
      kit.db,
      sql`insert into users (id, username, email, display_name)
          select gen_random_uuid(), 'u' || 10000 + n, n || '@example.com', 'u' from generate_series(1, 20000) n`,
    );
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state) select ${ann.id}::uuid, id, 'accepted' from users where id <> ${ann.id}::uuid`,
    );
    await affected(
      kit.db,
      sql`insert into blocks (blocker_id, blocked_id) select ${ann.id}::uuid, id from users where username like 'u1%'`,
    );
    await affected(kit.db, sql`insert into privacy_settings (user_id, profile) select id, 'followers' from users`);
    const found = await rows<{ id: string }>(kit.db, sql`select id from users where username like 'u2%' order by id limit 20`);
    const ids = found.map(({ id }) => id);
    const tables = ["users", "follows", "blocks", "privacy_settings"] as const;
    await affected(kit.db, sql`analyze users, follows, blocks, privacy_settings`);
    const read = async (): Promise<TableReads[]> => {
      const all: TableReads[] = [];
      for (const table of tables) all.push(await readsOf(kit.db, table));
      return all;
    };
    const before = await read();
    // More than five, so that PostgreSQL has made its generic plan as well.
    for (let time = 0; time < 12; time += 1) {
      await readPeople(kit, { viewer: actorOf(ann), ids, action: "view" });
      await readProfile(kit, { viewer: actorOf(ann), idOrUsername: ids[0] ?? "" });
    }
    const after = await read();

    const costs = tables.map((table, at) => [
      table,
      (after[at]?.sequential ?? 0) - (before[at]?.sequential ?? 0),
      ((after[at]?.index ?? 0) - (before[at]?.index ?? 0)) / 12 <= 2 * 21,
    ]);
    expect(costs).toEqual(tables.map((table) => [table, 0, true]));
  });
});
