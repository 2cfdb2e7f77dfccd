import { describe, expect, it } from "@jest/globals";
import { affected, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { account } from "#src/kernel/actor";
import { systemClock, type Clock } from "#src/kernel/clock";
import { silentLog, type Log } from "#src/kernel/log";
import { people } from "../../../test/kit/people.ts";
import { sessionKit, type SessionKit } from "../../../test/kit/sessions.ts";
import { until } from "../../../test/kit/until.ts";
import { GateMemory } from "./gate-memory.ts";
import { selectSessionState } from "./gate.sql.ts";
import { createGate } from "./gate.ts";
import { createRecordUse } from "./record-use.ts";
import { SeenSessions } from "./seen-sessions.ts";

/** Sessions of one person that were last seen an hour ago. */
async function idleSessions(kit: SessionKit, count: number): Promise<string[]> {
  const { ann } = await people(kit.db, { ann: {} });
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) ids.push((await kit.begin(ann)).session.id);
  await affected(kit.db, sql`update sessions set last_seen_at = now() - interval '1 hour'`);
  return ids;
}

/** How many seconds ago each was last seen, in the order of their making. */
async function agesOf(kit: SessionKit): Promise<number[]> {
  const found = await rows<{ age: number }>(
    kit.db,
    sql`select extract(epoch from now() - last_seen_at)::float8 as age from sessions order by created_at`,
  );
  return found.map(({ age }) => age);
}

/** A clock that can be put forward. */
function movableClock(): Clock & { readonly forward: (seconds: number) => void } {
  let aheadMs = 0;
  return {
    now: systemClock.now,
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
    forward: (seconds) => {
      aheadMs += seconds * 1_000;
    },
  };
}

describe("sessions that were seen", () => {
  it("cost the requests no statement, and all of them one afterwards", async () => {
    await using kit = await sessionKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    const tokens = [(await kit.begin(ann)).accessToken, (await kit.begin(ann)).accessToken, (await kit.begin(bob)).accessToken];
    await affected(kit.db, sql`update sessions set last_seen_at = now() - interval '1 hour'`);
    const seen = new SeenSessions(kit);
    const memory = new GateMemory({ clock: systemClock, load: (id) => selectSessionState(kit.db, id) });
    const feed = { isFresh: () => true, untilFresh: () => Promise.resolve() };
    const gate = createGate({ tokens: kit.accessTokens, feed, memory, seen, recordUse: createRecordUse(kit), log: silentLog });
    for (const token of tokens) await gate(token, account);
    const before = kit.statements();

    for (let turn = 0; turn < 50; turn += 1) for (const token of tokens) await gate(token, account);
    expect(kit.statements() - before).toBe(0);

    await seen.write();
    expect(kit.statements() - before).toBe(1);
    expect((await agesOf(kit)).filter((age) => age < 5)).toHaveLength(3);
  });

  it("are not those that the gate refused", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const { accessToken } = await kit.begin(ann);
    const seen = new SeenSessions(kit);
    const memory = new GateMemory({ clock: systemClock, load: (id) => selectSessionState(kit.db, id) });
    const feed = { isFresh: () => true, untilFresh: () => Promise.resolve() };
    const gate = createGate({ tokens: kit.accessTokens, feed, memory, seen, recordUse: createRecordUse(kit), log: silentLog });

    await expect(gate(accessToken, { kind: "account", role: "admin" })).rejects.toMatchObject({ code: "access.denied" });

    expect(seen.waiting).toBe(0);
  });

  it("are written at most once a minute, whichever process saw them", async () => {
    await using kit = await sessionKit();
    const [id = ""] = await idleSessions(kit, 1);
    const clock = movableClock();
    const [one, other] = [new SeenSessions({ ...kit, clock }), new SeenSessions(kit)];
    const lastSeen = (): Promise<object[]> => rows(kit.db, sql`select last_seen_at from sessions`);
    one.note(id);
    await one.write();
    const first = await lastSeen();

    // Another process, or this one after a restart: the statement leaves it.
    other.note(id);
    await other.write();
    expect(await lastSeen()).toEqual(first);

    // This process knows by itself, and asks nothing.
    clock.forward(59);
    one.note(id);
    const before = kit.statements();
    await one.write();
    expect(kit.statements()).toBe(before);

    clock.forward(2);
    one.note(id);
    await affected(kit.db, sql`update sessions set last_seen_at = last_seen_at - interval '61 seconds'`);
    await one.write();
    expect((await agesOf(kit))[0]).toBeLessThan(5);
  });

  it("are written with the moment of their use, not that of the writing, and never put back", async () => {
    await using kit = await sessionKit();
    const ids = await idleSessions(kit, 2);
    const clock = movableClock();
    const seen = new SeenSessions({ ...kit, clock });
    for (const id of ids) seen.note(id);
    clock.forward(600);
    await affected(kit.db, sql`update sessions set last_seen_at = now() where id = ${ids[1]}::uuid`);

    await seen.write();

    const [used = 0, newer = 0] = await agesOf(kit);
    expect(used).toBeGreaterThan(599);
    expect(used).toBeLessThan(610);
    expect(newer).toBeLessThan(5);
  });

  it("are written by themselves, and the rest when the process stops", async () => {
    await using kit = await sessionKit();
    const [first = "", second = ""] = await idleSessions(kit, 2);
    const quick = new SeenSessions({ ...kit, everyMs: 20 });
    quick.start();
    quick.note(first);
    await until(async () => ((await agesOf(kit))[0] ?? 0) < 5);
    await quick.stop();

    const slow = new SeenSessions(kit);
    slow.start();
    slow.note(second);
    await slow.stop();

    expect((await agesOf(kit))[1]).toBeLessThan(5);
  });

  it("are not lost where the database fails: that is logged, and the next write has them", async () => {
    await using kit = await sessionKit();
    const [first = "", second = ""] = await idleSessions(kit, 2);
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (_, message) => void warnings.push(message) };
    const clock = movableClock();
    const seen = new SeenSessions({ ...kit, clock, log });
    seen.note(first);
    await affected(kit.db, sql`alter table sessions rename to sessions_away`);

    await seen.write();
    expect(warnings).toEqual(["when sessions were last seen could not be written; it is tried again"]);
    expect(seen.waiting).toBe(1);

    clock.forward(30);
    seen.note(second);
    await affected(kit.db, sql`alter table sessions_away rename to sessions`);
    await seen.write();

    const [used = 0, later = 0] = await agesOf(kit);
    expect([used > 29 && used < 40, later < 5]).toEqual([true, true]);
    expect([warnings.length, seen.waiting]).toEqual([1, 0]);
  });

  it("wait for nobody who holds one of them", async () => {
    await using kit = await sessionKit();
    const [held = "", free = ""] = await idleSessions(kit, 2);
    const seen = new SeenSessions(kit);
    for (const id of [held, free]) seen.note(id);

    await inTx(kit.db, async (tx) => {
      await affected(tx, sql`select 1 from sessions where id = ${held}::uuid for update`);
      await seen.write();
    });

    const [stays = 0, written = 0] = await agesOf(kit);
    expect([stays > 3_000, written < 5]).toEqual([true, true]);
  });

  it("are a bounded number", async () => {
    await using kit = await sessionKit();
    const seen = new SeenSessions({ ...kit, capacity: 2 });

    for (const id of ["a", "b", "c", "a"]) seen.note(id);

    expect(seen.waiting).toBe(2);
  });
});
