/** Every list and every person shown is what `decide` allows, on random graphs of follows, requests, blocks, settings, roles and restrictions. */

import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { search } from "#src/features/discovery/search";
import { suggest } from "#src/features/discovery/suggestions";
import { listFollowers, listFollowing } from "#src/features/graph/follow-lists";
import { listMutes, listRequests } from "#src/features/graph/own-lists";
import { readRelationships } from "#src/features/graph/relationships";
import { readBatch } from "#src/features/neighbours/batch";
import { decidePairs } from "#src/features/neighbours/relationships";
import { selectSight } from "#src/features/presence/presence.sql";
import { readPeople, readProfile } from "#src/features/profiles/people";
import { PAIR_ACTIONS } from "#src/contract/people";
import { affected, sql } from "#src/db/sql";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { decide, STRANGER, type SocialAction } from "#src/policy/decide";
import { askGraphql } from "../kit/graphql.ts";
import { codeOf } from "../kit/outcome.ts";
import { crowd, relationOf, SIZE, storeCrowd, targetAt, viewerAt, type Crowd } from "../kit/random-people.ts";
import { actorOf, socialKit, type SocialKit } from "../kit/social.ts";

const places = Array.from({ length: SIZE }, (_, index) => index);
const inOrder = (some: readonly number[]): number[] => some.toSorted((one, other) => one - other);
const whole = { limit: 50, cursor: undefined };
/** The last 12 characters of a UUID, which are random. */
const tailOf = (id: string): string => id.slice(-12);

/** What may be seen of a person, in one word. */
function shownAs(may: (action: SocialAction) => boolean, view: ReturnType<typeof decide>): string | undefined {
  if (view === "allow") return may("view_profile") ? "whole" : "private";
  return view.refuse === "unavailable" ? "unavailable" : undefined;
}

/** Between people who have nothing to do with each other. */
const NOTHING = { blocking: false, blocked: false, follows: false };

const asShown = ({ status }: { readonly status: string }): string => (["private", "unavailable"].includes(status) ? status : "whole");

interface Shown {
  readonly id: string;
  readonly status: string;
  readonly followersCount?: number | null;
  readonly followingCount?: number | null;
}
interface Connection {
  readonly edges: readonly { readonly node: Shown & Lists }[];
}
interface Lists {
  readonly followers?: Connection | null;
  readonly following?: Connection | null;
}

const LISTS = [
  ["followers", "view_followers", 1],
  ["following", "view_following", 0],
] as const;
const CARD = "id status followersCount followingCount";
const listsOf = (inner: string): string => LISTS.map(([list]) => `${list}(first: 5) { edges { node { ${CARD} ${inner} } } }`).join(" ");

interface Sight {
  readonly people: Crowd;
  readonly ids: readonly string[];
  readonly from: number;
  readonly owner: number;
}

/** The edges of GraphQL, from somebody to theirs and on to those of theirs: each list as the policy has it, or refused with its word. */
async function seeByGraphql(kit: SocialKit, { people, ids, from, owner }: Sight): Promise<void> {
  const viewer = viewerAt(people, ids, from);
  const decided = (to: number, action: SocialAction) => decide(viewer, targetAt(people, ids, to), relationOf(people, from, to), action);
  const cardOf = (to: number): string | undefined => shownAs((action) => decided(to, action) === "allow", decided(to, "view"));
  const expected: string[] = [];
  const check = (shown: Shown & Lists, depth: number): void => {
    const at = ids.indexOf(shown.id);
    expect([at, asShown(shown)]).toEqual([at, cardOf(at)]);
    for (const [list, action, end] of LISTS) {
      const decision = decided(at, action);
      expect([list, shown[`${list}Count`] !== null]).toEqual([list, decision === "allow"]);
      if (depth === 2) continue;
      if (decision !== "allow") {
        expect([list, shown[list]]).toEqual([list, null]);
        expected.push(CODES[decision.refuse] ?? decision.refuse);
        continue;
      }
      const nodes = shown[list]?.edges.map(({ node }) => node) ?? [];
      const standing = people.edges.filter(({ between, state }) => between[end] === at && state === "accepted");
      const listed = standing.map(({ between }) => between[1 - end] ?? -1).filter((to) => cardOf(to) !== undefined);
      expect([list, inOrder(nodes.map(({ id }) => ids.indexOf(id)))]).toEqual([list, inOrder(listed)]);
      for (const node of nodes) check(node, depth + 1);
    }
  };
  const actor = { ...actorOf({ id: ids[from] ?? "" }), ...viewer };
  const { data, codes } = await askGraphql<{ user: (Shown & Lists) | null }>(
    kit,
    actor,
    `{ user(id: "${ids[owner] ?? ""}") { ${CARD} ${listsOf(listsOf(""))} } }`,
  );
  if (data.user === null) expected.push("user.not_found");
  else check(data.user, 0);
  expect([data.user === null, codes.toSorted()]).toEqual([cardOf(owner) === undefined, expected.toSorted()]);
}

