import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { rows, sql } from "#src/db/sql";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import { crowd, relationOf, SIZE, storeCrowd, targetAt, viewerAt } from "../../test/kit/random-people.ts";
import { socialKit } from "../../test/kit/social.ts";
import { decide, type SocialAction } from "./decide.ts";

interface Said {
  readonly viewer: string;
  readonly target: string;
  readonly shown: boolean;
  readonly watchable: boolean;
  readonly findable: boolean;
  readonly whole: boolean;
}

describe("the policy in SQL", () => {
  it("says what the function says, on random graphs", async () => {
    await using kit = await socialKit();
    await fc.assert(
      fc.asyncProperty(crowd, async (people) => {
        const ids = Array.from({ length: SIZE }, () => newUuid(systemClock));
        await storeCrowd(kit.db, people, ids, newUuid(systemClock).slice(-12));
        const said = await rows<Said>(
          kit.db,
          sql`select v.id as viewer, p.id as target, p.shown, p.watchable, p.findable, p.whole
              from unnest(${ids}::uuid[], ${people.people.map((one) => one.role)}::text[]) as v (id, role)
              cross join lateral people_seen_by(v.id, v.role) p
              where p.id = any (${ids}::uuid[])`,
        );
        expect(said).toHaveLength(SIZE * SIZE);
        for (const { viewer: viewerId, target: targetId, shown, watchable, findable, whole } of said) {
          const [from, to] = [ids.indexOf(viewerId), ids.indexOf(targetId)];
          const [viewer, target, relation] = [viewerAt(people, ids, from), targetAt(people, ids, to), relationOf(people, from, to)];
          const may = (action: SocialAction): boolean => decide(viewer, target, relation, action) === "allow";
          const view = decide(viewer, target, relation, "view");
          expect({ from, to, shown, watchable, findable, whole }).toEqual({
            from,
            to,
            shown: view === "allow" || view.refuse !== "hidden",
            watchable: may("watch"),
            findable: may("find"),
            whole: may("view_profile"),
          });
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
