import { describe, expect, it } from "@jest/globals";
import { affected, row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { setStatus } from "#src/features/accounts/public";
import { accountOrLook, type Access, type Actor, type Gate } from "#src/kernel/actor";
import { delay, systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { codeOf } from "../../../test/kit/outcome.ts";
import { people } from "../../../test/kit/people.ts";
import { sessionKit, testClient, type SessionKit } from "../../../test/kit/sessions.ts";
import { until } from "../../../test/kit/until.ts";
import { beginImpersonation, type Impersonation } from "./begin-impersonation.ts";
import { beginSession } from "./begin-session.ts";
import { RevocationFeed } from "./feed.ts";
import type { Revocation } from "./feed.sql.ts";
import { GateMemory } from "./gate-memory.ts";
import { selectSessionState } from "./gate.sql.ts";
import { createGate } from "./gate.ts";
import { insertImpersonation } from "./impersonations.sql.ts";
import { listSessions } from "./list-sessions.ts";
import { isNewDevice } from "./new-device.ts";
import { createRecordUse } from "./record-use.ts";
import { refresh } from "./refresh.ts";
import { announceChange, logout, logoutAll, revokeAll, revokeOthers, revokeOwnOthers, revokeOwnSession, revokeSession } from "./revoke.ts";
import { markAuthenticated, requireFresh } from "./step-up.ts";

interface Guarded extends AsyncDisposable {
  readonly gate: Gate;
  readonly told: Revocation[];
}

function guard(kit: SessionKit): Guarded {
  const told: Revocation[] = [];
  const memory = new GateMemory({ clock: systemClock, load: (id) => selectSessionState(kit.db, id) });
  const revoked = (revocation: Revocation): void => {
    memory.forget(revocation.subject);
    told.push(revocation);
  };
  const listener = { revoked, reset: () => memory.forgetAll() };
  const feed = new RevocationFeed({ databaseUrl: kit.database.url, clock: systemClock, log: silentLog, listener });
  feed.start();
  const recordUse = createRecordUse(kit);
  const gate = createGate({ tokens: kit.accessTokens, feed, memory, seen: { note: () => {} }, recordUse, log: silentLog });
  return { gate, told, [Symbol.asyncDispose]: () => feed.stop() };
}

/** An admin with two sessions, a user with one, and the first session of the admin in the user's place. */
interface Scene {
  readonly kit: SessionKit;
  readonly admin: { readonly id: string };
  readonly user: { readonly id: string };
  readonly from: Awaited<ReturnType<SessionKit["begin"]>>;
  readonly elsewhere: Awaited<ReturnType<SessionKit["begin"]>>;
  readonly users: Awaited<ReturnType<SessionKit["begin"]>>;
  readonly acting: Impersonation;
  readonly actors: Readonly<Record<"from" | "elsewhere" | "users", Actor>>;
}

const actorOf = (userId: string, sessionId: string): Actor => ({ userId, sessionId }) as Actor;

async function scene(kit: SessionKit, names: readonly [string, string]): Promise<Scene> {
  const made = await people(kit.db, { [names[0]]: {}, [names[1]]: {} });
  const [admin, user] = [made[names[0]], made[names[1]]];
  if (admin === undefined || user === undefined) throw new Error("nobody was made");
  await affected(kit.db, sql`update users set roles = '{user,admin}' where id = ${admin.id}::uuid`);
  const [from, elsewhere, users] = [
    await kit.begin(admin, ["user", "admin"]),
    await kit.begin(admin, ["user", "admin"]),
    await kit.begin(user),
  ];
  const by = actorOf(admin.id, from.session.id);
  const acting = await inTx(kit.db, (tx) =>
    beginImpersonation(kit, tx, { by, user: { id: user.id, roles: ["user"] }, lifetimeSeconds: 600 }),
  );
  return {
    kit,
    admin,
    user,
    from,
    elsewhere,
    users,
    acting,
    actors: {
      from: by,
      elsewhere: actorOf(admin.id, elsewhere.session.id),
      users: actorOf(user.id, users.session.id),
    },
  };
}

const write = (kit: SessionKit, userId: string, change: "deactivated" | "demoted"): Promise<void> =>
  inTx(kit.db, async (tx) => {
    if (change === "deactivated") await affected(tx, sql`update users set status = 'deactivated' where id = ${userId}::uuid`);
    else await affected(tx, sql`update users set roles = '{user}' where id = ${userId}::uuid`);
    await announceChange(tx, userId);
  });

const suspend = (kit: SessionKit, userId: string, afterSeconds: number): Promise<unknown> =>
  inTx(kit.db, async (tx) => {
    await affected(
      tx,
      sql`insert into restrictions (id, user_id, kind, reason_policy, reason, starts_at, expires_at) values (gen_random_uuid(), ${userId}::uuid,
            'suspend', 1, 'spam', now() + make_interval(secs => ${afterSeconds}), now() + interval '1 hour')`,
    );
    await setStatus(tx, userId);
    if (afterSeconds === 0) await revokeAll(tx, userId, "account.restricted");
    else await announceChange(tx, userId);
  });

const expire = (kit: SessionKit, sessionId: string): Promise<unknown> =>
  affected(kit.db, sql`update sessions set expires_at = now() + interval '0.3 seconds' where id = ${sessionId}::uuid`);

const stolen = async ({ kit, from }: Scene): Promise<void> => {
  const once = await refresh(kit, { refreshToken: from.refreshToken, client: testClient });
  const twice = await refresh(kit, { refreshToken: once.refreshToken, client: testClient });
  await refresh(kit, { refreshToken: twice.refreshToken, client: testClient });
  expect(await codeOf(refresh(kit, { refreshToken: from.refreshToken, client: testClient }))).toBe("refresh.reused");
};

const capped = ({ kit, admin }: Scene): Promise<unknown> => {
  const strict = { ...kit, sessionLimits: { ...kit.sessionLimits, perUser: 1 } };
  const beginning = { userId: admin.id, roles: ["user", "admin"] as const, client: testClient, restricted: false };
  return inTx(kit.db, (tx) => beginSession(strict, tx, beginning));
};

/** Whatever ends an impersonation. What expires is not read from the database before it is asked for the first time. */
const ENDS: Readonly<Record<string, (at: Scene) => Promise<unknown>>> = {
  "the admin logs out": ({ kit, actors }) => logout(kit, actors.from),
  "the admin logs out everywhere": ({ kit, actors }) => logoutAll(kit, actors.from),
  "the admin ends that session from another": ({ kit, actors, from }) =>
    revokeOwnSession(kit, { actor: actors.elsewhere, sessionId: from.session.id }),
  "the admin ends the others from another": ({ kit, actors }) => revokeOwnOthers(kit, actors.elsewhere),
  "the admin changes the password elsewhere": ({ kit, admin, elsewhere }) =>
    inTx(kit.db, (tx) => revokeOthers(tx, { userId: admin.id, keptId: elsewhere.session.id }, "password_changed")),
  "the admin's password is reset": ({ kit, admin }) => inTx(kit.db, (tx) => revokeAll(tx, admin.id, "password_reset")),
  "the admin's roles change": ({ kit, admin }) => inTx(kit.db, (tx) => revokeAll(tx, admin.id, "role_changed")),
  "another admin ends that session": ({ kit, admin, from }) =>
    inTx(kit.db, (tx) => revokeSession(tx, { id: from.session.id, userId: admin.id }, "revoked_by_admin")),
  "the admin's refresh token is stolen": stolen,
  "the admin has too many sessions": capped,
  "the admin is suspended": ({ kit, admin }) => suspend(kit, admin.id, 0),
  "a planned suspension of the admin begins": ({ kit, admin }) => suspend(kit, admin.id, 0.3),
  "the admin is deactivated": ({ kit, admin }) => write(kit, admin.id, "deactivated"),
  "the admin is no admin any more": ({ kit, admin }) => write(kit, admin.id, "demoted"),
  "the admin's row is the only one told of": async ({ kit, from, admin }) => {
    await inTx(kit.db, async (tx) => {
      await affected(tx, sql`update sessions set revoked_at = now(), revoked_reason = 'by_hand' where id = ${from.session.id}::uuid`);
      await announceChange(tx, admin.id);
    });
  },
  "the user logs out everywhere": ({ kit, actors }) => logoutAll(kit, actors.users),
  "the user ends the others": ({ kit, actors }) => revokeOwnOthers(kit, actors.users),
  "the user ends it": ({ kit, actors, acting }) => revokeOwnSession(kit, { actor: actors.users, sessionId: acting.session.id }),
  "it logs out": ({ kit, user, acting }) => logout(kit, actorOf(user.id, acting.session.id)),
};

describe("an impersonation", () => {
  it("ends everywhere within a second, whatever ends it, though each process remembers it", async () => {
    await using kit = await sessionKit();
    await using one = guard(kit);
    await using other = guard(kit);
    const scenes: [string, Scene][] = [];
    for (const [index, name] of Object.keys(ENDS).entries()) scenes.push([name, await scene(kit, [`admin${index}`, `user${index}`])]);
    const ask = (guarded: Guarded, { acting }: Scene): Promise<string> => codeOf(guarded.gate(acting.accessToken, accountOrLook));
    for (const [name, at] of scenes) expect([name, await ask(one, at), await ask(other, at)]).toEqual([name, "ok", "ok"]);
    for (const [name, at] of scenes) await ENDS[name]?.(at);
    await delay(1_000);
    for (const [name, at] of scenes) {
      expect([name, await ask(one, at), await ask(other, at)]).toEqual([name, "session.revoked", "session.revoked"]);
    }
  }, 60_000);

  it("is told of by a row of its own in the transaction that ends the admin's session, so that its sockets are cut at once", async () => {
    await using kit = await sessionKit();
    const byTime = ["a planned suspension of the admin begins", "the admin is deactivated", "the admin is no admin any more"];
    const left = [...byTime, "the admin's row is the only one told of"];
    for (const [index, name] of Object.keys(ENDS).entries()) {
      if (left.includes(name)) continue;
      const at = await scene(kit, [`admin${index}`, `user${index}`]);
      await ENDS[name]?.(at);
      const told = await row(
        kit.db,
        sql`select 1 from revocations where subject = ${at.user.id}::uuid and (session_id = ${at.acting.session.id}::uuid or session_id is null)`,
      );
      const ended = await row(kit.db, sql`select 1 from sessions where id = ${at.acting.session.id}::uuid and revoked_at is not null`);
      expect([name, told !== undefined, ended !== undefined]).toEqual([name, true, true]);
    }
  }, 60_000);

  it("is over with its time, and with its admin's session's", async () => {
    await using kit = await sessionKit();
    await using guarded = guard(kit);
    const [first, second] = [await scene(kit, ["chief", "ann"]), await scene(kit, ["chief2", "bob"])];
    await expire(kit, first.acting.session.id);
    await expire(kit, second.from.session.id);
    for (const { acting } of [first, second]) expect(await codeOf(guarded.gate(acting.accessToken, accountOrLook))).toBe("ok");
    await until(async () => (await codeOf(guarded.gate(first.acting.accessToken, accountOrLook))) === "session.expired");
    await until(async () => (await codeOf(guarded.gate(second.acting.accessToken, accountOrLook))) === "session.revoked");
    const { from, admin, user } = second;
    const parties = { userId: user.id, impersonatorId: admin.id, impersonatorSessionId: from.session.id };
    const late = { id: second.acting.session.id, ...parties, lifetimeSeconds: 600 };
    expect(await inTx(kit.db, (tx) => insertImpersonation(tx, late))).toBeUndefined();
  });

  it("never outlives the session it is begun from", async () => {
    await using kit = await sessionKit();
    const { from, admin, user, actors } = await scene(kit, ["chief", "ann"]);
    await affected(kit.db, sql`update sessions set expires_at = now() + interval '60 seconds' where id = ${from.session.id}::uuid`);
    const acting = await inTx(kit.db, (tx) =>
      beginImpersonation(kit, tx, { by: actors.from, user: { id: user.id, roles: ["user"] }, lifetimeSeconds: 600 }),
    );
    expect(acting.expiresIn).toBeLessThanOrEqual(60);
    expect(kit.accessTokens.verify(acting.accessToken)).toMatchObject({ sub: user.id, actorId: admin.id });
    expect(await inTx(kit.db, (tx) => codeOf(requireFresh(tx, acting.session.id)))).toBe("step_up.required");
    await inTx(kit.db, (tx) => markAuthenticated(tx, acting.session.id));
    expect(await inTx(kit.db, (tx) => codeOf(requireFresh(tx, acting.session.id)))).toBe("step_up.required");
    expect(await rows(kit.db, sql`select 1 from refresh_tokens where session_id = ${acting.session.id}::uuid`)).toEqual([]);
  });

  it("is not begun from a session that ends meanwhile, nor missed by the end that waits for it", async () => {
    await using kit = await sessionKit();
    const { admin, user, from, actors } = await scene(kit, ["chief", "ann"]);
    const asked = { by: actors.from, user: { id: user.id, roles: ["user"] as const }, lifetimeSeconds: 600 };
    let ending: Promise<void> | undefined;
    const made = await inTx(kit.db, async (tx) => {
      const begun = await beginImpersonation(kit, tx, asked);
      ending = logout(kit, actors.from);
      await until(async () => (await row(kit.db, sql`select 1 from pg_locks where not granted`)) !== undefined);
      return begun;
    });
    await ending;
    const ended = await row(kit.db, sql`select 1 from sessions where id = ${made.session.id}::uuid and revoked_at is not null`);
    expect(ended).toBeDefined();
    expect(await codeOf(inTx(kit.db, (tx) => beginImpersonation(kit, tx, asked)))).toBe("session.revoked");
    expect(from.session.id).not.toBe(admin.id);
  });

  it("may do what says so and nothing else, and what it writes is on record first, under both names", async () => {
    await using kit = await sessionKit();
    await using guarded = guard(kit);
    const { acting, admin, user } = await scene(kit, ["chief", "ann"]);
    const doors: readonly (readonly [Access, string])[] = [
      [{ kind: "account" }, "impersonation.refused"],
      [{ kind: "account", restricted: "allowed" }, "impersonation.refused"],
      [{ kind: "account", role: "moderator", impersonation: "reads" }, "impersonation.refused"],
      [accountOrLook, "ok"],
      [{ kind: "account", impersonation: { writes: "profile" } }, "ok"],
    ];
    for (const [access, outcome] of doors) {
      expect([access, await codeOf(guarded.gate(acting.accessToken, access))]).toEqual([access, outcome]);
    }
    expect(await guarded.gate(acting.accessToken, accountOrLook)).toMatchObject({ userId: user.id, impersonatorId: admin.id });
    expect(await rows(kit.db, sql`select actor_id, subject_id, action, facts from audit_log`)).toEqual([
      { actor_id: admin.id, subject_id: user.id, action: "impersonation.used", facts: { sessionId: acting.session.id, writes: "profile" } },
    ]);
  });

  it("is shown to the user as made by staff, is no device of theirs and takes no place of their sessions", async () => {
    await using kit = await sessionKit();
    const { acting, user, users } = await scene(kit, ["chief", "ann"]);
    const { data } = await listSessions(kit, { actor: actorOf(user.id, users.session.id), limit: 10, cursor: undefined });
    expect(data.map(({ id, byStaff, address, device }) => ({ id, byStaff, address, device }))).toEqual([
      { id: acting.session.id, byStaff: true, address: "", device: null },
      { id: users.session.id, byStaff: false, address: "127.0.0.1", device: null },
    ]);
    expect(await isNewDevice(kit.db, { userId: user.id, client: { ...testClient, address: "", userAgent: "" } })).toBe(true);
    const strict = { ...kit, sessionLimits: { ...kit.sessionLimits, perUser: 2 } };
    await affected(kit.db, sql`update sessions set last_seen_at = now() + interval '1 minute' where id = ${acting.session.id}::uuid`);
    await inTx(kit.db, (tx) => beginSession(strict, tx, { userId: user.id, roles: ["user"], client: testClient, restricted: false }));
    const stand = await rows(kit.db, sql`select id from sessions where user_id = ${user.id}::uuid and revoked_at is null`);
    expect(stand).toHaveLength(3);
  });

  it("is refused when token and session do not agree on who acts", async () => {
    await using kit = await sessionKit();
    await using guarded = guard(kit);
    const { acting, admin, user, users } = await scene(kit, ["chief", "ann"]);
    const roles = ["user"] as const;
    const plain = kit.accessTokens.issue({ userId: user.id, sessionId: acting.session.id, roles });
    const impersonation = { impersonatorId: admin.id, seconds: 60 };
    const marked = kit.accessTokens.issue({ userId: user.id, sessionId: users.session.id, roles, impersonation });
    for (const token of [plain, marked]) expect(await codeOf(guarded.gate(token, accountOrLook))).toBe("session.revoked");
  });
});