const CODES: Readonly<Record<string, string>> = { hidden: "user.not_found", unavailable: "user.unavailable", private: "user.private" };

interface Stored {
  readonly people: Crowd;
  readonly ids: readonly string[];
}

/** What one is told to be to everybody: of whoever is there, and of whom one's own block hides. */
async function expectRelationships(kit: SocialKit, { people, ids, from }: Stored & { readonly from: number }): Promise<void> {
  const viewer = viewerAt(people, ids, from);
  const told = await readRelationships(kit, { viewer, ids });
  const isTold = (to: number): boolean => {
    const { blocking, follows } = relationOf(people, from, to);
    const blockedBy = people.blocks.some(([one, other]) => one === to && other === from);
    return (
      to !== from &&
      shownAs(() => true, decide(viewer, targetAt(people, ids, to), { blocking, blocked: blockedBy, follows }, "view")) !== undefined
    );
  };
  expect(told.map(({ id, isBlocking, isFollowing }) => [ids.indexOf(id), isBlocking, isFollowing])).toEqual(
    places.flatMap((to) => {
      const { blocking, follows } = relationOf(people, from, to);
      return isTold(to) ? [[to, blocking, !blocking && follows]] : [];
    }),
  );
}

/** Whoever has no account sees what is decided for nobody. */
async function expectVisited(
  kit: SocialKit,
  { people, ids, owner, name }: Stored & { readonly owner: number; readonly name: string },
): Promise<void> {
  const visited = await readProfile(kit, { viewer: null, idOrUsername: name }).catch(() => undefined);
  const opened = (action: SocialAction): boolean => decide(null, targetAt(people, ids, owner), NOTHING, action) === "allow";
  expect(visited && asShown(visited)).toBe(shownAs(opened, decide(null, targetAt(people, ids, owner), NOTHING, "view")));
  if (visited !== undefined && "bio" in visited) {
    expect([visited.email, visited.followersCount !== null, visited.followingCount !== null]).toEqual([
      null,
      opened("view_followers"),
      opened("view_following"),
    ]);
    expect([visited.isFollowing, visited.followRequested, visited.followsYou]).toEqual([false, false, false]);
  }
}

