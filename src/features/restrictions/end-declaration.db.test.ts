import { describe, expect, it } from "@jest/globals";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Db } from "#src/db/pool";
import type { Role } from "#src/kernel/actor";
import { codeOf, Declarations, statusOf } from "../../../test/kit/declarations.ts";
import { people } from "../../../test/kit/people.ts";
import { sessionKit } from "../../../test/kit/sessions.ts";
import { deleteForgotten } from "./declared.sql.ts";
import { lift } from "./lift.ts";

const BAN = "prod:team-a:ann";
const LATER = "2026-11-21T10:00:00Z";

async function everything(db: Db): Promise<unknown> {
  return await row(
    db,
    sql`select (select jsonb_agg(d order by uid) from declared_restrictions d) as declared, (select jsonb_agg(r order by id) from restrictions r) as restrictions,
          (select count(*) from audit_log) as audited, (select count(*) from outbox) as events, (select count(*) from revocations) as revocations`,
  );
}

describe("the end of a declaration", () => {
  it("lifts what it imposed, tells everybody, and stays on record", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    const made = await api.put(BAN, { user: { id: ann.id } });
    const ended = await api.end(BAN, { note: "appeal upheld" });
    expect(ended).toEqual({ outcome: "lifted", restriction: { ...made.restriction, state: "gone" } });
    expect(api.settled).toBe(2);
    expect(await statusOf(kit.db, ann.id)).toBe("active");
    expect(await row(kit.db, sql`select lifted_by, lift_note from restrictions`)).toEqual({ lifted_by: null, lift_note: "appeal upheld" });
    const logged = await rows<{ actor_id: null; action: string; facts: object; details: object }>(
      kit.db,
      sql`select l.actor_id, l.action, l.facts, convert_from(d.content, 'UTF8')::jsonb as details
          from audit_log l join audit_details d on d.audit_id = l.id order by l.id`,
    );
    expect(logged.at(-1)).toMatchObject({ actor_id: null, action: "restriction.lifted", details: { note: "appeal upheld" } });
    expect(logged.at(-1)?.facts).toMatchObject({ source: "kubernetes", externalId: BAN, uid: "uid-1", generation: 1 });
    expect(await rows(kit.db, sql`select type from notices order by id`)).toEqual([
      { type: "restriction.imposed" },
      { type: "restriction.lifted" },
    ]);
    expect(await api.get(BAN)).toMatchObject({ state: "gone" });
    expect((await api.list()).data).toEqual([]);
  });

  it("again is no error and changes nothing, whatever it then asks", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { id: ann.id }, generation: 3 });
    const first = await api.end(BAN, { generation: 4 });
    const before = await everything(kit.db);
    expect(await api.end(BAN, { generation: 4 })).toEqual(first);
    expect(await api.end(BAN, { generation: 2, policy: "keep" })).toEqual(first);
    expect(await everything(kit.db)).toEqual(before);
    expect(api.settled).toBe(2);
  });

  it("that keeps leaves the restriction as a moderator's, who may lift it", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { mod: { roles: ["user", "moderator"] as Role[] }, ann: {} });
    const api = new Declarations(kit);
    const { restriction } = await api.put(BAN, { user: { id: ann.id } });
    expect(await api.end(BAN, { policy: "keep" })).toMatchObject({ outcome: "kept", restriction: { state: "gone" } });
    expect(await statusOf(kit.db, ann.id)).toBe("banned");
    expect((await rows<{ action: string }>(kit.db, sql`select action from audit_log order by id`)).map(({ action }) => action)).toEqual([
      "restriction.imposed",
      "restriction.kept",
    ]);
    // It is nobody's declaration any more: no conflict, and no drift when it is lifted.
    expect((await api.put("prod:team-b:ann", { uid: "uid-2", user: { id: ann.id } })).outcome).toBe("imposed");
    await lift(kit, { actorId: mod.id, restrictionId: restriction.restrictionId ?? "", note: "x" });
    await api.end("prod:team-b:ann", { uid: "uid-2" });
    expect(await statusOf(kit.db, ann.id)).toBe("active");
  });

  it("of a lower generation than one that was seen is refused", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { id: ann.id }, generation: 3 });
    expect(await codeOf(api.end(BAN, { generation: 2 }))).toBe("restriction.superseded");
    expect(await statusOf(kit.db, ann.id)).toBe("banned");
    expect((await api.end(BAN, { generation: 3 })).outcome).toBe("lifted");
  });

  it("of an incarnation that was never seen keeps its wish out", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    expect(await api.end(BAN)).toMatchObject({ outcome: "lifted", restriction: { state: "gone", userId: null, restrictionId: null } });
    expect((await api.end(BAN)).outcome).toBe("lifted");
    expect(await codeOf(api.put(BAN, { user: { id: ann.id }, generation: 9 }))).toBe("restriction.superseded");
    expect(api.settled).toBe(0);
    expect((await api.put(BAN, { user: { id: ann.id }, uid: "uid-2", createdAt: LATER })).outcome).toBe("imposed");
    expect(await api.get(BAN)).toMatchObject({ uid: "uid-2", state: "active" });
  });

  it("of what a moderator lifted, or what has run out, is fine", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { mod: { roles: ["user", "moderator"] as Role[] }, ann: {} });
    const api = new Declarations(kit);
    const { restriction } = await api.put(BAN, { user: { id: ann.id } });
    await lift(kit, { actorId: mod.id, restrictionId: restriction.restrictionId ?? "", note: "mine" });
    expect((await api.end(BAN)).outcome).toBe("lifted");
    expect(await row(kit.db, sql`select lift_note from restrictions`)).toEqual({ lift_note: "mine" });
    const again = { uid: "uid-2", createdAt: LATER };
    await api.put(BAN, { ...again, user: { id: ann.id }, durationSeconds: 60 });
    await affected(
      kit.db,
      sql`update restrictions set starts_at = starts_at - interval '1 h', expires_at = expires_at - interval '1 h' where expires_at is not null`,
    );
    expect((await api.end(BAN, again)).outcome).toBe("lifted");
    expect(await rows(kit.db, sql`select id from restrictions where lifted_at is not null`)).toHaveLength(1);
  });

  it("also ends an older incarnation that nobody ended, but never a newer one", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { id: ann.id } });
    // Its successor was refused, so it is known by its end alone.
    expect(await codeOf(api.put(BAN, { uid: "uid-2", createdAt: LATER, user: { username: "nobody" } }))).toBe("user.not_found");
    await api.end(BAN, { uid: "uid-2", createdAt: LATER });
    expect(await statusOf(kit.db, ann.id)).toBe("active");
    expect((await api.list()).data).toEqual([]);
    await api.put(BAN, { uid: "uid-3", createdAt: "2026-11-22T10:00:00Z", user: { id: ann.id } });
    for (const late of [{ uid: "uid-0" }, { uid: "uid-1", generation: 9 }, { uid: "uid-2", createdAt: LATER }]) await api.end(BAN, late);
    expect(await statusOf(kit.db, ann.id)).toBe("banned");
    // Nor one of the same second: which of the two is the newer nobody can tell.
    expect((await api.end(BAN, { uid: "uid-x", createdAt: "2026-11-22T10:00:00Z" })).outcome).toBe("lifted");
    expect(await statusOf(kit.db, ann.id)).toBe("banned");
  });

  it("is remembered for 30 days", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { id: ann.id } });
    await api.put("prod:team-a:bob", { user: { email: "bob@example.com" } });
    await api.end(BAN);
    await affected(kit.db, sql`update declared_restrictions set ended_at = now() - interval '29 days' where ended_at is not null`);
    expect(await deleteForgotten(kit.db)).toBe(0);
    await affected(kit.db, sql`update declared_restrictions set ended_at = now() - interval '31 days' where ended_at is not null`);
    expect(await deleteForgotten(kit.db)).toBe(1);
    expect((await api.list()).data).toHaveLength(1);
    expect(await codeOf(api.get(BAN))).toBe("restriction.not_found");
  });
});
