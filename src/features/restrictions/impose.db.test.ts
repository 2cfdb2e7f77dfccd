import { describe, expect, it } from "@jest/globals";
import pg from "pg";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Db } from "#src/db/pool";
import { selectSessionState } from "#src/features/sessions/public";
import type { Role } from "#src/kernel/actor";
import { people } from "../../../test/kit/people.ts";
import { sessionKit } from "../../../test/kit/sessions.ts";
import { until } from "../../../test/kit/until.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { impose, type Imposition } from "./impose.ts";
import { lift } from "./lift.ts";
import { noticeFor } from "./notice-for.ts";
import { moderationRecord } from "./record.ts";
import { recordSchema, recordView } from "./restrictions.views.ts";

const staff = { mod: { roles: ["user", "moderator"] as Role[] } };

function decision(parties: { actor: { id: string }; subject: { id: string } }, more: Partial<Imposition> = {}): Imposition {
  return {
    actorId: parties.actor.id,
    subjectId: parties.subject.id,
    kind: "ban",
    reason: "spam",
    message: undefined,
    capabilities: [],
    startsAt: undefined,
    expiresAt: undefined,
    ...more,
  };
}

const inHours = (hours: number): Date => new Date(Date.now() + hours * 3_600_000);

interface Account {
  readonly status: string;
  readonly limited: string[];
  readonly status_valid_until: Date | null;
}

async function account(db: Db, id: string): Promise<Account | undefined> {
  return await row<Account>(db, sql`select status, limited, status_valid_until from users where id = ${id}::uuid`);
}

/** The public ones first, each topic in its order. */
async function eventTypes(db: Db, subject: string): Promise<string[]> {
  const found = await rows<{ type: string }>(
    db,
    sql`select type from outbox where subject = ${subject}::uuid order by topic desc, user_version`,
  );
  return found.map(({ type }) => type.replace("videamozi.", ""));
}

async function noticeTypes(db: Db, userId: string): Promise<string[]> {
  return (await rows<{ type: string }>(db, sql`select type from notices where user_id = ${userId}::uuid order by created_at`)).map(
    ({ type }) => type,
  );
}

async function count(db: Db, statement: ReturnType<typeof sql>): Promise<number> {
  return (await row<{ n: number }>(db, statement))?.n ?? -1;
}

describe("imposing a ban", () => {
  it("writes all that follows from it in one transaction", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const phone = await kit.begin(ann);
    const laptop = await kit.begin(ann);
    const ban = await impose(kit, decision({ actor: mod, subject: ann }, { message: "No more.", reason: "hate" }));

    expect(ban).toMatchObject({ user_id: ann.id, kind: "ban", reason: "hate", message: "No more.", imposed_by: mod.id, expires_at: null });
    expect(await account(kit.db, ann.id)).toEqual({ status: "banned", limited: [], status_valid_until: null });
    for (const { session } of [phone, laptop]) {
      expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBe("account.restricted");
    }
    expect(await rows(kit.db, sql`select session_id, reason from revocations where subject = ${ann.id}::uuid`)).toEqual([
      { session_id: null, reason: "account.restricted" },
    ]);
    expect(await eventTypes(kit.db, ann.id)).toEqual(["user.restricted.v1", "user.restriction_imposed.v1", "user.notified.v1"]);
    expect(await noticeTypes(kit.db, ann.id)).toEqual(["restriction.imposed"]);
    expect(await count(kit.db, sql`select count(*) as n from jobs where kind = 'notices.mail'`)).toBe(1);
    const logged = await row<{ actor_id: string; action: string; subject_id: string; facts: object; content: Buffer }>(
      kit.db,
      sql`select l.actor_id, l.action, l.subject_id, l.facts, d.content from audit_log l join audit_details d on d.audit_id = l.id`,
    );
    expect(logged).toMatchObject({ actor_id: mod.id, action: "restriction.imposed", subject_id: ann.id });
    expect(logged?.facts).toMatchObject({ restrictionId: ban.id, kind: "ban", reason: "hate", expiresAt: null });
    expect(JSON.parse(logged?.content.toString("utf8") ?? "")).toEqual({ message: "No more." });
  });

  it("says what happened in public and why in private only", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const ban = await impose(kit, decision({ actor: mod, subject: ann }, { message: "No more.", reason: "hate" }));
    const [open, why] = await rows<{ topic: string; data: Record<string, unknown> }>(
      kit.db,
      sql`select topic, data from outbox order by topic desc, user_version`,
    );
    expect(open).toEqual({
      topic: "users.v1",
      data: { userId: ann.id, kind: "ban", capabilities: [], status: "banned", startsAt: ban.starts_at.toISOString(), expiresAt: null },
    });
    expect(why).toEqual({
      topic: "users.private.v1",
      data: { userId: ann.id, restrictionId: ban.id, kind: "ban", reason: "hate", message: "No more.", imposedBy: mod.id },
    });
  });

  it("leaves nothing behind when its last step fails", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const { session } = await kit.begin(ann);
    await affected(kit.db, sql`alter table notices add constraint nothing_goes check (false)`);
    await expect(impose(kit, decision({ actor: mod, subject: ann }))).rejects.toThrow("nothing_goes");
    expect((await account(kit.db, ann.id))?.status).toBe("active");
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBeNull();
    expect(
      await count(
        kit.db,
        sql`select (select count(*) from restrictions) + (select count(*) from outbox) + (select count(*) from audit_log)
            + (select count(*) from revocations) + (select count(*) from jobs) as n`,
      ),
    ).toBe(0);
  });
});