describe("what neighbours are told", () => {
  it("is what the policy decides, of the view of anyone, of nobody and of every pair", async () => {
    await using kit = await socialKit();
    const tell = async (people: Crowd, from: number): Promise<void> => {
      const ids = places.map(() => newUuid(systemClock));
      await storeCrowd(kit.db, people, ids, tailOf(newUuid(systemClock)));
      const standing = (at: number): string => targetAt(people, ids, at).status;
      const isGone = (at: number): boolean => ["deactivated", "erased"].includes(standing(at));

      // In another order, one twice, one that is nobody's.
      const asked = [...ids.toReversed(), ids[0] ?? "", newUuid(systemClock)];
      const expected = (see: (to: number, action: SocialAction) => ReturnType<typeof decide>): unknown[] =>
        places.toReversed().flatMap((to) => {
          const card = shownAs((action) => see(to, action) === "allow", see(to, "view"));
          return card === undefined ? [] : [[to, card, `${ids[to]}@example.com`]];
        });
      const shownBy = async (viewerId: string | undefined): Promise<unknown[]> =>
        (await readBatch(kit, { ids: asked, viewerId, fields: ["email"] })).map((one) => [
          ids.indexOf(one.id),
          asShown(one),
          one.private?.email,
        ]);

      expect(await shownBy(undefined)).toEqual(expected((to, action) => decide(STRANGER, targetAt(people, ids, to), NOTHING, action)));
      const viewer = viewerAt(people, ids, from);
      if (standing(from) === "active") {
        const decided = expected((to, action) => decide(viewer, targetAt(people, ids, to), relationOf(people, from, to), action));
        expect(await shownBy(ids[from])).toEqual(decided);
      } else {
        expect(await codeOf(shownBy(ids[from]))).toBe(isGone(from) ? "user.not_found" : "account.restricted");
      }

      const pairs = places.flatMap((one) => places.map((other) => [one, other] as const));
      const told = await decidePairs(kit, {
        pairs: pairs.map(([one, other]) => ({ viewerId: ids[one] ?? "", targetId: ids[other] ?? "" })),
        actions: PAIR_ACTIONS,
      });
      const wanted = pairs.map(([one, other]) => {
        const may = PAIR_ACTIONS.map((action) => {
          if (standing(one) !== "active") return [action, isGone(one) ? "hidden" : "restricted"];
          const decision = decide(viewerAt(people, ids, one), targetAt(people, ids, other), relationOf(people, one, other), action);
          return [action, decision === "allow" ? decision : decision.refuse];
        });
        return { viewerId: ids[one], targetId: ids[other], may: Object.fromEntries(may) as unknown };
      });
      expect(told).toEqual(wanted);
    };

    await fc.assert(fc.asyncProperty(crowd, fc.nat(SIZE - 1), tell), { numRuns: 1_000 });
  }, 180_000);
});

