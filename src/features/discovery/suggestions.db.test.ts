import { describe, expect, it } from "@jest/globals";
import { follow, unfollow } from "#src/features/graph/follow";
import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import { people, type Person } from "../../../test/kit/people.ts";
import { actorOf, block, readsOf, restrict, socialKit } from "../../../test/kit/social.ts";
import { discoverySweeps } from "./discovery.jobs.ts";
import { dismiss, suggest, type Suggestion } from "./suggestions.ts";

const namesOf = (suggestions: readonly Suggestion[]): string[] => suggestions.map(({ user }) => user.username);

async function followAll({ db }: { db: Db }, edges: readonly (readonly [Person, Person])[]): Promise<void> {
  for (const [follower, followee] of edges)
    await follow({ db, config: { rateLimits: true } }, { followerId: follower.id, followeeId: followee.id });
}

async function makePopular(db: Db, ...some: readonly Person[]): Promise<void> {
  await affected(
    db,
    sql`insert into follow_counts (user_id, followers_count, following_count)
        select id, 100 - n, 0 from unnest(${some.map(({ id }) => id)}::uuid[]) with ordinality as given (id, n)`,
  );
}

describe("suggestions", () => {
  it("are friends of friends, those of most friends first, and say which friends", async () => {
    await using kit = await socialKit();
    const { me, ann, bob, cat, dan, eve } = await people(kit.db, {
      me: { username: "meg" },
      ann: {},
      bob: {},
      cat: {},
      dan: {},
      eve: {},
      fay: {},
    });
    await followAll(kit, [[me, ann], [me, bob], [me, cat], [ann, dan], [ann, eve], [bob, eve], [cat, eve], [eve, me], [ann, bob]]); // prettier-ignore

    const found = await suggest(kit, { viewer: actorOf(me), limit: 10 });

    expect(found).toMatchObject([
      // Those followed last are named.
      {
        user: { id: eve.id, isFollowing: false, followsYou: true },
        reason: { kind: "followed_by", count: 3, by: [{ id: cat.id }, { id: bob.id }] },
      },
      { user: { id: dan.id }, reason: { kind: "followed_by", count: 1, by: [{ id: ann.id, username: "ann", isFollowing: true }] } },
    ]);
    expect(found).toHaveLength(2);
    expect(namesOf(await suggest(kit, { viewer: actorOf(me), limit: 1 }))).toEqual(["eve"]);
  });

  it("leave out whom one follows, asked, unfollowed, muted, blocked or is blocked by, the restricted, and those not to be found", async () => {
    await using kit = await socialKit();
    const { me, ann, ...others } = await people(kit.db, {
      me: { username: "meg" }, ann: {}, asked: {}, ended: {}, muted: {}, unmuted: {}, blocked: {}, blocker: {}, banned: {}, unlisted: {}, limited: {}, plain: {},
    }); // prettier-ignore
    await affected(kit.db, sql`insert into privacy_settings (user_id, require_follow_approval) values (${others.asked.id}::uuid, true)`);
    await affected(kit.db, sql`insert into privacy_settings (user_id, discoverable) values (${others.unlisted.id}::uuid, 'followers')`);
    await followAll(kit, [[me, ann], [me, others.asked], [me, others.ended]]); // prettier-ignore
    await unfollow(kit, { followerId: me.id, followeeId: others.ended.id });
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state)
          select ${ann.id}::uuid, id, 'accepted' from unnest(${Object.values(others).map(({ id }) => id)}::uuid[]) id`,
    );
    await block(kit.db, me, others.blocked);
    await block(kit.db, others.blocker, me);
    await restrict(kit.db, others.banned, { status: "banned" });
    await restrict(kit.db, others.limited, { limited: ["be_found"] });
    await affected(
      kit.db,
      sql`insert into mutes (muter_id, muted_id, until, notifications) values
          (${me.id}::uuid, ${others.muted.id}::uuid, null, false),
          (${me.id}::uuid, ${others.unmuted.id}::uuid, now() - interval '1 minute', false)`,
    );

    expect(namesOf(await suggest(kit, { viewer: actorOf(me), limit: 50 })).toSorted()).toEqual(["plain", "unmuted"]);
  });

  it("tell nothing of friends whose list of whom they follow is not shown", async () => {
    await using kit = await socialKit();
    const { me, ann, bob, cat, dan } = await people(kit.db, { me: { username: "meg" }, ann: {}, bob: {}, cat: {}, dan: {} });
    await followAll(kit, [[me, ann], [me, bob], [ann, cat], [ann, dan], [bob, dan]]); // prettier-ignore
    await affected(kit.db, sql`insert into privacy_settings (user_id, following_list) values (${ann.id}::uuid, 'nobody')`);
    await affected(
      kit.db,
      sql`insert into privacy_settings (user_id, profile, following_list) values (${bob.id}::uuid, 'followers', 'followers')`,
    );

    expect(await suggest(kit, { viewer: actorOf(me), limit: 10 })).toMatchObject([
      { user: { id: dan.id }, reason: { count: 1, by: [{ id: bob.id }] } },
    ]);
    expect(namesOf(await suggest(kit, { viewer: actorOf(me), limit: 10 }))).not.toContain(cat.username);
    await restrict(kit.db, bob, { status: "suspended" });
    expect(await suggest(kit, { viewer: actorOf(me), limit: 10 })).toEqual([]);
  });

  it("go on with popular people who show their followers, for who follows nobody too", async () => {
    await using kit = await socialKit();
    const { me, ann, star, idol, shy, gone, few } = await people(kit.db, {
      me: { username: "meg" },
      ann: {},
      star: {},
      idol: {},
      shy: {},
      gone: {},
      few: {},
    });
    await makePopular(kit.db, shy, gone, star, idol);
    await affected(kit.db, sql`insert into follow_counts (user_id, followers_count, following_count) values (${few.id}::uuid, 9, 0)`);
    await affected(kit.db, sql`insert into privacy_settings (user_id, followers_list) values (${shy.id}::uuid, 'followers')`);
    await restrict(kit.db, gone, { status: "deactivated" });
    const ask = async (limit = 10): Promise<Suggestion[]> => await suggest(kit, { viewer: actorOf(me), limit });

    expect((await ask()).map(({ user, reason }) => [user.username, reason])).toEqual([
      ["star", { kind: "popular" }],
      ["idol", { kind: "popular" }],
    ]);
    await followAll(kit, [[me, ann], [ann, idol]]); // prettier-ignore
    expect((await ask()).map(({ user, reason }) => [user.username, reason.kind])).toEqual([
      ["idol", "followed_by"],
      ["star", "popular"],
    ]);
    expect(namesOf(await ask(1))).toEqual(["idol"]);
  });

  it("are dismissed for 90 days, by oneself alone, a thousand at a time", async () => {
    await using kit = await socialKit();
    const { me, ann, bob, cat, dan } = await people(kit.db, { me: { username: "meg" }, ann: {}, bob: {}, cat: {}, dan: {} });
    await followAll(kit, [[me, ann], [cat, ann], [ann, bob]]); // prettier-ignore
    const ask = async (who = me): Promise<string[]> => namesOf(await suggest(kit, { viewer: actorOf(who), limit: 10 }));

    await dismiss(kit, { viewer: actorOf(me), id: bob.id });
    await dismiss(kit, { viewer: actorOf(me), id: bob.id });
    expect([await ask(), await ask(cat)]).toEqual([[], ["bob"]]);
    expect(
      await row(
        kit.db,
        sql`select count(*)::int as rows, bool_and(until between now() + interval '89 days' and now() + interval '91 days') as ends from suggestion_dismissals`,
      ),
    ).toEqual({ rows: 1, ends: true });

    await affected(kit.db, sql`update suggestion_dismissals set until = now() - interval '1 second'`);
    expect(await ask()).toEqual(["bob"]);
    for (const sweep of discoverySweeps) await sweep.run({ db: kit.db }, new AbortController().signal);
    expect(await rows(kit.db, sql`select from suggestion_dismissals`)).toEqual([]);

    await affected(
      kit.db,
      sql`insert into suggestion_dismissals (user_id, dismissed_id, until)
          select ${me.id}::uuid, gen_random_uuid(), now() + n * interval '1 minute' from generate_series(1, 1000) n`,
    );
    await dismiss(kit, { viewer: actorOf(me), id: bob.id });
    expect(
      await row(
        kit.db,
        sql`select count(*)::int as rows, min(until) > now() + interval '90 seconds' as oldest_went from suggestion_dismissals`,
      ),
    ).toEqual({
      rows: 1000,
      oldest_went: true,
    });

    await block(kit.db, dan, me);
    await expect(dismiss(kit, { viewer: actorOf(me), id: dan.id })).rejects.toMatchObject({ code: "user.not_found" });
    await dismiss(kit, { viewer: actorOf(me), id: me.id });
  });

  it("read a bounded number of edges among 20,000 people and 200,000 follows, and never a table whole", async () => {
    await using kit = await socialKit({ maxConnections: 1 });
    const { me, lone } = await people(kit.db, { me: { username: "meg" }, lone: {} });
    await affected(
      kit.db,
      sql`insert into users (id, username, email, display_name)
          select overlay(md5(n::text) placing '4' from 13 for 1)::uuid, 'u' || 10000 + n, n || '@example.com', 'Person ' || md5(n::text) from generate_series(1, 20000) n`,
    );
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state, changed_at)
          select one.id, other.id, 'accepted', now() - (n % 1000) * interval '1 minute'
          from generate_series(1, 200000) n
          join users one on one.username = 'u' || 10001 + n % 4000
          join users other on other.username = 'u' || 10001 + (n * 7919) % 19997
          where one.id <> other.id
          on conflict do nothing`,
    );
    await affected(
      kit.db,
      sql`insert into follows (follower_id, followee_id, state) select ${me.id}::uuid, u.id, 'accepted' from users u where u.username between 'u10001' and 'u14000'`,
    );
    await affected(
      kit.db,
      sql`insert into follow_counts (user_id, followers_count, following_count) select id, abs(hashtext(id::text)) % 40, 0 from users`,
    );
    await affected(kit.db, sql`analyze users, follows, follow_counts, blocks, mutes, privacy_settings, suggestion_dismissals`);
    const tables = ["follows", "users", "follow_counts"] as const;
    const read = async (): Promise<Record<string, number>[]> =>
      await Promise.all(tables.map(async (table) => ({ ...(await readsOf(kit.db, table)) })));

    for (const who of [me, lone]) {
      const before = await read();
      // More than five, so that PostgreSQL has made its generic plan as well.
      for (let time = 0; time < 12; time += 1) expect(await suggest(kit, { viewer: actorOf(who), limit: 20 })).toHaveLength(20);
      const after = await read();
      const step = tables.map((table, at) => ({
        table,
        sequential: (after[at]?.["sequential"] ?? 0) - (before[at]?.["sequential"] ?? 0),
        index: ((after[at]?.["index"] ?? 0) - (before[at]?.["index"] ?? 0)) / 12,
      }));
      expect(step.map(({ table, sequential }) => [table, sequential])).toEqual(tables.map((table) => [table, 0]));
      expect(step[0]?.index).toBeLessThan(9_000);
      expect(step[1]?.index).toBeLessThan(2_000);
      expect(step[2]?.index).toBeLessThan(300);
    }
  });
});
