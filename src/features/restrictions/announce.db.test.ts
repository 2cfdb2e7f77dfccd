import { describe, expect, it } from "@jest/globals";
import { affected, row, rows, sql } from "#src/db/sql";
import type { Db } from "#src/db/pool";
import { selectSessionState } from "#src/features/sessions/public";
import { silentLog, type Log } from "#src/kernel/log";
import { people } from "../../../test/kit/people.ts";
import { sessionKit, type SessionKit } from "../../../test/kit/sessions.ts";
import { announceDue } from "./announce.ts";
import { impose, type Imposition } from "./impose.ts";
import { lift } from "./lift.ts";

const never = new AbortController().signal;
const inHours = (hours: number): Date => new Date(Date.now() + hours * 3_600_000);

interface Cast {
  readonly mod: { readonly id: string };
  readonly ann: { readonly id: string };
}

async function cast(kit: SessionKit): Promise<Cast> {
  return await people(kit.db, { mod: { roles: ["user", "moderator"] }, ann: {} });
}

async function plan(kit: SessionKit, { mod, ann }: Cast, more: Partial<Imposition> = {}): Promise<string> {
  const restriction = await impose(kit, {
    actorId: mod.id,
    subjectId: ann.id,
    kind: "suspend",
    reason: "spam",
    message: undefined,
    capabilities: [],
    startsAt: inHours(2),
    expiresAt: inHours(4),
    ...more,
  });
  return restriction.id;
}

/** As if so many hours had passed, for restrictions and accounts. */
async function letPass(db: Db, hours: number): Promise<void> {
  await affected(
    db,
    sql`update restrictions set starts_at = starts_at - make_interval(hours => ${hours}::int), expires_at = expires_at - make_interval(hours => ${hours}::int)`,
  );
  await affected(
    db,
    sql`update users set status_valid_until = status_valid_until - make_interval(hours => ${hours}::int),
          sessions_valid_from = sessions_valid_from - make_interval(hours => ${hours}::int)`,
  );
  await affected(db, sql`update sessions set created_at = created_at - make_interval(hours => ${hours}::int)`);
}

/** What was told since the last call: public events, notices, revocations. */
function follower(db: Db): () => Promise<{ events: string[]; notices: string[]; revocations: string[] }> {
  let version = 0;
  let notices = 0;
  let revocation = 0;
  return async () => {
    const events = await rows<{ type: string; status: string; user_version: number }>(
      db,
      sql`select type, data->>'status' as status, user_version from outbox where topic = 'users.v1' and user_version > ${version} order by user_version`,
    );
    const told = await rows<{ type: string }>(db, sql`select type from notices order by created_at offset ${notices}`);
    const revoked = await rows<{ id: number; reason: string }>(
      db,
      sql`select id, reason from revocations where id > ${revocation} order by id`,
    );
    version = events.at(-1)?.user_version ?? version;
    notices += told.length;
    revocation = revoked.at(-1)?.id ?? revocation;
    return {
      events: events.map(({ type, status }) => `${type.replace("videamozi.", "")} ${status}`),
      notices: told.map(({ type }) => type),
      revocations: revoked.map(({ reason }) => reason),
    };
  };
}

const nothing = { events: [], notices: [], revocations: [] };

