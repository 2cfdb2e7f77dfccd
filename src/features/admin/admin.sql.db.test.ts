import { describe, expect, it } from "@jest/globals";
import { affected, sql } from "#src/db/sql";
import { socialKit, type SocialKit } from "../../../test/kit/social.ts";
import { selectUsers, type UserFilter } from "./admin.sql.ts";

const everybody: UserFilter = {
  prefix: undefined,
  status: undefined,
  role: undefined,
  emailVerified: undefined,
  beforeId: undefined,
  limit: 500,
};

/** More than are looked up one by one, and some whose address alone begins so. */
async function crowd(kit: SocialKit): Promise<void> {
  await affected(
    kit.db,
    sql`insert into users (id, username, email, display_name, roles)
        select uuidv7(), 'Many' || n, case when n % 100 = 0 then 'few' else 'x' end || n || '@example.com', 'A person',
          case when n % 400 = 0 then '{moderator}'::text[] else '{}' end
        from generate_series(1, 1300) n order by n`,
  );
}

async function all(kit: SocialKit, filter: Partial<UserFilter>): Promise<number[]> {
  const found: number[] = [];
  for (let beforeId: string | undefined; ;) {
    const page = await selectUsers(kit.db, { ...everybody, ...filter, beforeId });
    found.push(...page.map(({ username }) => Number(username.slice(4))));
    if (page.length < everybody.limit) return found;
    beforeId = page.at(-1)?.id;
  }
}

const down = (from: number, step: number): number[] => Array.from({ length: from / step }, (_, index) => from - index * step);

describe("accounts by what they begin with", () => {
  it("are all there, the newest first, whether few or very many begin so", async () => {
    await using kit = await socialKit();
    await crowd(kit);
    expect(await all(kit, {})).toEqual(down(1300, 1));
    expect(await all(kit, { prefix: "mANY" })).toEqual(down(1300, 1));
    expect(await all(kit, { prefix: "FEW" })).toEqual(down(1300, 100));
    expect(await all(kit, { prefix: "many1299" })).toEqual([1299]);
    expect(await all(kit, { prefix: "many_" })).toEqual([]);
  });

  it("are those that the filters let pass", async () => {
    await using kit = await socialKit();
    await crowd(kit);
    for (const prefix of [undefined, "many", "few"]) {
      expect(await all(kit, { prefix, role: "moderator" })).toEqual([1200, 800, 400]);
      expect(await all(kit, { prefix, role: "moderator", emailVerified: true })).toEqual([]);
      expect(await all(kit, { prefix, role: "moderator", emailVerified: false, status: "active" })).toEqual([1200, 800, 400]);
      expect(await all(kit, { prefix, role: "moderator", status: "banned" })).toEqual([]);
    }
  });
});
