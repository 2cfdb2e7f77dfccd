import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { Db } from "#src/db/pool";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { selectPerson } from "#src/features/profiles/profiles.sql";
import { Problem } from "#src/kernel/problem";
import { people, type Person } from "../../../test/kit/people.ts";
import { socialKit } from "../../../test/kit/social.ts";
import { block, unblock } from "./block.ts";
import { countsOf, countsSeenBy, foldDeltas } from "./counts.sql.ts";
import { foldCounts } from "./fold.ts";
import { follow, unfollow } from "./follow.ts";

/** What the counters must be. */
async function recount(db: Db, ids: readonly string[]): Promise<Map<string, { followersCount: number; followingCount: number }>> {
  const counted = await rows<{ id: string; followers: number; following: number }>(
    db,
    sql`select p.id, (select count(*) from follows f where f.followee_id = p.id and f.state = 'accepted') as followers,
          (select count(*) from follows f where f.follower_id = p.id and f.state = 'accepted') as following
        from unnest(${ids}::uuid[]) as p (id)`,
  );
  return new Map(counted.map((one) => [one.id, { followersCount: one.followers, followingCount: one.following }]));
}

const crowd = async (db: Db): Promise<Person[]> => Object.values(await people(db, { ann: {}, bob: {}, cat: {}, dan: {} }));