describe("announcing", () => {
  it("tells of a start and of an end, each once, when their time has come", async () => {
    await using kit = await sessionKit();
    const parties = await cast(kit);
    const { session } = await kit.begin(parties.ann);
    const news = follower(kit.db);
    await plan(kit, parties);
    expect(await news()).toEqual({ events: ["user.restricted.v1 active"], notices: [], revocations: ["account.changed"] });
    expect(await announceDue(kit, never)).toBe(0);
    expect(await news()).toEqual(nothing);

    await letPass(kit.db, 3);
    expect(await announceDue(kit, never)).toBe(1);
    expect(await news()).toEqual({
      events: ["user.restricted.v1 suspended"],
      notices: ["restriction.imposed"],
      revocations: ["account.restricted"],
    });
    expect((await selectSessionState(kit.db, session.id))?.endedBecause).toBe("account.restricted");
    expect(await announceDue(kit, never)).toBe(0);
    expect(await news()).toEqual(nothing);

    await letPass(kit.db, 2);
    expect(await announceDue(kit, never)).toBe(1);
    expect(await news()).toEqual({ events: ["user.restored.v1 active"], notices: ["restriction.ended"], revocations: [] });
    expect(await row(kit.db, sql`select status, status_valid_until from users where id = ${parties.ann.id}::uuid`)).toEqual({
      status: "active",
      status_valid_until: null,
    });
    expect(await announceDue(kit, never)).toBe(0);
    expect(await news()).toEqual(nothing);
  });

  it("does so once though many sweep at the same time", async () => {
    await using kit = await sessionKit();
    const { mod, ...users } = await people(kit.db, { mod: { roles: ["user", "moderator"] }, ann: {}, bob: {}, cem: {}, dee: {} });
    for (const ann of Object.values(users)) await plan(kit, { mod, ann });
    await letPass(kit.db, 3);
    await Promise.all(Array.from({ length: 10 }, () => announceDue(kit, never)));
    for (const { id } of Object.values(users)) {
      const told = await row(
        kit.db,
        sql`select
              (select count(*)::int from outbox where subject = ${id}::uuid and data->>'status' = 'suspended') as events,
              (select count(*)::int from notices where user_id = ${id}::uuid) as notices,
              (select count(*)::int from revocations where subject = ${id}::uuid and reason = 'account.restricted') as revocations`,
      );
      expect(told).toEqual({ events: 1, notices: 1, revocations: 1 });
    }
  });

  it("does not tell again of a restriction that began when it was imposed", async () => {
    await using kit = await sessionKit();
    const parties = await cast(kit);
    await plan(kit, parties, { startsAt: undefined });
    expect(await announceDue(kit, never)).toBe(0);
  });

  it("catches up with one that came and went while no worker ran: it is told as ended", async () => {
    await using kit = await sessionKit();
    const parties = await cast(kit);
    const before = await kit.begin(parties.ann);
    await plan(kit, parties);
    await letPass(kit.db, 5);
    const after = await kit.begin(parties.ann);
    const news = follower(kit.db);
    await news();
    expect(await announceDue(kit, never)).toBe(1);
    expect(await news()).toEqual({ events: ["user.restored.v1 active"], notices: ["restriction.ended"], revocations: [] });
    // The session from before the start is over, the one from after the end stands.
    expect((await selectSessionState(kit.db, before.session.id))?.endedBecause).toBe("account.restricted");
    expect((await selectSessionState(kit.db, after.session.id))?.endedBecause).toBeNull();
    expect(await announceDue(kit, never)).toBe(0);
  });

  it("says nothing of what was lifted before", async () => {
    await using kit = await sessionKit();
    const parties = await cast(kit);
    const restrictionId = await plan(kit, parties);
    await lift(kit, { actorId: parties.mod.id, restrictionId, note: "x" });
    await letPass(kit.db, 9);
    expect(await announceDue(kit, never)).toBe(0);
  });

  it("keeps the sessions when a limit begins", async () => {
    await using kit = await sessionKit();
    const parties = await cast(kit);
    const { session } = await kit.begin(parties.ann);
    await plan(kit, parties, { kind: "limit", capabilities: ["post"] });
    await letPass(kit.db, 3);
    const news = follower(kit.db);
    await news();
    await announceDue(kit, never);
    expect(await news()).toEqual({
      events: ["user.restricted.v1 active"],
      notices: ["restriction.imposed"],
      revocations: ["account.changed"],
    });
    expect(await selectSessionState(kit.db, session.id)).toMatchObject({ endedBecause: null, limited: ["post"] });
  });

  it("goes on past one that fails, says so, and tries it again the next time", async () => {
    await using kit = await sessionKit();
    const { mod, ann, bob } = await people(kit.db, { mod: { roles: ["user", "moderator"] }, ann: {}, bob: {} });
    await plan(kit, { mod, ann });
    await plan(kit, { mod, ann: bob });
    await letPass(kit.db, 3);
    await affected(
      kit.db,
      sql`create function refuse_ann() returns trigger language plpgsql as 'begin if new.user_id = (select id from users where username = ''ann'') then raise exception ''not ann''; end if; return new; end'`,
    );
    await affected(kit.db, sql`create trigger refuse_ann before insert on notices for each row execute function refuse_ann()`);
    const warnings: unknown[] = [];
    const log: Log = { ...silentLog, warn: (fields) => warnings.push(fields) };
    expect(await announceDue({ db: kit.db, log }, never)).toBe(1);
    expect(warnings).toHaveLength(1);
    await affected(kit.db, sql`drop trigger refuse_ann on notices`);
    expect(await announceDue({ db: kit.db, log }, never)).toBe(1);
    expect(warnings).toHaveLength(1);
  });

  it("stops between two when told to", async () => {
    await using kit = await sessionKit();
    const parties = await cast(kit);
    await plan(kit, parties);
    await letPass(kit.db, 3);
    expect(await announceDue(kit, AbortSignal.abort())).toBe(0);
    expect(await announceDue(kit, never)).toBe(1);
  });
});
