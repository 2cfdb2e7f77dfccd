import { createHash } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import { wishOf, type SomeWish } from "../../../test/kit/declarations.ts";
import { keptWish, readWish, type Wish } from "./wish.ts";

type Body = Parameters<typeof readWish>[0];

const body = (more: Partial<SomeWish> = {}): Body => wishOf({ user: { username: "Ann" }, ...more }) as Body;
const read = (more: Partial<SomeWish> = {}): Wish => readWish(body(more));
const emailHash = createHash("sha256").update("ann@example.com").digest("hex");

describe("a wish", () => {
  it("takes a reason that is a code as it is, and words as the note of `other`", () => {
    expect(read({ reason: "hate" })).toMatchObject({ reason: "hate", words: undefined });
    expect(read({ reason: "Hate" })).toMatchObject({ reason: "other", words: "Hate" });
    // What an object inherits is no code.
    expect(read({ reason: "constructor" })).toMatchObject({ reason: "other", words: "constructor" });
  });

  it("knows an address by its hash only, in either form", () => {
    const byAddress = read({ user: { email: "Ann@Example.com" } });
    expect(byAddress.reference).toEqual({ emailHash });
    expect(byAddress.referenceHash).toEqual(read({ user: { emailHash } }).referenceHash);
    expect(keptWish(body({ user: { email: "Ann@Example.com" } })).user).toEqual({ emailHash });
  });

  it.each<[string, Partial<SomeWish>]>([
    ["the kind", { kind: "suspend" }],
    ["the capabilities", { capabilities: ["post"] }],
    ["the reason", { reason: "hate" }],
    ["the words of the reason", { reason: "other words" }],
    ["the message", { message: "x" }],
    ["who asked", { requestedBy: "joe" }],
    ["the start", { startsAt: "2030-01-01T00:00:00Z" }],
    ["the end", { expiresAt: "2030-01-01T00:00:00Z" }],
    ["the duration", { durationSeconds: 60 }],
  ])("is another when %s is another", (_what, more) => {
    expect(read(more).contentHash).not.toEqual(read().contentHash);
  });

  it.each<[string, Partial<SomeWish>, Partial<SomeWish>]>([
    ["for another account", {}, { user: { username: "bob" } }],
    ["with staff allowed", {}, { staffAllowed: true }],
    ["of another generation", {}, { generation: 9, uid: "uid-2", createdAt: "2030-01-01T00:00:00Z" }],
    ["with its capabilities in another order", { capabilities: ["post", "follow"] }, { capabilities: ["follow", "post", "follow"] }],
    ["with the same moment written otherwise", { startsAt: "2030-01-01T00:00:00Z" }, { startsAt: "2030-01-01T01:00:00.000+01:00" }],
    ["without capabilities", {}, { capabilities: [] }],
  ])("is the same %s", (_what, one, other) => {
    expect(read(one).contentHash).toEqual(read(other).contentHash);
  });
});
