import { describe, expect, it } from "@jest/globals";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { lockAccount } from "#src/features/accounts/public";
import type { Actor } from "#src/kernel/actor";
import { people, type Person } from "../../../test/kit/people.ts";
import { sessionKit, testClient, type SessionKit } from "../../../test/kit/sessions.ts";
import { actorOf } from "../../../test/kit/social.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { beginSession } from "./begin-session.ts";
import { listSessions } from "./list-sessions.ts";
import { refresh } from "./refresh.ts";
import { renameSession } from "./rename-session.ts";
import { logout, revokeOwnOthers } from "./revoke.ts";
import type { SessionLimits } from "./session-limits.ts";
import { deleteOldSessions } from "./sessions.sql.ts";
import { renameBody } from "./sessions.schemas.ts";
import type { SessionView } from "./sessions.views.ts";

const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";

function ofSession(person: Person, session: { readonly id: string }): Actor {
  return { ...actorOf(person), sessionId: session.id as Actor["sessionId"] };
}

async function listed(kit: SessionKit, actor: Actor): Promise<readonly SessionView[]> {
  return (await listSessions(kit, { actor, limit: 100, cursor: undefined })).data;
}

/** Begins a session as a login does, the account's row held. */
async function beginLocked(kit: SessionKit, person: Person): Promise<SessionView> {
  return await inTx(kit.db, async (tx) => {
    await lockAccount(tx, person.id);
    return (await beginSession(kit, tx, { userId: person.id, roles: ["user"], client: testClient, restricted: false })).session;
  });
}

function limited(kit: SessionKit, limits: Partial<SessionLimits>): SessionKit {
  return { ...kit, sessionLimits: { ...kit.sessionLimits, ...limits } };
}

describe("a session's device", () => {
  it("is told where the session begins and in the list, with a place where somebody knows places", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const client = { ...testClient, userAgent: FIREFOX, address: "192.0.2.7" };
    const begin = (deps: Parameters<typeof beginSession>[0]): Promise<SessionView> =>
      inTx(kit.db, async (tx) => (await beginSession(deps, tx, { userId: ann.id, roles: ["user"], client, restricted: false })).session);
    const placeOf = (address: string): { country: string } | undefined => (address === "192.0.2.7" ? { country: "HU" } : undefined);

    const begun = await begin(kit);
    expect(begun).toMatchObject({ device: "Firefox on Windows", name: null, place: null, userAgent: FIREFOX, address: "192.0.2.7" });
    expect((await begin({ ...kit, placeOf })).place).toEqual({ country: "HU", city: null });

    const { data } = await listSessions({ ...kit, placeOf }, { actor: ofSession(ann, begun), limit: 100, cursor: undefined });
    expect(data.map(({ device, place }) => [device, place?.country])).toEqual([
      ["Firefox on Windows", "HU"],
      ["Firefox on Windows", "HU"],
    ]);
  });
});

describe("a session that is over", () => {
  it("is kept for 90 days, as long as its device is known", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const [kept, gone] = [(await kit.begin(ann)).session, (await kit.begin(ann)).session];
    const endedDaysAgo = (id: string, days: number): Promise<unknown> =>
      affected(kit.db, sql`update sessions set revoked_at = now() - make_interval(days => ${days}) where id = ${id}::uuid`);
    await endedDaysAgo(kept.id, 89);
    await endedDaysAgo(gone.id, 91);

    expect(await deleteOldSessions(kit.db)).toBe(1);
    expect(await rows(kit.db, sql`select id from sessions`)).toEqual([{ id: kept.id }]);
  });
});

describe("naming a session", () => {
  it("shows the name in the list, until it is taken away", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const [phone, laptop] = [(await kit.begin(ann)).session, (await kit.begin(ann)).session];
    const actor = ofSession(ann, laptop);

    const renamed = await renameSession(kit, { actor, sessionId: phone.id, name: "Ann's phone" });

    expect(renamed).toEqual({ ...phone, name: "Ann's phone", current: false });
    expect((await listed(kit, actor)).map(({ id, name }) => [id, name])).toEqual([
      [laptop.id, null],
      [phone.id, "Ann's phone"],
    ]);
    expect((await renameSession(kit, { actor, sessionId: phone.id, name: null })).name).toBeNull();
  });

  it("names none of others, none that is over and none that is not there", async () => {
    await using kit = await sessionKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const [hers, his, over] = [(await kit.begin(ann)).session, (await kit.begin(bob)).session, (await kit.begin(ann)).session];
    await logout(kit, ofSession(ann, over));
    const rename = (sessionId: string): Promise<string> =>
      codeOf(renameSession(kit, { actor: ofSession(ann, hers), sessionId, name: "mine" }));

    expect([await rename(his.id), await rename(over.id), await rename("00000000-0000-7000-8000-000000000000")]).toEqual(
      Array.from({ length: 3 }, () => "session.not_found"),
    );
    expect(await rows(kit.db, sql`select 1 from sessions where name is not null`)).toEqual([]);
  });

  it("takes a name as people may see it: cleaned, visible, 1 to 50 characters", () => {
    expect(renameBody.parse({ name: "  Zoe\u0308's \u00a0 phone " })).toEqual({ name: "Zoë's phone" });
    expect(renameBody.safeParse({ name: "👩‍👩‍👧".repeat(50) }).success).toBe(true);
    for (const name of ["", " ", "a".repeat(51), "a\nb", "a\u202eb", "a\u0000b", 5, undefined]) {
      expect([name, renameBody.safeParse({ name }).success]).toEqual([name, false]);
    }
  });
});

