import { describe, expect, it } from "@jest/globals";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { externalId, restrictionWish } from "#src/contract/external-restrictions";
import { REASON_CODES } from "#src/contract/restriction-reasons";
import { CAPABILITIES } from "#src/kernel/actor";
import { externalIdOf, keyOfExternalId, type UserBan } from "./userban.ts";
import { endOf, secondsOf, WishError, wishOf } from "./wish.ts";

function ban(spec: Partial<UserBan["spec"]> = {}): UserBan {
  const metadata = { name: "b", namespace: "n", uid: "u", resourceVersion: "1", generation: 3, creationTimestamp: "2026-11-26T10:00:00Z" };
  return {
    apiVersion: "",
    kind: "",
    metadata,
    spec: { userRef: { username: "bob" }, kind: "ban", reason: "spam", requestedBy: "ann", ...spec },
  };
}

describe("the wish of a UserBan", () => {
  it("is one that the contract takes, with its fence", () => {
    const wish = wishOf(
      ban({ kind: "limit", capabilities: ["post"], message: "Stop", startsAt: "2026-12-01T01:00:00+01:00", duration: "7d" }),
      true,
    );
    expect(restrictionWish.parse(wish)).toEqual(wish);
    expect(wish).toMatchObject({
      uid: "u",
      generation: 3,
      createdAt: "2026-11-26T10:00:00.000Z",
      startsAt: "2026-12-01T00:00:00.000Z",
      durationSeconds: 604_800,
      staffAllowed: true,
    });
    expect(endOf(ban({ deletionPolicy: "Keep" }), "gone")).toMatchObject({ policy: "keep", uid: "u", generation: 3 });
  });

  it.each([
    ["1s", 1],
    ["1h30m", 5_400],
    ["3650d", 315_360_000],
  ])("reads the duration %s", (text, seconds) => {
    expect(secondsOf(text)).toBe(seconds);
  });

  it.each(["", "0s", "3650d1s", "999999999d", "1w", "-1h", "1.5h", "h"])("refuses the duration %p", (text) => {
    expect(() => secondsOf(text)).toThrow(WishError);
  });

  it.each([{ startsAt: "2026-02-30T99:00:00Z" }, { userRef: {} }])("refuses %p", (spec) => {
    expect(() => wishOf(ban(spec), false)).toThrow(WishError);
  });

  it("has a name that is one segment, and knows its own cluster's", () => {
    const name = externalIdOf("eu-1", "n/b.c-d");
    expect(externalId.parse(name)).toBe("eu-1:n:b.c-d");
    expect(keyOfExternalId("eu-1", name)).toBe("n/b.c-d");
    expect(keyOfExternalId("eu", name)).toBeUndefined();
    expect(keyOfExternalId("eu-1", "eu-1:n")).toBeUndefined();
  });

  it("is described by a schema that knows the same words", async () => {
    const crd = parse(await readFile(join(import.meta.dirname, "../../charts/user-service/crds/userbans.yaml"), "utf8"));
    const { properties } = crd.spec.versions[0].schema.openAPIV3Schema.properties.spec;
    expect(properties.capabilities.items.enum).toEqual([...CAPABILITIES]);
    for (const code of REASON_CODES) expect(properties.reason.description).toContain(code);
    expect(properties.kind.enum.toSorted()).toEqual([...restrictionWish.shape.kind.options].sort());
    expect([properties.reason.maxLength, properties.message.maxLength, properties.requestedBy.maxLength]).toEqual([500, 1000, 256]);
  });
});