describe("counters", () => {
  it("are told without those who block the viewer, and not at all to whom more do than are looked at, but for their own", async () => {
    await using kit = await socialKit();
    const { db } = kit;
    const [ann, bob] = (await crowd(db)) as [Person, Person];
    const blockedBy = async (count: number): Promise<void> => {
      await affected(
        db,
        sql`with made as (
              insert into users (id, username, email, display_name)
              select gen_random_uuid(), 'blocker' || n, 'blocker' || n || '@example.com', 'B' from generate_series(1, ${count}::int) n
              on conflict do nothing returning id
            ) insert into blocks (blocker_id, blocked_id) select id, ${ann.id}::uuid from made`,
      );
    };
    const told = async (of: Person): Promise<unknown[]> => {
      const [counts, person] = [(await countsSeenBy(db, ann.id, [of.id])).get(of.id), await selectPerson(db, ann.id, { id: of.id })];
      expect([person?.followers, person?.following]).toEqual([counts?.followersCount, counts?.followingCount]);
      return [counts?.followersCount, counts?.followingCount];
    };
    await blockedBy(500);
    const blocker = await row<{ id: string }>(db, sql`select id from users where username = 'blocker1'`);
    await follow(kit, { followerId: blocker?.id ?? "", followeeId: bob.id });
    await follow(kit, { followerId: bob.id, followeeId: ann.id });
    expect(await told(bob)).toEqual([0, 1]);
    await blockedBy(501);
    expect(await told(bob)).toEqual([null, null]);
    expect(await told(ann)).toEqual([1, 0]);
  });

  it("equal a recount after any interleaving of follow, unfollow and fold", async () => {
    await using kit = await socialKit({ maxConnections: 8 });
    const ids = (await crowd(kit.db)).map(({ id }) => id);
    const step = fc.record({
      what: fc.constantFrom("follow", "follow", "unfollow", "fold"),
      from: fc.nat(3),
      to: fc.nat(3),
      limit: fc.integer({ min: 1, max: 4 }),
    });
    const run = async ({ what, from, to, limit }: { what: string; from: number; to: number; limit: number }): Promise<unknown> => {
      if (what === "fold") return await foldDeltas(kit.db, limit);
      const edge = { followerId: ids[from] ?? "", followeeId: ids[to] ?? "" };
      return from === to ? undefined : await (what === "follow" ? follow : unfollow)(kit, edge);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }), async (rounds) => {
        for (const round of rounds) {
          await Promise.all(round.map(run));
          expect(await countsOf(kit.db, ids)).toEqual(await recount(kit.db, ids));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("read the same at every moment while several fold at once", async () => {
    await using kit = await socialKit({ maxConnections: 8 });
    const [ann] = await crowd(kit.db);
    const id = ann?.id ?? "";
    await affected(
      kit.db,
      sql`insert into count_deltas (user_id, followers, following) select ${id}::uuid, 1, case when n % 2 = 0 then 1 else 0 end from generate_series(1, 3000) n`,
    );
    let folding = true;
    const seen = new Set<string>();
    const read = async (): Promise<void> => {
      while (folding) seen.add(JSON.stringify((await countsOf(kit.db, [id])).get(id)));
    };
    const fold = async (): Promise<number> => {
      let folded = 0;
      for (let moved = 1; moved > 0; folded += moved) moved = await foldDeltas(kit.db, 40);
      return folded;
    };
    const readers = [read(), read()];

    const folded = await Promise.all([fold(), fold(), fold()]);

    folding = false;
    await Promise.all(readers);
    expect(folded.reduce((sum, one) => sum + one, 0)).toBe(3000);
    expect([...seen]).toEqual([JSON.stringify({ followersCount: 3000, followingCount: 1500 })]);
    expect(
      await row(
        kit.db,
        sql`select followers_count as followers, following_count as following from follow_counts where user_id = ${id}::uuid`,
      ),
    ).toEqual({
      followers: 3000,
      following: 1500,
    });
    expect((await countsOf(kit.db, [id])).get(id)).toEqual({ followersCount: 3000, followingCount: 1500 });
  });

  it("are folded batch after batch until nothing waits", async () => {
    await using kit = await socialKit();
    const [ann] = await crowd(kit.db);
    await affected(
      kit.db,
      sql`insert into count_deltas (user_id, followers, following) select ${ann?.id ?? ""}::uuid, 1, 0 from generate_series(1, 12000)`,
    );

    await foldCounts(kit, new AbortController().signal);

    expect(await row(kit.db, sql`select count(*) as waiting from count_deltas`)).toEqual({ waiting: 0 });
    expect((await countsOf(kit.db, [ann?.id ?? ""])).get(ann?.id ?? "")?.followersCount).toBe(12_000);
  });

  it("are folded beside a folder that has stopped, without waiting for what it holds", async () => {
    await using kit = await socialKit();
    const [ann] = await crowd(kit.db);
    const id = ann?.id ?? "";
    await affected(
      kit.db,
      sql`insert into count_deltas (user_id, followers, following) select ${id}::uuid, 1, 0 from generate_series(1, 10)`,
    );

    await inTx(kit.db, async (tx) => {
      await rows(tx, sql`select id from count_deltas order by id limit 4 for update`);
      expect(await foldDeltas(kit.db, 100)).toBe(6);
    });

    expect(await foldDeltas(kit.db, 100)).toBe(4);
    expect((await countsOf(kit.db, [id])).get(id)?.followersCount).toBe(10);
  });

  it("are zero for somebody nobody has followed yet", async () => {
    await using kit = await socialKit();
    const [ann] = await crowd(kit.db);

    expect((await countsOf(kit.db, [ann?.id ?? ""])).get(ann?.id ?? "")).toEqual({ followersCount: 0, followingCount: 0 });
  });

  it("survive 200 follows, unfollows and blocks at once on the same pairs, and no deadlock is told to anybody", async () => {
    await using kit = await socialKit({ maxConnections: 24 });
    const ids = (await crowd(kit.db)).map(({ id }) => id);
    const refused: unknown[] = [];
    const act = async (index: number): Promise<void> => {
      const from = ids[index % 3] ?? "";
      const to = ids[(index + 1 + (Math.trunc(index / 3) % 2)) % 3] ?? "";
      const kind = index % 10;
      if (kind < 5) await follow(kit, { followerId: from, followeeId: to });
      else if (kind < 8) await unfollow(kit, { followerId: from, followeeId: to });
      else if (kind === 8) await block(kit, { actorId: from, otherId: to });
      else await unblock(kit, { actorId: from, otherId: to });
    };
    const folding = Promise.all([foldDeltas(kit.db, 7), foldDeltas(kit.db, 7)]);

    await Promise.all(Array.from({ length: 200 }, (_, index) => act(index).catch((error: unknown) => refused.push(error))));
    await folding;

    expect(refused.filter((error) => !(error instanceof Problem) || error.code !== "user.not_found")).toEqual([]);
    expect(await countsOf(kit.db, ids)).toEqual(await recount(kit.db, ids));
    // Each subject's events are numbered without a gap, and the last word on an edge is what the edge says.
    const gaps = await rows(
      kit.db,
      sql`select subject from outbox group by subject, topic having max(user_version) <> count(*) or min(user_version) <> 1`,
    );
    expect(gaps).toEqual([]);
    const wrong = await rows(
      kit.db,
      sql`select f.follower_id from follows f
          left join lateral (
            select o.type, (o.data->>'edgeVersion')::bigint as edge_version from outbox o
            where o.topic = 'users.v1' and o.subject = f.follower_id and o.data->>'followeeId' = f.followee_id::text order by o.user_version desc limit 1
          ) o on true
          where o.edge_version is distinct from f.edge_version
            or o.type is distinct from case f.state when 'accepted' then 'videamozi.user.followed.v1' else 'videamozi.user.unfollowed.v1' end`,
    );
    expect(wrong).toEqual([]);
  });
});