describe("ending the others", () => {
  it("ends every session but the one that asks, tells every process of each, and says how many", async () => {
    await using kit = await sessionKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const [kept, one, two] = [await kit.begin(ann), await kit.begin(ann), await kit.begin(ann)];
    const his = await kit.begin(bob);
    const actor = ofSession(ann, kept.session);

    expect(await revokeOwnOthers(kit, actor)).toEqual({ sessionsRevoked: 2 });

    expect((await listed(kit, actor)).map(({ id }) => id)).toEqual([kept.session.id]);
    for (const { refreshToken } of [one, two])
      expect(await codeOf(refresh(kit, { refreshToken, client: testClient }))).toBe("session.revoked");
    for (const { refreshToken } of [kept, his]) expect(await codeOf(refresh(kit, { refreshToken, client: testClient }))).toBe("ok");
    const told = await rows<{ session_id: string; reason: string }>(kit.db, sql`select session_id, reason from revocations`);
    expect(told.map(({ session_id: id }) => id).sort()).toEqual([one.session.id, two.session.id].sort());
    expect(new Set(told.map(({ reason }) => reason))).toEqual(new Set(["revoked_by_owner"]));
    expect(await revokeOwnOthers(kit, actor)).toEqual({ sessionsRevoked: 0 });
  });
});

describe("the cap on sessions", () => {
  it("ends the least recently seen one with the login that is one too many", async () => {
    await using kit = await sessionKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const capped = limited(kit, { perUser: 2 });
    const his = await kit.begin(bob);
    const [first, second] = [await beginLocked(capped, ann), await beginLocked(capped, ann)];
    await affected(kit.db, sql`update sessions set last_seen_at = now() + interval '1 minute' where id = ${first.id}::uuid`);

    const third = await beginLocked(capped, ann);

    expect((await listed(kit, ofSession(ann, third))).map(({ id }) => id)).toEqual([third.id, first.id]);
    expect(await rows(kit.db, sql`select subject, session_id, reason from revocations`)).toEqual([
      { subject: ann.id, session_id: second.id, reason: "session_cap" },
    ]);
    expect(await codeOf(refresh(kit, { refreshToken: his.refreshToken, client: testClient }))).toBe("ok");
  });

  it("takes no sessions away until the next one begins, where it was lowered", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    for (let turn = 0; turn < 5; turn += 1) await beginLocked(kit, ann);
    const last = await beginLocked(limited(kit, { perUser: 3 }), ann);

    expect(await listed(kit, ofSession(ann, last))).toHaveLength(3);
  });

  it.each([1, 3, 7])("of %d is never exceeded, not for a moment, with twenty logins at once", async (perUser) => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const capped = limited(kit, { perUser });
    const standing = async (): Promise<number> =>
      (await row<{ n: number }>(kit.db, sql`select count(*) as n from sessions where revoked_at is null and expires_at > now()`))?.n ?? 0;
    const counts: number[] = [];

    const begun = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const session = await beginLocked(capped, ann);
        counts.push(await standing());
        return session;
      }),
    );

    expect(Math.max(...counts)).toBe(perUser);
    expect(await standing()).toBe(perUser);
    const kept = await listed(kit, ofSession(ann, { id: "none" }));
    expect(begun.map(({ id }) => id)).toEqual(expect.arrayContaining(kept.map(({ id }) => id)));
    expect(
      await rows(kit.db, sql`select count(*) as n, count(distinct session_id) as sessions from revocations where reason = 'session_cap'`),
    ).toEqual([{ n: 20 - perUser, sessions: 20 - perUser }]);
  });
});

describe("the limits of a session", () => {
  it("are as configured: idle and absolute", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const strict = limited(kit, { idleDays: 2, absoluteDays: 5 });
    const begin = (): ReturnType<SessionKit["begin"]> =>
      inTx(kit.db, async (tx) => {
        const tokens = await beginSession(strict, tx, { userId: ann.id, roles: ["user"], client: testClient, restricted: false });
        return { ...tokens, refreshToken: tokens.refreshToken ?? "" };
      });
    const idleFor = (id: string, days: number): Promise<unknown> =>
      affected(
        kit.db,
        sql`update refresh_tokens set made_at = now() - make_interval(days => ${days}, secs => 5) where session_id = ${id}::uuid`,
      );
    const [used, idle] = [await begin(), await begin()];

    expect(Date.parse(used.session.expiresAt) - Date.parse(used.session.createdAt)).toBe(5 * 86_400_000);
    await idleFor(used.session.id, 1);
    await idleFor(idle.session.id, 2);

    expect((await listed(strict, ofSession(ann, used.session))).map(({ id }) => id)).toEqual([used.session.id]);
    expect(await listed(kit, ofSession(ann, used.session))).toHaveLength(2);
    expect(await codeOf(refresh(strict, { refreshToken: used.refreshToken, client: testClient }))).toBe("ok");
    expect(await codeOf(refresh(strict, { refreshToken: idle.refreshToken, client: testClient }))).toBe("session.expired");
    expect(await codeOf(refresh(kit, { refreshToken: idle.refreshToken, client: testClient }))).toBe("ok");
  });
});
