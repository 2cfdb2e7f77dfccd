import { describe, expect, it } from "@jest/globals";
import { affected, row, rows, sql } from "#src/db/sql";
import { closeDb, openDb } from "#src/db/pool";
import { selectSessionState } from "#src/features/sessions/public";
import type { Role } from "#src/kernel/actor";
import type { LogFields } from "#src/kernel/log";
import { age, auditLog, codeOf, Declarations, events, notices, refusal, statusOf } from "../../../test/kit/declarations.ts";
import { people } from "../../../test/kit/people.ts";
import { startPostgresProxy } from "../../../test/kit/postgres-proxy.ts";
import { sessionKit } from "../../../test/kit/sessions.ts";
import { announceDue } from "./announce.ts";
import { lift } from "./lift.ts";
import { noticeFor } from "./notice-for.ts";

const BAN = "prod:team-a:ann";
const staff = { mod: { roles: ["user", "moderator"] as Role[] } };
const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

describe("declaring a restriction", () => {
  it("imposes it with all that follows from it", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const { session } = await kit.begin(ann);
    await kit.begin(ann);
    const api = new Declarations(kit);
    const { outcome, restriction } = await api.put(BAN, { user: { username: "ANN" }, reason: "Bots, see CASE-7", message: "No more." });

    expect(outcome).toBe("imposed");
    expect(restriction).toMatchObject({
      source: "kubernetes",
      externalId: BAN,
      uid: "uid-1",
      generation: 1,
      state: "active",
      userId: ann.id,
    });
    expect(restriction).toMatchObject({ sessionsRevoked: 2, expiresAt: null, enforcedAt: restriction.startsAt });
    expect(await statusOf(kit.db, ann.id)).toBe("banned");
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBe("account.restricted");
    expect(await events(kit.db, ann.id)).toEqual(["restricted.v1", "restriction_imposed.v1", "notified.v1"]);
    expect(await notices(kit.db, ann.id)).toEqual(["restriction.imposed"]);
    expect(await noticeFor(kit.db, ann.id)).toMatchObject({ kind: "ban", reason: "other", message: "No more." });
    const [logged] = await auditLog(kit.db);
    expect(logged).toMatchObject({ action: "restriction.imposed", actor_id: null });
    expect(logged?.details).toEqual({ message: "No more.", note: "Bots, see CASE-7" });
    expect(logged?.facts).toMatchObject({
      source: "kubernetes",
      externalId: BAN,
      uid: "uid-1",
      generation: 1,
      requestedBy: "jane",
      reason: "other",
      restrictionId: restriction.restrictionId,
    });
    expect(api.settled).toBe(1);
    expect(await api.get(BAN)).toEqual(restriction);
  });

  it("again says what holds and changes nothing, in one statement", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await using proxy = await startPostgresProxy(kit.database.url);
    const db = openDb({ url: proxy.urlOf(kit.database.url), maxConnections: 2, applicationName: "test", log: kit.log });
    try {
      const api = new Declarations({ ...kit, db });
      await row(db, sql`select 1`);
      const before = proxy.statements.length;
      const first = await api.put(BAN, { user: { id: ann.id } });
      const imposing = proxy.statements.length - before;
      const again = await api.put(BAN, { user: { id: ann.id } });
      expect(proxy.statements.length - before - imposing).toBe(1);
      // Three of them are the transaction's own.
      expect(imposing).toBeLessThanOrEqual(25);
      expect(again).toEqual({ outcome: "unchanged", restriction: first.restriction });
      expect(await auditLog(db)).toHaveLength(1);
      expect(api.settled).toBe(1);
    } finally {
      await closeDb(db);
    }
  });

  it("tells the security stream once, and after the commit only", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const told: LogFields[] = [];
    const log = { ...kit.log, info: (fields: LogFields) => void (fields["securityEvent"] === true && told.push(fields)) };
    const api = new Declarations({ ...kit, log });
    await affected(kit.db, sql`alter table notices add constraint nothing_goes check (false)`);
    await expect(api.put(BAN, { user: { id: ann.id } })).rejects.toThrow("nothing_goes");
    expect(told).toEqual([]);
    expect(await rows(kit.db, sql`select uid from declared_restrictions`)).toEqual([]);
    await affected(kit.db, sql`alter table notices drop constraint nothing_goes`);
    await api.put(BAN, { user: { id: ann.id } });
    await api.put(BAN, { user: { id: ann.id } });
    await api.end(BAN);
    expect(told).toMatchObject([
      { kind: "restriction.imposed", userId: ann.id, reason: "spam" },
      { kind: "restriction.lifted", userId: ann.id, reason: "spam" },
    ]);
  });

  it("does not follow a name to another account", async () => {
    await using kit = await sessionKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { username: "ann" } });
    await affected(kit.db, sql`update users set username = 'ann_old' where id = ${ann.id}::uuid`);
    await affected(kit.db, sql`update users set username = 'ann' where id = ${bob.id}::uuid`);
    expect(await api.put(BAN, { user: { username: "ann" } })).toMatchObject({ outcome: "unchanged", restriction: { userId: ann.id } });
    expect(await api.put(BAN, { user: { username: "ann" }, generation: 2, message: "x" })).toMatchObject({
      outcome: "replaced",
      restriction: { userId: ann.id },
    });
    // The id that was found is as good a name; any other is another account.
    expect((await api.put(BAN, { user: { id: ann.id }, generation: 2, message: "x" })).outcome).toBe("unchanged");
    expect((await refusal(api.put(BAN, { user: { id: bob.id }, generation: 3 }))).details.errors).toMatchObject([{ path: "body.user" }]);
    expect(await statusOf(kit.db, bob.id)).toBe("active");
  });

  it("of nobody is refused and leaves nothing", async () => {
    await using kit = await sessionKit();
    const api = new Declarations(kit);
    expect(await codeOf(api.put(BAN, { user: { username: "nobody" } }))).toBe("user.not_found");
    expect(await codeOf(api.put(BAN, { user: { id: "019abc00-0000-7000-8000-000000000001" } }))).toBe("user.not_found");
    expect(await codeOf(api.get(BAN))).toBe("restriction.not_found");
    expect(await api.list()).toEqual({ data: [], nextAfter: null });
  });

  it("plans what starts later; in force it counts from its start", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await kit.begin(ann);
    const api = new Declarations(kit);
    const startsAt = inSeconds(3600);
    const planned = await api.put(BAN, { user: { id: ann.id }, startsAt, durationSeconds: 7200 });
    expect(planned).toMatchObject({
      outcome: "imposed",
      restriction: { state: "planned", startsAt, enforcedAt: null, sessionsRevoked: 0 },
    });
    expect(planned.restriction.expiresAt).toBe(new Date(Date.parse(startsAt) + 7_200_000).toISOString());
    expect(await statusOf(kit.db, ann.id)).toBe("active");
    await affected(kit.db, sql`update restrictions set starts_at = starts_at - interval '2 h', expires_at = expires_at - interval '2 h'`);
    await affected(kit.db, sql`update users set status_valid_until = now() where id = ${ann.id}::uuid`);
    expect(await announceDue(kit, AbortSignal.timeout(5_000))).toBe(1);
    const begun = await api.get(BAN);
    expect(begun).toMatchObject({ state: "active", enforcedAt: begun.startsAt, sessionsRevoked: 1 });
  });
});

