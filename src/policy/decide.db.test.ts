import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { Db } from "#src/db/pool";
import { affected, rows, sql } from "#src/db/sql";
import { systemClock } from "#src/kernel/clock";
import { newUuid, type UserId } from "#src/kernel/ids";
import type { Role } from "#src/kernel/actor";
import { socialKit } from "../../test/kit/social.ts";
import { decide, type Status } from "./decide.ts";

/** What `users` says, and what is true at this moment where that is past its time. */
interface Standing {
  readonly stored: Status;
  readonly now: Status;
  readonly isStale: boolean;
}

const standings: Standing[] = [
  { stored: "active", now: "active", isStale: false },
  { stored: "suspended", now: "suspended", isStale: false },
  { stored: "banned", now: "banned", isStale: false },
  { stored: "deactivated", now: "deactivated", isStale: false },
  { stored: "erased", now: "erased", isStale: false },
  { stored: "suspended", now: "active", isStale: true },
  { stored: "active", now: "suspended", isStale: true },
  { stored: "active", now: "banned", isStale: true },
];

interface Someone {
  readonly role: Role;
  readonly standing: Standing;
  readonly isFound: boolean;
}

const someone: fc.Arbitrary<Someone> = fc.record({
  role: fc.constantFrom<Role>("user", "user", "moderator", "admin"),
  standing: fc.constantFrom(standings[0] as Standing, ...standings),
  isFound: fc.boolean(),
});

const SIZE = 5;
const place = fc.nat(SIZE - 1);
const graph = fc.record({
  people: fc.array(someone, { minLength: SIZE, maxLength: SIZE }),
  blocks: fc.uniqueArray(
    fc.tuple(place, place).filter(([one, other]) => one !== other),
    { maxLength: 6, selector: String },
  ),
});

async function store(
  db: Db,
  people: readonly Someone[],
  ids: readonly string[],
  blocks: readonly (readonly [number, number])[],
): Promise<void> {
  await affected(
    db,
    sql`insert into users (id, username, email, display_name, status, status_valid_until, limited)
        select id, left('p' || replace(id::text, '-', ''), 30), id::text || '@example.com', 'p', stored,
          case when stale then now() - interval '1 minute' end, case when found then '{}' else '{be_found}'::text[] end
        from unnest(${ids}::uuid[], ${people.map((one) => one.standing.stored)}::text[], ${people.map((one) => one.standing.isStale)}::boolean[],
          ${people.map((one) => one.isFound || one.standing.isStale)}::boolean[]) as given (id, stored, stale, found)`,
  );
  const begun = ids.filter((_, index) => people[index]?.standing.isStale === true && people[index]?.standing.now !== "active");
  await affected(
    db,
    sql`insert into restrictions (id, user_id, kind, reason_policy, reason, starts_at, expires_at)
        select gen_random_uuid(), id, kind, '1', 'spam', now() - interval '1 hour', now() + interval '1 hour'
        from unnest(${begun}::uuid[], ${begun.map((id) => (people[ids.indexOf(id)]?.standing.now === "banned" ? "ban" : "suspend"))}::text[]) as given (id, kind)`,
  );
  // Somebody stale who is not to be found has that from a restriction, like everything else that is true now.
  const unlisted = ids.filter((_, index) => people[index]?.standing.isStale === true && people[index]?.isFound === false);
  await affected(
    db,
    sql`insert into restrictions (id, user_id, kind, capabilities, reason_policy, reason)
        select gen_random_uuid(), id, 'limit', '{be_found}', '1', 'spam' from unnest(${unlisted}::uuid[]) as given (id)`,
  );
  await affected(
    db,
    sql`insert into blocks (blocker_id, blocked_id)
        select * from unnest(${blocks.map(([one]) => ids[one])}::uuid[], ${blocks.map(([, other]) => ids[other])}::uuid[])`,
  );
}

describe("the policy in SQL", () => {
  it("says what the function says, on random graphs", async () => {
    await using kit = await socialKit();
    await fc.assert(
      fc.asyncProperty(graph, async ({ people, blocks }) => {
        const ids = people.map(() => newUuid(systemClock));
        await store(kit.db, people, ids, blocks);
        const said = await rows<{ viewer: string; target: string; shown: boolean; watchable: boolean; findable: boolean }>(
          kit.db,
          sql`select v.id as viewer, p.id as target, p.shown, p.watchable, p.findable
              from unnest(${ids}::uuid[], ${people.map((one) => one.role)}::text[]) as v (id, role)
              cross join lateral people_seen_by(v.id, v.role) p
              where p.id = any (${ids}::uuid[])`,
        );
        expect(said).toHaveLength(SIZE * SIZE);
        for (const { viewer: viewerId, target: targetId, shown, watchable, findable } of said) {
          const [from, to] = [ids.indexOf(viewerId), ids.indexOf(targetId)];
          const [one, other] = [people[from], people[to]];
          if (one === undefined || other === undefined) throw new Error("an id that was not asked for");
          const viewer = { userId: viewerId as UserId, role: one.role, restricted: false, limited: new Set<never>() };
          const target = { id: targetId, status: other.standing.now, limited: other.isFound ? [] : ["be_found"] };
          const blocked = blocks.some(([a, b]) => (a === from && b === to) || (a === to && b === from));
          const view = decide(viewer, target, { blocked }, "view");
          expect({ from, to, shown }).toEqual({ from, to, shown: view === "allow" || view.refuse !== "hidden" });
          expect({ from, to, watchable }).toEqual({ from, to, watchable: decide(viewer, target, { blocked }, "watch") === "allow" });
          expect({ from, to, findable }).toEqual({ from, to, findable: decide(viewer, target, { blocked }, "find") === "allow" });
        }
      }),
      { numRuns: 400 },
    );
  });
});
