import { describe, expect, it } from "@jest/globals";
import { Problem } from "#src/kernel/problem";
import { wishOf, type SomeWish } from "../../../test/kit/declarations.ts";
import type { Declared } from "./declared.rows.ts";
import { judgeEnd, judgeWish, seenOf, type Seen } from "./fence.ts";
import { readWish, type Wish } from "./wish.ts";

const ANN = "019abc00-0000-7000-8000-00000000000a";

function asked(more: Partial<SomeWish> = {}): Wish {
  return readWish(wishOf({ user: { username: "ann" }, generation: 5, ...more }) as Parameters<typeof readWish>[0]);
}

function row(more: Partial<Declared> = {}): Declared {
  const { contentHash, referenceHash, createdAt } = asked();
  return {
    source: "kubernetes",
    external_id: "a:b:c",
    uid: "uid-1",
    object_created_at: createdAt,
    generation: 5,
    content_hash: contentHash,
    reference_hash: referenceHash,
    user_id: ANN,
    email_hash: null,
    wish: null,
    restriction_id: null,
    first_enforced_at: null,
    sessions_revoked: 0,
    ended_at: null,
    ended_how: null,
    starts_at: null,
    expires_at: null,
    lifted_at: null,
    now: new Date("2026-11-24T00:00:00Z"),
    ...more,
  };
}

const ended = { ended_at: new Date("2026-11-23T00:00:00Z"), ended_how: "lifted" } as const;
const later = { uid: "uid-2", object_created_at: new Date("2026-11-21T00:00:00Z") };
const earlier = { uid: "uid-0", object_created_at: new Date("2026-11-19T00:00:00Z") };

function verdict(judge: () => unknown): unknown {
  try {
    return judge();
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
}

const seen = (...rows: readonly Declared[]): Seen => seenOf(rows, "uid-1");

describe("the fence", () => {
  it.each<[string, Seen, Partial<SomeWish>, string]>([
    ["nothing known", seen(), {}, "first"],
    ["an older incarnation, live", seen(row(earlier)), {}, "first"],
    ["an older incarnation, ended", seen(row({ ...earlier, ...ended })), {}, "first"],
    ["another incarnation of the same moment", seen(row({ uid: "uid-2" })), {}, "first"],
    ["a newer incarnation, live", seen(row(later)), {}, "restriction.superseded"],
    ["a newer incarnation, ended", seen(row({ ...later, ...ended })), {}, "restriction.superseded"],
    ["itself, and a newer one", seen(row(), row({ ...later, ...ended })), {}, "restriction.superseded"],
    ["itself", seen(row()), {}, "repeat"],
    ["itself, the account named by its id", seen(row()), { user: { id: ANN.toUpperCase() } }, "repeat"],
    ["itself, staff allowed by now", seen(row()), { staffAllowed: true }, "repeat"],
    ["itself, another account", seen(row()), { user: { username: "bob" } }, "restriction.superseded"],
    ["itself, another content", seen(row()), { message: "x" }, "restriction.superseded"],
    ["a higher generation", seen(row({ generation: 6 })), {}, "restriction.superseded"],
    ["a lower generation", seen(row({ generation: 4 })), { message: "x" }, "later"],
    ["a lower generation of the same content", seen(row({ generation: 4 })), {}, "later-same"],
    ["its end", seen(row(ended)), {}, "restriction.superseded"],
    ["its end, of a lower generation", seen(row({ ...ended, generation: 4 })), {}, "restriction.superseded"],
  ])("knowing %s", (_what, known, wish, expected) => {
    expect(verdict(() => judgeWish(known, asked(wish)))).toBe(expected);
  });

  it.each<[string, Seen, string | undefined]>([
    ["nothing known", seen(), undefined],
    ["itself", seen(row()), undefined],
    ["a lower generation", seen(row({ generation: 4 })), undefined],
    ["a higher generation", seen(row({ generation: 6 })), "restriction.superseded"],
    ["its end, whatever its generation", seen(row({ ...ended, generation: 6 })), undefined],
    ["a newer incarnation", seen(row(later)), undefined],
  ])("of ends, knowing %s", (_what, known, expected) => {
    expect(verdict(() => judgeEnd(known, { generation: 5 }))).toBe(expected);
  });
});