describe("the other kinds", () => {
  it("limit: keeps the sessions, takes the capabilities and has every process look again", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const { session } = await kit.begin(ann);
    const expiresAt = inHours(1);
    await impose(kit, decision({ actor: mod, subject: ann }, { kind: "limit", capabilities: ["upload", "post", "post"], expiresAt }));
    expect(await account(kit.db, ann.id)).toEqual({ status: "active", limited: ["post", "upload"], status_valid_until: expiresAt });
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBeNull();
    expect(await rows(kit.db, sql`select reason from revocations`)).toEqual([{ reason: "account.changed" }]);
    expect(await noticeFor(kit.db, ann.id)).toMatchObject({ kind: "limit", capabilities: ["post", "upload"] });
  });

  it("planned: holds nothing back yet, tells neighbours and not the user", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const { session } = await kit.begin(ann);
    const startsAt = inHours(1);
    await impose(kit, decision({ actor: mod, subject: ann }, { kind: "suspend", startsAt, expiresAt: inHours(2) }));
    expect(await account(kit.db, ann.id)).toEqual({ status: "active", limited: [], status_valid_until: startsAt });
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBeNull();
    expect(await eventTypes(kit.db, ann.id)).toEqual(["user.restricted.v1", "user.restriction_imposed.v1"]);
    expect(await noticeTypes(kit.db, ann.id)).toEqual([]);
    expect(await noticeFor(kit.db, ann.id)).toBeUndefined();
  });
});