describe("another version of a declaration", () => {
  it("replaces the restriction without a moment between them, and tells nobody that it ended", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    const first = await api.put(BAN, { user: { id: ann.id }, message: "a" });
    const short = await kit.begin(ann);
    const second = await api.put(BAN, { user: { id: ann.id }, generation: 2, message: "b" });
    expect(second).toMatchObject({
      outcome: "replaced",
      restriction: { generation: 2, state: "active", enforcedAt: first.restriction.enforcedAt },
    });
    expect(second.restriction.restrictionId).not.toBe(first.restriction.restrictionId);
    // It goes on: what looks at the account of the moment before sees it restricted too, and the short session goes on.
    expect(second.restriction.startsAt).toBe(first.restriction.startsAt);
    expect((await selectSessionState(kit.db, short.session.id))?.endedBecause).toBeNull();
    expect(await events(kit.db, ann.id)).toEqual([
      "restricted.v1",
      "restricted.v1",
      "restriction_imposed.v1",
      "notified.v1",
      "restriction_imposed.v1",
      "restriction_lifted.v1",
      "notified.v1",
    ]);
    expect(await notices(kit.db, ann.id)).toEqual(["restriction.imposed", "restriction.imposed"]);
    expect((await auditLog(kit.db)).map(({ action, facts }) => [action, facts["replacedBy"]])).toEqual([
      ["restriction.imposed", undefined],
      ["restriction.imposed", undefined],
      ["restriction.lifted", second.restriction.restrictionId],
    ]);
    expect(await noticeFor(kit.db, ann.id)).toMatchObject({ message: "b" });
  });

  it("never shows the account unrestricted to whoever reads meanwhile", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { id: ann.id } });
    const seen = new Set<string>();
    const reading = { on: true };
    const reader = async (): Promise<void> => {
      while (reading.on) {
        const found = await row<{ status: string; kind: string | null }>(
          kit.db,
          sql`select s.status, (select kind from strictest_restriction(s.user_id)) as kind from user_standings s where s.user_id = ${ann.id}::uuid`,
        );
        seen.add(`${found?.status} ${found?.kind}`);
      }
    };
    const readers = [reader(), reader()];
    for (let generation = 2; generation < 30; generation += 1) {
      await api.put(BAN, { user: { id: ann.id }, generation, message: `version ${generation}`, expiresAt: inSeconds(60 + generation) });
    }
    reading.on = false;
    await Promise.all(readers);
    expect([...seen]).toEqual(["banned ban"]);
  });

  it("tells the user nothing of a change in the record only", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { id: ann.id }, reason: "words" });
    const { outcome } = await api.put(BAN, { user: { id: ann.id }, generation: 2, reason: "better words", requestedBy: "joe" });
    expect(outcome).toBe("replaced");
    expect(await notices(kit.db, ann.id)).toEqual(["restriction.imposed"]);
    const [, logged] = await auditLog(kit.db);
    expect(logged).toMatchObject({ facts: { requestedBy: "joe", generation: 2 }, details: { note: "better words" } });
  });

  it("that wishes the same is only noted", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    const first = await api.put(BAN, { user: { id: ann.id } });
    expect(await api.put(BAN, { user: { id: ann.id }, generation: 4 })).toEqual({
      outcome: "unchanged",
      restriction: { ...first.restriction, generation: 4 },
    });
    expect(await codeOf(api.put(BAN, { user: { id: ann.id }, generation: 3 }))).toBe("restriction.superseded");
    expect(api.settled).toBe(1);
  });

  it("from a limit to a ban ends the sessions, and back tells what holds now", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const { session } = await kit.begin(ann);
    const api = new Declarations(kit);
    const user = { id: ann.id };
    await api.put(BAN, { user, kind: "limit", capabilities: ["upload", "post"] });
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBeNull();
    expect((await api.put(BAN, { user, generation: 2 })).restriction).toMatchObject({ sessionsRevoked: 1 });
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBe("account.restricted");
    await api.put(BAN, { user, generation: 3, kind: "limit", capabilities: ["post"] });
    expect(await statusOf(kit.db, ann.id)).toBe("active");
    expect(await noticeFor(kit.db, ann.id)).toMatchObject({ kind: "limit", capabilities: ["post"] });
    expect(await notices(kit.db, ann.id)).toEqual(["restriction.imposed", "restriction.imposed", "restriction.imposed"]);
  });

  it("that starts later gives the account back until then, and says so", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    await api.put(BAN, { user: { id: ann.id } });
    const { restriction } = await api.put(BAN, { user: { id: ann.id }, generation: 2, startsAt: inSeconds(600) });
    expect(restriction).toMatchObject({ state: "planned" });
    expect(await statusOf(kit.db, ann.id)).toBe("active");
    expect(await notices(kit.db, ann.id)).toEqual(["restriction.imposed", "restriction.lifted"]);
    expect((await events(kit.db, ann.id)).slice(0, 3)).toEqual(["restricted.v1", "restored.v1", "restricted.v1"]);
  });
});

