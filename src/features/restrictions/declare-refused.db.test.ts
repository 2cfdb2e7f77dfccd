import { describe, expect, it } from "@jest/globals";
import { affected, rows, sql } from "#src/db/sql";
import type { Role } from "#src/kernel/actor";
import { age, codeOf, CREATED_AT, Declarations, notices, refusal, statusOf, wishOf } from "../../../test/kit/declarations.ts";
import { people } from "../../../test/kit/people.ts";
import { sessionKit } from "../../../test/kit/sessions.ts";
import { impose } from "./impose.ts";
import { lift } from "./lift.ts";
import { noticeFor } from "./notice-for.ts";

const BAN = "prod:team-a:ann";
const staff = { mod: { roles: ["user", "moderator"] as Role[] } };
const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

describe("accounts that are not restricted so", () => {
  it.each([
    ["an admin", ["user", "admin"], true, "restriction.staff_target"],
    ["a moderator", ["user", "moderator"], false, "restriction.staff_target"],
    ["a moderator where that is allowed", ["user", "moderator"], true, "ok"],
  ] as [string, Role[], boolean, string][])("%s", async (_who, roles, staffAllowed, expected) => {
    await using kit = await sessionKit();
    const { mod } = await people(kit.db, { mod: { roles } });
    const api = new Declarations(kit);
    const put = api.put(BAN, { user: { id: mod.id }, staffAllowed });
    if (expected === "ok") expect((await put).outcome).toBe("imposed");
    else expect(await codeOf(put)).toBe(expected);
    expect(await statusOf(kit.db, mod.id)).toBe(expected === "ok" ? "banned" : "active");
  });

  it("one that got the role later stays as it is, but nothing new is imposed on it", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { id: ann.id } });
    await affected(kit.db, sql`update users set roles = '{user,moderator}' where id = ${ann.id}::uuid`);
    expect((await api.put(BAN, { user: { id: ann.id } })).outcome).toBe("unchanged");
    expect(await codeOf(api.put(BAN, { user: { id: ann.id }, generation: 2, message: "x" }))).toBe("restriction.staff_target");
    expect(await api.get(BAN)).toMatchObject({ state: "active", generation: 1 });
    // The namespace may be labelled meanwhile: no other version is needed for that.
    await affected(kit.db, sql`update restrictions set lifted_at = now(), lift_note = 'x'`);
    expect(await codeOf(api.put(BAN, { user: { id: ann.id } }))).toBe("restriction.staff_target");
    expect((await api.put(BAN, { user: { id: ann.id }, staffAllowed: true })).outcome).toBe("repaired");
  });

  it("one that another declaration restricts, which is named", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const api = new Declarations(kit);
    const other = "prod:team-b:also-ann";
    const first = await api.put(BAN, { user: { id: ann.id }, expiresAt: inSeconds(600) });
    const { type, details } = await refusal(api.put(other, { uid: "uid-2", user: { username: "ann" } }));
    expect(type.code).toBe("restriction.conflict");
    expect(details.detail).toContain(BAN);
    expect(details.extensions).toEqual({ conflictsWith: { source: "kubernetes", externalId: BAN } });
    // Lifted by a moderator it is still declared; run out it restricts nobody any more.
    await lift(kit, { actorId: mod.id, restrictionId: first.restriction.restrictionId ?? "", note: "x" });
    expect(await codeOf(api.put(other, { uid: "uid-2", user: { username: "ann" } }))).toBe("restriction.conflict");
    await age(kit.db, first.restriction.restrictionId, "1 hour");
    expect((await api.put(other, { uid: "uid-2", user: { username: "ann" } })).outcome).toBe("imposed");
    await api.end(other, { uid: "uid-2" });
    expect(await statusOf(kit.db, ann.id)).toBe("active");
  });

  it("while a moderator's own restriction is no conflict, and stays when the declaration ends", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    await impose(kit, {
      actorId: mod.id,
      subjectId: ann.id,
      kind: "limit",
      reason: "spam",
      message: undefined,
      capabilities: ["post"],
      startsAt: undefined,
      expiresAt: undefined,
    });
    const api = new Declarations(kit);
    expect((await api.put(BAN, { user: { id: ann.id } })).outcome).toBe("imposed");
    await api.end(BAN);
    expect(await noticeFor(kit.db, ann.id)).toMatchObject({ kind: "limit" });
  });
});