describe("who may decide about whom", () => {
  it.each([
    ["a user", "role.insufficient", ["user"], ["user"]],
    ["a moderator on a moderator", "role.insufficient", ["user", "moderator"], ["user", "moderator"]],
    ["a moderator on an admin", "role.insufficient", ["user", "moderator"], ["user", "admin"]],
    ["an admin on an admin", "role.insufficient", ["user", "admin"], ["user", "admin"]],
    ["a moderator on a user", "ok", ["user", "moderator"], ["user"]],
    ["an admin on a moderator", "ok", ["user", "admin"], ["user", "moderator"]],
  ] as [string, string, Role[], Role[]][])("%s: %s", async (_who, expected, actorRoles, subjectRoles) => {
    await using kit = await sessionKit();
    const { actor, subject, chief } = await people(kit.db, {
      actor: { roles: actorRoles },
      subject: { roles: subjectRoles },
      chief: { roles: ["user", "admin"] },
    });
    expect(await codeOf(impose(kit, decision({ actor, subject })))).toBe(expected);
    if (expected === "ok") return;
    expect((await account(kit.db, subject.id))?.status).toBe("active");
    // Nor may they lift what somebody else imposed.
    const restrictionId = await insertBan(kit.db, subject.id, chief.id);
    expect(await codeOf(lift(kit, { actorId: actor.id, restrictionId, note: "x" }))).toBe(expected);
  });

  it("nobody about themselves", async () => {
    await using kit = await sessionKit();
    const { chief } = await people(kit.db, { chief: { roles: ["user", "admin"] } });
    expect(await codeOf(impose(kit, decision({ actor: chief, subject: chief })))).toBe("restriction.own_account");
    const restrictionId = await insertBan(kit.db, chief.id, chief.id);
    expect(await codeOf(lift(kit, { actorId: chief.id, restrictionId, note: "x" }))).toBe("restriction.own_account");
  });

  it("nobody about somebody who is not there", async () => {
    await using kit = await sessionKit();
    const { mod } = await people(kit.db, staff);
    const nobody = { id: "019abc00-0000-7000-8000-000000000001" };
    expect(await codeOf(impose(kit, decision({ actor: mod, subject: nobody })))).toBe("user.not_found");
    expect(await codeOf(moderationRecord(kit, nobody.id))).toBe("user.not_found");
    expect(await codeOf(lift(kit, { actorId: mod.id, restrictionId: nobody.id, note: "x" }))).toBe("restriction.not_found");
  });

  it("no moderator who is being demoted at that moment", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const other = new pg.Client({ connectionString: kit.database.adminUrl });
    await other.connect();
    try {
      await other.query("begin");
      await other.query("update users set roles = '{user}' where id = $1", [mod.id]);
      const decided = codeOf(impose(kit, decision({ actor: mod, subject: ann })));
      await until(
        () =>
          count(kit.db, sql`select count(*) as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`),
        {
          what: "the decision to wait for the demotion",
        },
      );
      await other.query("commit");
      expect(await decided).toBe("role.insufficient");
    } finally {
      await other.end();
    }
    expect((await account(kit.db, ann.id))?.status).toBe("active");
  });

  it("no moderator who is suspended", async () => {
    await using kit = await sessionKit();
    const { mod, chief, ann } = await people(kit.db, { ...staff, chief: { roles: ["user", "admin"] }, ann: {} });
    await impose(kit, decision({ actor: chief, subject: mod }, { kind: "suspend", expiresAt: inHours(1) }));
    expect(await codeOf(impose(kit, decision({ actor: mod, subject: ann })))).toBe("role.insufficient");
  });
});

