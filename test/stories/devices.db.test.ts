/** Sessions as devices, through the real process: what a request costs, what is left when it stops, what sockets are told. */

import { describe, expect, it } from "@jest/globals";
import { createGate } from "#src/features/sessions/gate";
import { createRecordUse } from "#src/features/sessions/record-use";
import { GateMemory } from "#src/features/sessions/gate-memory";
import { selectSessionState } from "#src/features/sessions/gate.sql";
import { SeenSessions } from "#src/features/sessions/seen-sessions";
import { readMe } from "#src/features/profiles/me";
import { account } from "#src/kernel/actor";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import { people } from "../kit/people.ts";
import { logIn, onDatabase, registerPerson, startApiProcess } from "../kit/service.ts";
import { sessionKit } from "../kit/sessions.ts";

interface ListedSession {
  readonly id: string;
  readonly name: string | null;
  readonly device: string | null;
  readonly place: object | null;
  readonly current: boolean;
}

async function secondsSinceSeen(database: TestDatabase, sessionId: string): Promise<number> {
  const text = "select extract(epoch from now() - last_seen_at)::float8 as age from sessions where id = $1";
  return (await onDatabase<{ age: number }>(database.adminUrl, text, [sessionId]))[0]?.age ?? Number.NaN;
}

describe("sessions as devices", () => {
  it("put no statement on the way of GET /api/users/me but its own", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const { accessToken } = await kit.begin(ann);
    const seen = new SeenSessions(kit);
    const memory = new GateMemory({ clock: kit.clock, load: (id) => selectSessionState(kit.db, id) });
    const feed = { isFresh: () => true, untilFresh: () => Promise.resolve() };
    const gate = createGate({ tokens: kit.accessTokens, feed, memory, seen, recordUse: createRecordUse(kit), log: kit.log });
    await gate(accessToken, account);
    const before = kit.statements();

    for (let turn = 0; turn < 10; turn += 1) {
      await gate(accessToken, account);
      await readMe(kit, { userId: ann.id });
    }

    expect(kit.statements() - before).toBe(10);
    expect(seen.waiting).toBe(1);
  });

  it("are last seen when they were last used, also where the process stops at once after that", async () => {
    await using database = await cloneDatabase();
    await using api = await startApiProcess({ database });
    const [used, idle] = [await registerPerson(api.http, "ann"), await registerPerson(api.http, "bob")];
    await onDatabase(database.adminUrl, "update sessions set last_seen_at = now() - interval '1 hour'");

    expect((await api.http.get("/api/users/me", used.accessToken)).status).toBe(200);
    await api.stop();

    expect(await secondsSinceSeen(database, used.sessionId)).toBeLessThan(60);
    expect(await secondsSinceSeen(database, idle.sessionId)).toBeGreaterThan(3_000);
    expect(api.errors()).toEqual([]);
  });

  it("are named, ended but one, and capped: sockets of those that end are told why", async () => {
    await using database = await cloneDatabase();
    await using api = await startApiProcess({ database, env: { SESSIONS_PER_USER: "3", SESSION_ABSOLUTE_DAYS: "7" } });
    const phone = await registerPerson(api.http, "ann");
    const laptop = await logIn(api.http, "ann");
    const tablet = await logIn(api.http, "ann");
    using onPhone = await api.socket(phone.accessToken);
    using onTablet = await api.socket(tablet.accessToken);
    await onDatabase(database.adminUrl, "update sessions set last_seen_at = now() - interval '1 hour' where id = $1", [phone.sessionId]);

    const renamed = await api.http.send<ListedSession>("PATCH", `/api/auth/sessions/${laptop.sessionId}`, {
      token: laptop.accessToken,
      body: { name: " My  laptop " },
    });
    expect([renamed.status, renamed.body.name, renamed.body.current]).toEqual([200, "My laptop", true]);
    expect(
      (await api.http.send("PATCH", `/api/auth/sessions/${laptop.sessionId}`, { token: laptop.accessToken, body: {} })).body.code,
    ).toBe("input.invalid");

    const fourth = await logIn(api.http, "ann");
    await onPhone.closes(2_000);
    expect(onPhone.told.at(-1)).toMatchObject({
      name: "session:revoked",
      payload: { sessionId: phone.sessionId, reason: "session_cap" },
    });
    expect((await api.http.get("/api/users/me", phone.accessToken)).body).toMatchObject({ code: "session.revoked" });

    const others = await api.http.post<{ sessionsRevoked: number }>("/api/auth/sessions/revoke-others", undefined, laptop.accessToken);
    expect([others.status, others.body]).toEqual([200, { sessionsRevoked: 2 }]);
    await onTablet.closes(2_000);
    expect(onTablet.told.at(-1)).toMatchObject({
      name: "session:revoked",
      payload: { sessionId: tablet.sessionId, reason: "revoked_by_owner" },
    });
    expect((await api.http.get("/api/users/me", fourth.accessToken)).body).toMatchObject({ code: "session.revoked" });

    const list = await api.http.get<{ data: (ListedSession & { createdAt: string; expiresAt: string })[] }>(
      "/api/auth/sessions",
      laptop.accessToken,
    );
    expect(list.body.data).toMatchObject([{ id: laptop.sessionId, name: "My laptop", device: null, place: null, current: true }]);
    const [{ createdAt, expiresAt } = { createdAt: "", expiresAt: "" }] = list.body.data;
    expect(Date.parse(expiresAt) - Date.parse(createdAt)).toBe(7 * 86_400_000);
  });
});