describe("what comes late", () => {
  it.each([
    ["a lower generation", { generation: 1 }],
    ["the same with other content", { generation: 2, message: "other" }],
    ["an older incarnation", { uid: "uid-0", createdAt: "2026-11-20T09:59:59Z", generation: 9 }],
  ])("%s is refused", async (_what, late) => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    const first = await api.put(BAN, { user: { id: ann.id }, generation: 2 });
    expect(await codeOf(api.put(BAN, { user: { id: ann.id }, ...late }))).toBe("restriction.superseded");
    expect(await api.get(BAN)).toEqual(first.restriction);
  });

  it("a newer incarnation takes over from one that nobody ended", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    const user = { id: ann.id };
    const old = await api.put(BAN, { user, generation: 7 });
    const later = { uid: "uid-2", createdAt: "2026-11-21T10:00:00Z" };
    const made = await api.put(BAN, { user, ...later });
    expect(made).toMatchObject({ outcome: "replaced", restriction: { uid: "uid-2", state: "active" } });
    expect(made.restriction.startsAt).toBe(old.restriction.startsAt);
    expect(await codeOf(api.put(BAN, { user, generation: 8 }))).toBe("restriction.superseded");
    expect(await rows(kit.db, sql`select id from restrictions where lifted_at is null`)).toHaveLength(1);
    expect((await api.end(BAN, { generation: 8 })).restriction.state).toBe("gone");
    expect(await statusOf(kit.db, ann.id)).toBe("banned");
    expect((await api.list()).data).toMatchObject([{ uid: "uid-2" }]);
  });

  it("a newer incarnation about somebody else gives the first account back", async () => {
    await using kit = await sessionKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { id: ann.id } });
    await api.put(BAN, { user: { id: bob.id }, uid: "uid-2", createdAt: "2026-11-21T10:00:00Z" });
    expect([await statusOf(kit.db, ann.id), await statusOf(kit.db, bob.id)]).toEqual(["active", "banned"]);
    expect(await notices(kit.db, ann.id)).toEqual(["restriction.imposed", "restriction.lifted"]);
    await api.put(BAN, { user: { email: "nobody@example.com" }, uid: "uid-3", createdAt: "2026-11-22T10:00:00Z" });
    expect(await statusOf(kit.db, bob.id)).toBe("active");
  });

  it("of two incarnations of one second the later seen counts", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { id: ann.id }, createdAt: CREATED_AT });
    expect((await api.put(BAN, { user: { id: ann.id }, uid: "uid-2", createdAt: CREATED_AT })).outcome).toBe("replaced");
    expect(await codeOf(api.put(BAN, { user: { id: ann.id } }))).toBe("restriction.superseded");
  });
});

describe("the list", () => {
  it("pages through what has not ended, in the order of bytes", async () => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    const names = ["a:b:c", "a:b:Z", "a:b:10", "a:b:9", "a:b-x:1", "a:b:gone"];
    for (const name of names) await api.put(name, { uid: name, user: { email: `${name.replaceAll(":", ".")}@example.com` } });
    await api.end("a:b:gone", { uid: "a:b:gone" });
    const expected = names.filter((name) => name !== "a:b:gone").sort();
    const seen: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await api.list({ limit: "2", ...(after === undefined ? {} : { after }) });
      seen.push(...page.data.map(({ externalId }) => externalId));
      if (page.nextAfter === null) break;
      after = page.nextAfter;
    }
    expect(seen).toEqual(expected);
    expect(await codeOf(api.list({ limit: "501" }))).toBe("input.invalid");
  });
});

describe("who may declare", () => {
  it("is the controller, for its own source", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const given = { params: { source: "terraform", externalId: BAN }, body: wishOf({ user: { id: ann.id } }) };
    expect(await codeOf(new Declarations(kit).call("put", given))).toBe("restriction.foreign_source");
    const stranger = new Declarations(kit, "social-service");
    expect(await codeOf(stranger.put(BAN, { user: { id: ann.id } }))).toBe("restriction.foreign_source");
    expect(await codeOf(stranger.end(BAN))).toBe("restriction.foreign_source");
    expect(await codeOf(stranger.get(BAN))).toBe("restriction.foreign_source");
    expect(await codeOf(stranger.list())).toBe("restriction.foreign_source");
  });
});