describe("lifting", () => {
  it("gives the account back, but no old session", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const { session } = await kit.begin(ann);
    const ban = await impose(kit, decision({ actor: mod, subject: ann }));
    const lifted = await lift(kit, { actorId: mod.id, restrictionId: ban.id, note: "a mistake" });
    expect(lifted).toMatchObject({ id: ban.id, lifted_by: mod.id, lift_note: "a mistake" });
    expect((await account(kit.db, ann.id))?.status).toBe("active");
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).not.toBeNull();
    // Not even one whose own row was missed: the account's moment stays.
    await affected(kit.db, sql`update sessions set revoked_at = null, revoked_reason = null where id = ${session.id}::uuid`);
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBe("account.restricted");
    const again = await kit.begin(ann);
    expect((await selectSessionState(kit.db, again.session.id))?.endedBecause).toBeNull();
  });

  it("tells the user, neighbours and the record", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const ban = await impose(kit, decision({ actor: mod, subject: ann }));
    await lift(kit, { actorId: mod.id, restrictionId: ban.id, note: "a mistake" });
    expect(await eventTypes(kit.db, ann.id)).toEqual([
      "user.restricted.v1",
      "user.restored.v1",
      "user.restriction_imposed.v1",
      "user.notified.v1",
      "user.restriction_lifted.v1",
      "user.notified.v1",
    ]);
    expect(await noticeTypes(kit.db, ann.id)).toEqual(["restriction.imposed", "restriction.lifted"]);
    expect(await rows(kit.db, sql`select reason from revocations order by id`)).toEqual([
      { reason: "account.restricted" },
      { reason: "account.changed" },
    ]);
    const [, logged] = await rows<{ action: string; content: Buffer }>(
      kit.db,
      sql`select l.action, d.content from audit_log l left join audit_details d on d.audit_id = l.id order by l.at`,
    );
    expect(logged?.action).toBe("restriction.lifted");
    expect(JSON.parse(logged?.content.toString("utf8") ?? "")).toEqual({ note: "a mistake" });
  });

  it("leaves the others: the strictest that is left counts", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const parties = { actor: mod, subject: ann };
    const limit = await impose(kit, decision(parties, { kind: "limit", capabilities: ["follow"] }));
    const suspension = await impose(kit, decision(parties, { kind: "suspend", reason: "violence", expiresAt: inHours(5) }));
    const ban = await impose(kit, decision(parties, { expiresAt: inHours(1) }));
    const told = async (): Promise<unknown[]> => [(await account(kit.db, ann.id))?.status, (await noticeFor(kit.db, ann.id))?.kind];
    expect(await told()).toEqual(["banned", "ban"]);
    await lift(kit, { actorId: mod.id, restrictionId: ban.id, note: "x" });
    expect(await told()).toEqual(["suspended", "suspend"]);
    await lift(kit, { actorId: mod.id, restrictionId: limit.id, note: "x" });
    expect(await told()).toEqual(["suspended", "suspend"]);
    await lift(kit, { actorId: mod.id, restrictionId: suspension.id, note: "x" });
    expect(await told()).toEqual(["active", undefined]);
  });

  it("of what is lifted or has ended is refused", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const ban = await impose(kit, decision({ actor: mod, subject: ann }));
    await lift(kit, { actorId: mod.id, restrictionId: ban.id, note: "x" });
    expect(await codeOf(lift(kit, { actorId: mod.id, restrictionId: ban.id, note: "x" }))).toBe("restriction.not_active");
    const short = await impose(kit, decision({ actor: mod, subject: ann }, { expiresAt: inHours(1) }));
    await affected(
      kit.db,
      sql`update restrictions set starts_at = now() - interval '2 h', expires_at = now() - interval '1 h' where id = ${short.id}::uuid`,
    );
    expect(await codeOf(lift(kit, { actorId: mod.id, restrictionId: short.id, note: "x" }))).toBe("restriction.not_active");
  });

  it("of a planned one tells the user nothing, who never knew of it", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const { session } = await kit.begin(ann);
    const planned = await impose(kit, decision({ actor: mod, subject: ann }, { startsAt: inHours(1) }));
    await lift(kit, { actorId: mod.id, restrictionId: planned.id, note: "x" });
    expect(await noticeTypes(kit.db, ann.id)).toEqual([]);
    expect(await account(kit.db, ann.id)).toEqual({ status: "active", limited: [], status_valid_until: null });
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBeNull();
  });
});

describe("the record of an account", () => {
  it("shows standing, what is in force or planned, and what is past", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: { displayName: "Ann" } });
    const parties = { actor: mod, subject: ann };
    const past = await impose(kit, decision(parties));
    await lift(kit, { actorId: mod.id, restrictionId: past.id, note: "a mistake" });
    const expiresAt = inHours(1);
    const current = await impose(kit, decision(parties, { kind: "limit", capabilities: ["post"], expiresAt }));
    const planned = await impose(kit, decision(parties, { kind: "suspend", startsAt: inHours(2), expiresAt: inHours(3) }));
    const view = recordView(await moderationRecord(kit, ann.id));
    expect(recordSchema.parse(view)).toEqual(view);
    expect(view.user).toEqual({ id: ann.id, username: "ann", displayName: "Ann", roles: ["user"] });
    expect(view.standing).toEqual({ status: "active", limited: ["post"], validUntil: expiresAt.toISOString() });
    expect(view.restrictions.map(({ id, state }) => [id, state])).toEqual([
      [current.id, "active"],
      [planned.id, "planned"],
    ]);
    expect(view.history).toMatchObject([{ id: past.id, state: "lifted", liftedBy: mod.id, liftNote: "a mistake" }]);
  });
});

async function insertBan(db: Db, userId: string, imposedBy: string): Promise<string> {
  const made = await row<{ id: string }>(
    db,
    sql`insert into restrictions (id, user_id, kind, reason, reason_policy, imposed_by)
        values (gen_random_uuid(), ${userId}::uuid, 'ban', 'other', 'test', ${imposedBy}::uuid) returning id`,
  );
  return made?.id ?? "";
}
