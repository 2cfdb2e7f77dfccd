import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { Db } from "#src/db/pool";
import { affected, rows, sql } from "#src/db/sql";
import type { Actor } from "#src/kernel/actor";
import { people } from "../../../test/kit/people.ts";
import { onDatabase } from "../../../test/kit/service.ts";
import { actorOf, block, restrict, readsOf, socialKit, type TableReads } from "../../../test/kit/social.ts";
import { search, type Found } from "./search.ts";

const first = { limit: 50 };

const namesOf = (found: Found): string[] => found.data.map(({ username }) => username);

async function everyPage(deps: { db: Db }, input: { viewer: Actor; prefix: string; limit: number }): Promise<string[]> {
  const names: string[] = [];
  let cursor: string | undefined;
  do {
    const found = await search(deps, { ...input, cursor });
    names.push(...namesOf(found));
    cursor = found.pagination.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return names;
}

describe("search", () => {
  it("finds usernames, then display names, by how they begin and in any case", async () => {
    await using kit = await socialKit();
    const { me } = await people(kit.db, {
      me: { username: "meg" },
      jo2: { username: "Joanna" },
      jo1: { username: "jo.b", displayName: "Zed" },
      zoe: { displayName: "JOHN Zoe" },
      max: { displayName: "Ñandú" },
      bob: { displayName: "Bob Jo" },
    });

    expect(namesOf(await search(kit, { viewer: actorOf(me), prefix: "JO", ...first }))).toEqual(["jo.b", "Joanna", "zoe"]);
    expect(namesOf(await search(kit, { viewer: actorOf(me), prefix: "ñAND", ...first }))).toEqual(["max"]);
    expect((await search(kit, { viewer: actorOf(me), prefix: "jo", ...first })).pagination).toEqual({
      nextCursor: null,
      total: 3,
      totalIsExact: true,
      pages: 1,
    });
    expect(await search(kit, { viewer: actorOf(me), prefix: "nobody", ...first })).toEqual({
      data: [],
      pagination: { nextCursor: null, total: 0, totalIsExact: true, pages: 0 },
    });
  });

  it("minds no accents, neither in what is typed nor in names", async () => {
    await using kit = await socialKit();
    const { me } = await people(kit.db, {
      me: { username: "meg" },
      pp1: { displayName: "José Núñez" },
      pp2: { displayName: "Jose Łukasz" },
      pp3: { displayName: "JO\u0301SE\u0301" },
      pp4: { displayName: "Straße" },
      pp5: { displayName: "\u0301\u0302" },
      // As long as names may be, and twice as long decomposed: more than an index takes.
      pp7: { displayName: "ÆSIR Œuvre ΑΣ" },
      pp8: { displayName: "GROẞ" },
      pp6: { displayName: `x${"\u09cb".repeat(599)}` },
    });
    const find = async (prefix: string): Promise<string[]> => namesOf(await search(kit, { viewer: actorOf(me), prefix, ...first }));

    expect(await find("jose")).toEqual(["pp3", "pp2", "pp1"]);
    expect(await find("JÓSÉ")).toEqual(["pp3", "pp2", "pp1"]);
    expect(await find("lukasz")).toEqual(["pp2"]);
    expect(await find("strasse")).toEqual(["pp4"]);
    // Nor case, also of letters that are spelled out or have two forms.
    for (const prefix of ["æsir", "Æsir", "aesir œ", "AESIR Œ", "aesir oeuvre ας", "Æsir Œuvre Ας", "aesir oeuvre ασ"])
      expect([prefix, await find(prefix)]).toEqual([prefix, ["pp7"]]);
    for (const prefix of ["gross", "groß", "GROẞ"]) expect([prefix, await find(prefix)]).toEqual([prefix, ["pp8"]]);
    // Marks alone are no beginning of everybody.
    expect(await find("\u0301")).toEqual(["pp5"]);
  });

  it("goes on with names that are near where few begin so, the nearest first, wherever the pages end", async () => {
    await using kit = await socialKit();
    const { me } = await people(kit.db, {
      me: { username: "meg" },
      pp1: { displayName: "Michael Stone" },
      pp2: { displayName: "Stone, Micheal" },
      pp3: { username: "micheal.b" },
      pp4: { displayName: "Michel" },
      pp5: { displayName: "Ann Micheals" },
      pp6: { displayName: "Michelle" },
      pp7: { displayName: "Rachel" },
      pp8: { displayName: "Micheal P." },
    });
    const viewer = actorOf(me);
    const all = await search(kit, { viewer, prefix: "micheal", ...first });

    expect(namesOf(all).slice(0, 4)).toEqual(["micheal.b", "pp8", "pp2", "pp5"]);
    expect(namesOf(all)).toContain("pp1");
    expect(namesOf(all)).not.toContain("pp7");
    expect(all.pagination).toEqual({ nextCursor: null, total: all.data.length, totalIsExact: true, pages: 1 });
    for (const limit of [1, 2, 3, 4]) {
      expect(await everyPage(kit, { viewer, prefix: "micheal", limit })).toEqual(namesOf(all));
      const numbered: string[] = [];
      for (let page = 1; page <= all.data.length / limit + 1; page += 1) {
        numbered.push(...namesOf(await search(kit, { viewer, prefix: "micheal", limit, page })));
      }
      expect(numbered).toEqual(namesOf(all));
    }
    // The last name, and nothing for two letters or signs.
    expect(namesOf(await search(kit, { viewer, prefix: "stone", ...first }))).toEqual(["pp2", "pp1"]);
    for (const prefix of ["on", "%%%", "...", "_.*"]) expect(namesOf(await search(kit, { viewer, prefix, ...first }))).toEqual([]);
  });

  it("is near only to whom the viewer may find, and says when there was no time to look", async () => {
    await using kit = await socialKit();
    const { me, pp1, pp2, pp3 } = await people(kit.db, {
      me: { username: "meg" },
      pp1: { displayName: "Joanna One" },
      pp2: { displayName: "Joanna Two" },
      pp3: { displayName: "Joanna Three" },
      pp4: { displayName: "Joanna Four" },
      joana: {},
    });
    await block(kit.db, pp1, me);
    await restrict(kit.db, pp2, { status: "suspended" });
    await affected(kit.db, sql`insert into privacy_settings (user_id, discoverable) values (${pp3.id}::uuid, 'nobody')`);
    const viewer = actorOf(me);

    const found = await search(kit, { viewer, prefix: "joana", ...first });
    expect([namesOf(found), found.pagination.total]).toEqual([["joana", "pp4"], 2]);

    await onDatabase(
      kit.adminUrl,
      "create or replace function show_trgm(text) returns text[] language plpgsql as $$ begin perform pg_sleep(20); return '{}'; end $$",
    );
    const started = performance.now();
    const late = await Promise.all(Array.from({ length: 5 }, () => search(kit, { viewer, prefix: "joana", ...first })));
    expect(performance.now() - started).toBeLessThan(3_000);
    for (const { data, pagination } of late) {
      expect(data.map(({ username }) => username)).toEqual(["joana"]);
      expect(pagination).toEqual({ nextCursor: null, total: 1, totalIsExact: false, pages: 1 });
    }
  });

  it.each(["%", "_", "a_c", "\\", "*", ".", "'", "(", "\u{10ffff}"])("takes %s as itself", async (prefix) => {
    await using kit = await socialKit();
    const { me } = await people(kit.db, { me: { username: "meg" }, abc: {}, odd: { displayName: `${prefix}name` } });

    expect(namesOf(await search(kit, { viewer: actorOf(me), prefix, ...first }))).toEqual(["odd"]);
  });

  it("finds nobody a block hides, either way, and neither restricted people nor those without be_found; nor does it count them", async () => {
    await using kit = await socialKit();
    const { me, p1, p2, p3, p4, p5 } = await people(kit.db, {
      me: { username: "pan.me" },
      p1: { username: "pan1" },
      p2: { username: "pan2" },
      p3: { username: "pan3" },
      p4: { username: "pan4" },
      p5: { username: "pan5" },
      p6: { username: "pan6" },
    });
    await block(kit.db, me, p1);
    await block(kit.db, p2, me);
    await restrict(kit.db, p3, { status: "banned" });
    await restrict(kit.db, p4, { limited: ["be_found"] });
    await restrict(kit.db, p5, { limited: ["post"] });

    const mine = await search(kit, { viewer: actorOf(me), prefix: "pan", ...first });
    const asModerator = await search(kit, { viewer: actorOf(me, { role: "moderator" }), prefix: "pan", ...first });

    expect(namesOf(mine)).toEqual(["pan.me", "pan5", "pan6"]);
    expect(mine.pagination.total).toBe(3);
    // Left out by the statement, so that the page is as long as was asked for.
    expect(namesOf(await search(kit, { viewer: actorOf(me), prefix: "pan", limit: 2 }))).toEqual(["pan.me", "pan5"]);
    expect(namesOf(asModerator)).toEqual(["pan.me", "pan3", "pan4", "pan5", "pan6"]);
    expect(asModerator.pagination.total).toBe(5);
  });

  it("shows nothing of people that is only theirs", async () => {
    await using kit = await socialKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });

    const [found] = (await search(kit, { viewer: actorOf(ann), prefix: "bob", ...first })).data;

    expect(Object.keys(found ?? {}).toSorted()).toEqual(
      [
        "id",
        "username",
        "displayName",
        "avatarUrl",
        "bio",
        "status",
        "profileVersion",
        "isFollowing",
        "followRequested",
        "followsYou",
        "createdAt",
        "updatedAt",
      ].toSorted(),
    );
    expect(found?.id).toBe(bob.id);
  });

  it("pages by number beside the cursor", async () => {
    await using kit = await socialKit();
    const { me } = await people(kit.db, {
      me: { username: "meg" },
      ab1: {},
      ab2: {},
      ab3: {},
      zed: { displayName: "Abe" },
      yan: { displayName: "abel" },
    });
    const ask = (page: number): Promise<Found> => search(kit, { viewer: actorOf(me), prefix: "ab", limit: 2, page });

    const pages = [await ask(1), await ask(2), await ask(3), await ask(4)];

    expect(pages.map(namesOf)).toEqual([["ab1", "ab2"], ["ab3", "zed"], ["yan"], []]);
    expect(pages.map(({ pagination }) => pagination.pages)).toEqual([3, 3, 3, 3]);
    const fromSecond = await search(kit, { viewer: actorOf(me), prefix: "ab", limit: 2, cursor: pages[1]?.pagination.nextCursor ?? "" });
    expect(namesOf(fromSecond)).toEqual(["yan"]);
  });

  it("refuses the cursor of another search, and a forged one", async () => {
    await using kit = await socialKit();
    const { me } = await people(kit.db, { me: { username: "meg" }, ab1: {}, ab2: {} });
    const viewer = actorOf(me);
    const cursor = (await search(kit, { viewer, prefix: "ab", limit: 1 })).pagination.nextCursor ?? "";
    const forge = (...parts: unknown[]): string => Buffer.from(JSON.stringify(parts)).toString("base64url");

    for (const wrong of [
      forge("search:ab", "4", "ab1", me.id),
      forge("search:ab", "1", "ab1", "x"),
      forge("search:ab", "1", "a\0", me.id),
      forge("search:ab"),
      "x",
      "{",
    ]) {
      await expect(search(kit, { viewer, prefix: "ab", limit: 1, cursor: wrong })).rejects.toMatchObject({ code: "input.invalid" });
    }
    await expect(search(kit, { viewer, prefix: "a", limit: 1, cursor })).rejects.toMatchObject({ code: "input.invalid" });
    const before = forge("search:ab", "2", "", "00000000-0000-0000-0000-000000000000");
    expect(namesOf(await search(kit, { viewer, prefix: "ab", limit: 5, cursor: before }))).toEqual([]);
  });

  it("equals a naive search, whatever names there are and wherever the pages end", async () => {
    await using kit = await socialKit();
    const { me } = await people(kit.db, { me: { username: "zzz.me" } });
    const letter = fc.constantFrom("a", "b", "A", "é", "%", "\u{1f600}");
    const person = fc.record({
      username: fc.stringMatching(/^[abA]{3,5}$/),
      displayName: fc.array(letter, { minLength: 1, maxLength: 4 }).map((letters) => letters.join("")),
      isFound: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(person, { maxLength: 12, selector: ({ username }) => username.toLowerCase() }),
        fc.array(letter, { minLength: 1, maxLength: 2 }),
        fc.integer({ min: 1, max: 5 }),
        async (crowd, letters, limit) => {
          const prefix = letters.join("");
          await affected(kit.db, sql`delete from users where id <> ${me.id}::uuid`);
          await affected(
            kit.db,
            sql`insert into users (id, username, email, display_name, limited)
                select gen_random_uuid(), name, name || '@example.com', shown, case when found then '{}' else '{be_found}'::text[] end
                from unnest(${crowd.map((one) => one.username)}::text[], ${crowd.map((one) => one.displayName)}::text[], ${crowd.map((one) => one.isFound)}::boolean[])
                  as given (name, shown, found)`,
          );
          const naive = await rows<{ username: string }>(
            kit.db,
            sql`select username from users where id <> ${me.id}::uuid and limited = '{}'
                  and (starts_with(lower(username), name_fold(${prefix})) or starts_with(name_fold(display_name), name_fold(${prefix})))
                order by not starts_with(lower(username), name_fold(${prefix})),
                  case when starts_with(lower(username), name_fold(${prefix})) then lower(username) else name_fold(display_name) end collate "C", id`,
          );

          const found = await everyPage(kit, { viewer: actorOf(me), prefix, limit });

          expect(found).toEqual(naive.map(({ username }) => username));
          expect((await search(kit, { viewer: actorOf(me), prefix, limit })).pagination.total).toBe(naive.length);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("stops counting at 200, and reads no more of 20,000 people than it counts and shows", async () => {
    await using kit = await socialKit({ maxConnections: 1 });
    const { me } = await people(kit.db, { me: { username: "meg" } });
    // Half of them are shown by their username, as everybody is at first; the other half begin alike by display name only.
    await affected(
      kit.db,
      sql`insert into users (id, username, email, display_name)
          select gen_random_uuid(), name, n || '@example.com', case n % 2 when 0 then name else 'Dee ' || md5(n::text || 'x') end
          from generate_series(1, 20000) n cross join lateral (select case n % 2 when 0 then 'u' else 'w' end || left(md5(n::text), 20)) made (name)`,
    );
    await affected(kit.db, sql`analyze users`);
    const read = async (prefix: string): Promise<TableReads & { last: Found }> => {
      const before = await readsOf(kit.db, "users");
      let last: Found | undefined;
      // More than five, so that PostgreSQL has made its generic plan as well.
      for (let time = 0; time < 12; time += 1) last = await search(kit, { viewer: actorOf(me), prefix, limit: 10 });
      const after = await readsOf(kit.db, "users");
      if (last === undefined) throw new Error("nothing was sought");
      return {
        sequential: after.sequential - before.sequential,
        index: (after.index - before.index) / 12,
        indexPages: (after.indexPages - before.indexPages) / 12,
        last,
      };
    };

    const everybody = await read("u");
    const byDisplayName = await read("dee ");
    const few = await read("u00");
    const nobody = await read("zzz");
    const withTypo = await read("dee 1c3834d2a2");
    expect(withTypo.sequential).toBe(0);
    expect(withTypo.index).toBeLessThan(5_000);

    expect([everybody, byDisplayName, few, nobody].map(({ sequential }) => sequential)).toEqual([0, 0, 0, 0]);
    expect(everybody.last.pagination).toMatchObject({ total: 200, totalIsExact: false, pages: 20 });
    expect(everybody.index).toBeLessThan(300);
    expect(byDisplayName.last.pagination).toMatchObject({ total: 200, totalIsExact: false });
    expect(byDisplayName.index).toBeLessThan(300);
    expect(few.last.pagination.totalIsExact).toBe(true);
    expect(few.index).toBeLessThan(2 * few.last.pagination.total + 50);
    expect(nobody.index).toBeLessThan(5);
    // With four trigrams looked up for names that are near.
    expect(nobody.indexPages).toBeLessThan(30);
    expect(await kit.statements(() => search(kit, { viewer: actorOf(me), prefix: "u", limit: 10 }))).toBe(2);
  });
});