describe("what people see of each other", () => {
  it("is what the policy decides, on every surface", async () => {
    await using kit = await socialKit();
    const see = async (people: Crowd, from: number, owner: number): Promise<void> => {
      const ids = places.map(() => newUuid(systemClock));
      // So long that no other crowd is near by chance: with 12 characters that happened in a few of a hundred runs.
      const tag = `${tailOf(newUuid(systemClock))}${tailOf(newUuid(systemClock))}`;
      await storeCrowd(kit.db, people, ids, tag);
      const viewer = viewerAt(people, ids, from);
      const decided = (to: number, action: SocialAction) => decide(viewer, targetAt(people, ids, to), relationOf(people, from, to), action);
      const may = (to: number, action: SocialAction): boolean => decided(to, action) === "allow";
      const cardOf = (to: number): string | undefined => shownAs((action) => may(to, action), decided(to, "view"));
      const placesOf = (data: readonly { readonly id: string }[]): number[] => inOrder(data.map(({ id }) => ids.indexOf(id)));

      const shown = await readPeople(kit, { viewer, ids, action: "view" });
      expect(shown.map((one) => [ids.indexOf(one.id), asShown(one)])).toEqual(
        places.flatMap((to) => (cardOf(to) === undefined ? [] : [[to, cardOf(to)]])),
      );

      await expectRelationships(kit, { people, ids, from });

      const found = await search(kit, { viewer, prefix: tag, limit: 50 });
      const findable = places.filter((to) => may(to, "find"));
      expect([placesOf(found.data), found.pagination.total]).toEqual([findable, findable.length]);

      // A letter too much, so that nobody begins so: those that are near are the same.
      const near = await search(kit, { viewer, prefix: `${tag.slice(0, 6)}g${tag.slice(6)}`, limit: 50 });
      expect([placesOf(near.data), near.pagination.total]).toEqual([findable, findable.length]);

      const suggested = await suggest(kit, { viewer, limit: 50 });
      const stands = (one: number, other: number): boolean =>
        people.edges.some(({ between, state }) => between[0] === one && between[1] === other && state === "accepted");
      const friends = places.filter((to) => to !== from && stands(from, to) && may(to, "view_following"));
      const byOf = (to: number): number[] => friends.filter((friend) => stands(friend, to));
      const isTied = (to: number): boolean => people.edges.some(({ between }) => between[0] === from && between[1] === to);
      const expected = findable.filter((to) => to !== from && !isTied(to) && byOf(to).length > 0);
      expect(placesOf(suggested.map(({ user }) => user))).toEqual(expected);
      for (const { user, reason } of suggested) {
        if (reason.kind !== "followed_by") throw new Error("nobody is popular here");
        const by = byOf(ids.indexOf(user.id));
        expect([reason.count, reason.by.length]).toEqual([by.length, Math.min(2, by.length)]);
        expect(by).toEqual(expect.arrayContaining(placesOf(reason.by)));
      }

      const sight = await selectSight(kit.db, [viewer], ids);
      expect(placesOf(sight.filter(({ watchable }) => watchable).map((one) => ({ id: one.target_id })))).toEqual(
        places.filter((to) => may(to, "watch")),
      );

      const profile = await readProfile(kit, { viewer, idOrUsername: `${tag}${owner}` }).catch(() => undefined);
      expect(profile && asShown(profile)).toBe(cardOf(owner));
      if (profile !== undefined && "bio" in profile) {
        expect([profile.email !== null, profile.followersCount !== null, profile.followingCount !== null]).toEqual(
          (["view_email", "view_followers", "view_following"] as const).map((action) => may(owner, action)),
        );
      }

      await expectVisited(kit, { people, ids, owner, name: `${tag}${owner}` });

      for (const [name, action, end] of LISTS) {
        const list = name === "followers" ? listFollowers : listFollowing;
        const isOpen = from === owner || may(owner, action);
        const reading = list(kit, { viewer, ownerId: ids[owner] ?? "", ...whole });
        if (!isOpen) {
          const refusal = decided(owner, action);
          expect(await codeOf(reading)).toBe(refusal === "allow" ? "" : CODES[refusal.refuse]);
          continue;
        }
        const standing = people.edges.filter(({ between, state }) => between[end] === owner && state === "accepted");
        const listed = standing.map(({ between }) => between[1 - end] ?? -1).filter((to) => cardOf(to) !== undefined);
        expect([action, placesOf((await reading).data)]).toEqual([action, inOrder(listed)]);
      }

      await seeByGraphql(kit, { people, ids, from, owner });

      const waiting = people.edges.filter(({ between, state }) => between[1] === from && state === "requested");
      const asking = waiting.map(({ between }) => between[0]).filter((to) => cardOf(to) !== undefined);
      expect(placesOf((await listRequests(kit, { viewer, ...whole })).data)).toEqual(inOrder(asking));

      await affected(
        kit.db,
        sql`insert into mutes (muter_id, muted_id, notifications) select ${ids[from]}::uuid, id, true from unnest(${ids}::uuid[]) id where id <> ${ids[from]}::uuid`,
      );
      const muted = await listMutes(kit, { viewer, ...whole });
      expect(placesOf(muted.data.map(({ user }) => user))).toEqual(places.filter((to) => to !== from && cardOf(to) !== undefined));

      const own = await askGraphql<Record<"followRequests" | "mutes", Connection>>(
        kit,
        { ...actorOf({ id: viewer.userId }), ...viewer },
        `{ followRequests { edges { node { ${CARD} } } } mutes { edges { node { ${CARD} } } } }`,
      );
      const nodesOf = ({ edges }: Connection): number[] => placesOf(edges.map(({ node }) => node));
      expect([own.codes, nodesOf(own.data.followRequests)]).toEqual([[], inOrder(asking)]);
      expect(nodesOf(own.data.mutes)).toEqual(places.filter((to) => to !== from && cardOf(to) !== undefined));
    };

    await fc.assert(fc.asyncProperty(crowd, fc.nat(SIZE - 1), fc.nat(SIZE - 1), see), { numRuns: 1_000 });
  }, 180_000);
});