describe("the term of a declaration", () => {
  it("by duration counts from when it was first in force, over versions and repairs", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const api = new Declarations(kit);
    const user = { id: ann.id };
    const first = await api.put(BAN, { user, durationSeconds: 7200 });
    await age(kit.db, first.restriction.restrictionId, "1 hour");
    const enforcedAt = (await api.get(BAN)).enforcedAt ?? "";
    const endAfter = (seconds: number): string => new Date(Date.parse(enforcedAt) + seconds * 1000).toISOString();
    const second = await api.put(BAN, { user, generation: 2, durationSeconds: 10_800 });
    expect(second.restriction).toMatchObject({ enforcedAt, expiresAt: endAfter(10_800) });
    await lift(kit, { actorId: mod.id, restrictionId: second.restriction.restrictionId ?? "", note: "x" });
    const repaired = await api.put(BAN, { user, generation: 2, durationSeconds: 10_800 });
    expect(repaired).toMatchObject({ outcome: "repaired", restriction: { enforcedAt, expiresAt: endAfter(10_800) } });
    // Shorter than what has passed: nothing can be imposed, and what held holds.
    const tooShort = await refusal(api.put(BAN, { user, generation: 3, durationSeconds: 1800 }));
    expect(tooShort.details.errors).toMatchObject([{ path: "body.durationSeconds" }]);
    expect(await api.get(BAN)).toMatchObject({ state: "active", generation: 2 });
  });

  it("that has run out is no drift; another version begins anew", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const api = new Declarations(kit);
    const user = { id: ann.id };
    const expiresAt = inSeconds(3600);
    const first = await api.put(BAN, { user, expiresAt });
    await age(kit.db, first.restriction.restrictionId, "2 hours");
    expect(await api.put(BAN, { user, expiresAt })).toMatchObject({ outcome: "unchanged", restriction: { state: "ended" } });
    const second = await api.put(BAN, { user, generation: 2, expiresAt: inSeconds(7200) });
    expect(second).toMatchObject({ outcome: "imposed", restriction: { state: "active" } });
    // Lifted by somebody, and its time over since: nothing to repair.
    await lift(kit, { actorId: mod.id, restrictionId: second.restriction.restrictionId ?? "", note: "x" });
    expect(await api.get(BAN)).toMatchObject({ state: "lifted" });
    await age(kit.db, second.restriction.restrictionId, "3 hours");
    expect(await api.get(BAN)).toMatchObject({ state: "ended" });
  });

  it("in the past is refused", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const api = new Declarations(kit);
    const { details } = await refusal(api.put(BAN, { user: { id: ann.id }, expiresAt: "2020-01-01T00:00:00Z" }));
    expect(details.errors).toMatchObject([{ path: "body.expiresAt" }]);
    expect(await codeOf(api.put(BAN, { user: { email: "x@example.com" }, expiresAt: "2020-01-01T00:00:00Z" }))).toBe("input.invalid");
    expect(await rows(kit.db, sql`select uid from declared_restrictions`)).toEqual([]);
  });
});

describe("a restriction that a moderator lifted", () => {
  it("is imposed again by the same wish, and the record says so", async () => {
    await using kit = await sessionKit();
    const { mod, ann } = await people(kit.db, { ...staff, ann: {} });
    const api = new Declarations(kit);
    const first = await api.put(BAN, { user: { id: ann.id } });
    await lift(kit, { actorId: mod.id, restrictionId: first.restriction.restrictionId ?? "", note: "I say so" });
    const { session } = await kit.begin(ann);
    expect(await api.get(BAN)).toMatchObject({ state: "lifted" });
    const again = await api.put(BAN, { user: { id: ann.id } });
    expect(again).toMatchObject({
      outcome: "repaired",
      restriction: { state: "active", sessionsRevoked: 1, enforcedAt: first.restriction.enforcedAt },
    });
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBe("account.restricted");
    expect((await auditLog(kit.db)).at(-1)?.facts).toMatchObject({ repairs: first.restriction.restrictionId, liftedBy: mod.id });
    expect(await notices(kit.db, ann.id)).toEqual(["restriction.imposed", "restriction.lifted", "restriction.imposed"]);
    expect((await api.put(BAN, { user: { id: ann.id } })).outcome).toBe("unchanged");
  });
});
