import { describe, expect, it } from "@jest/globals";
import pg from "pg";
import { affected, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { setStatus } from "#src/features/accounts/public";
import { account, type Access, type Gate } from "#src/kernel/actor";
import { systemClock, type Clock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { people } from "../../../test/kit/people.ts";
import { sessionKit, type SessionKit } from "../../../test/kit/sessions.ts";
import { until } from "../../../test/kit/until.ts";
import { codeOf } from "../../../test/kit/outcome.ts";
import { RevocationFeed } from "./feed.ts";
import type { Revocation } from "./feed.sql.ts";
import { GateMemory } from "./gate-memory.ts";
import { selectSessionState } from "./gate.sql.ts";
import { createGate } from "./gate.ts";
import { createRecordUse } from "./record-use.ts";
import { announceChange, logout, revokeAll } from "./revoke.ts";

interface Guarded extends AsyncDisposable {
  readonly gate: Gate;
  readonly memory: GateMemory;
  readonly feed: RevocationFeed;
  readonly told: Revocation[];
  readonly resets: () => number;
}

/** One process' gate: its own memory and its own feed. */
function guard(
  kit: SessionKit,
  clock: Clock = systemClock,
  load = (id: string): ReturnType<typeof selectSessionState> => selectSessionState(kit.db, id),
): Guarded {
  const told: Revocation[] = [];
  let resets = 0;
  const memory = new GateMemory({ clock, load });
  const feed = new RevocationFeed({
    databaseUrl: kit.database.url,
    clock,
    log: silentLog,
    listener: {
      revoked: (revocation) => {
        memory.forget(revocation.subject);
        told.push(revocation);
      },
      reset: () => {
        resets += 1;
        memory.forgetAll();
      },
    },
  });
  feed.start();
  const gate = createGate({
    tokens: kit.accessTokens,
    feed,
    memory,
    seen: { note: () => {} },
    recordUse: createRecordUse(kit),
    log: silentLog,
  });
  return { gate, memory, feed, told, resets: () => resets, [Symbol.asyncDispose]: () => feed.stop() };
}

async function impose(kit: SessionKit, userId: string, kind: "ban" | "suspend" | "limit", seconds = 3_600): Promise<void> {
  await inTx(kit.db, async (tx) => {
    await affected(
      tx,
      sql`insert into restrictions (id, user_id, kind, capabilities, reason_policy, reason, message, expires_at)
          values (gen_random_uuid(), ${userId}::uuid, ${kind}, case when ${kind} = 'limit' then array['follow'] else '{}' end, 1, 'spam', 'Stop it', now() + make_interval(secs => ${seconds}))`,
    );
    await setStatus(tx, userId);
    if (kind !== "limit") await revokeAll(tx, userId, "account.restricted");
    else await announceChange(tx, userId);
  });
}

const restrictedToo: Access = { kind: "account", restricted: "allowed" };

describe("session gate", () => {
  it("lets a session through, and from memory after that: one statement for many requests", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    let loads = 0;
    await using guarded = guard(kit, systemClock, (id) => {
      loads += 1;
      return selectSessionState(kit.db, id);
    });
    const { accessToken } = await kit.begin(ann);

    const actors = await Promise.all(Array.from({ length: 20 }, () => guarded.gate(accessToken, account)));
    await guarded.gate(accessToken, account);

    expect(actors[0]).toMatchObject({ userId: ann.id, role: "user", restricted: false });
    expect(loads).toBe(1);
  });

  it("refuses a banned account's token on every process, with the notice, before it says that the session is revoked", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await using one = guard(kit);
    await using other = guard(kit);
    const { accessToken } = await kit.begin(ann);
    await Promise.all([one.gate(accessToken, account), other.gate(accessToken, account)]);

    await impose(kit, ann.id, "ban");
    await until(() => one.told.length === 1 && other.told.length === 1);

    const refusal = await one.gate(accessToken, account).catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      code: "account.restricted",
      details: { extensions: { restriction: { kind: "ban", reason: "spam", message: "Stop it" } } },
    });
    expect(await codeOf(other.gate(accessToken, restrictedToo))).toBe("account.restricted");
  });

  it("keeps old sessions over after the restriction has ended, with no worker running", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await using guarded = guard(kit);
    const { accessToken } = await kit.begin(ann);
    await guarded.gate(accessToken, account);
    await impose(kit, ann.id, "suspend", 2);
    await until(() => guarded.told.length === 1);
    expect(await codeOf(guarded.gate(accessToken, account))).toBe("account.restricted");

    await until(async () => (await codeOf(guarded.gate(accessToken, account))) === "session.revoked");

    expect(await codeOf(guarded.gate((await kit.begin(ann)).accessToken, account))).toBe("ok");
  });

  it("cuts a planned suspension's sessions off at its start, and for good", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await using guarded = guard(kit);
    const { accessToken } = await kit.begin(ann);
    await inTx(kit.db, async (tx) => {
      await affected(
        tx,
        sql`insert into restrictions (id, user_id, kind, reason_policy, reason, starts_at, expires_at)
            values (gen_random_uuid(), ${ann.id}::uuid, 'suspend', 1, 'spam', now() + interval '1 s', now() + interval '3 s')`,
      );
      await setStatus(tx, ann.id);
      await announceChange(tx, ann.id);
    });
    expect(await codeOf(guarded.gate(accessToken, account))).toBe("ok");

    await until(async () => (await codeOf(guarded.gate(accessToken, account))) === "account.restricted");
    await until(async () => (await codeOf(guarded.gate(accessToken, account))) === "session.revoked");
  });

  it("serves nothing from memory when the process was frozen: it waits for a read sent after it woke", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    let sleptMs = 0;
    const clock: Clock = { now: systemClock.now, monotonicMs: () => systemClock.monotonicMs() + sleptMs };
    await using guarded = guard(kit, clock);
    const { accessToken } = await kit.begin(ann);
    await guarded.gate(accessToken, account);
    await impose(kit, ann.id, "ban");

    sleptMs += 10_000;

    expect(await codeOf(guarded.gate(accessToken, account))).toBe("account.restricted");
  });

  it("answers 503 and asks the database nothing while the feed cannot be read, and recovers by itself", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    let loads = 0;
    await using guarded = guard(kit, systemClock, (id) => {
      loads += 1;
      return selectSessionState(kit.db, id);
    });
    const { accessToken } = await kit.begin(ann);
    await guarded.gate(accessToken, account);
    const admin = new pg.Client({ connectionString: kit.database.adminUrl });
    await admin.connect();
    try {
      // A lock on its table keeps every read of the feed waiting.
      await admin.query("begin; lock table revocations in access exclusive mode");
      await until(() => !guarded.feed.isFresh());
      const codes = await Promise.all(Array.from({ length: 30 }, () => codeOf(guarded.gate(accessToken, account))));
      expect(new Set(codes)).toEqual(new Set(["service.busy"]));
      expect(loads).toBe(1);
      await admin.query("commit");
      await until(async () => (await codeOf(guarded.gate(accessToken, account))) === "ok");
    } finally {
      await admin.end();
    }
  });

  it("does not hold it against the database, nor against who asks, that this process stood still", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await using guarded = guard(kit);
    const { accessToken } = await kit.begin(ann);
    await guarded.gate(accessToken, account);
    await using looking = await superuser(kit);
    const reader = async (): Promise<unknown[]> =>
      (
        await looking.client.query(
          "select pid from pg_stat_activity where application_name = 'user-service feed' and datname = current_database()",
        )
      ).rows;
    const before = await reader();

    standStill(600);
    const asked = codeOf(guarded.gate(accessToken, account));
    // The read it waits for is sent before we stand still again.
    await new Promise((resolve) => setImmediate(resolve));
    standStill(1_500);

    expect(await asked).toBe("ok");
    expect([await reader(), guarded.resets()]).toEqual([before, 1]);
  });

  it("hears of a transaction that took its number early and committed late, once, without NOTIFY", async () => {
    await using kit = await sessionKit();
    const { ann, bob } = await people(kit.db, { ann: {}, bob: {} });
    await using guarded = guard(kit);
    await until(() => guarded.feed.isFresh());
    const late = new pg.Client({ connectionString: kit.database.adminUrl });
    await late.connect();
    try {
      await late.query("begin");
      await late.query("insert into revocations (subject, reason) values ($1, 'account.restricted')", [ann.id]);
      await inTx(kit.db, (tx) => revokeAll(tx, bob.id, "logged_out_everywhere"));
      await until(() => guarded.told.length === 1);
      await late.query("commit");
      await until(() => guarded.told.length === 2);
    } finally {
      await late.end();
    }
    await inTx(kit.db, (tx) => revokeAll(tx, bob.id, "logged_out_everywhere"));
    await until(() => guarded.told.length === 3);

    expect(guarded.told.map((revocation) => revocation.subject)).toEqual([bob.id, ann.id, bob.id]);
  });

  it("loses nothing when its connection is cut", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await using guarded = guard(kit);
    await until(() => guarded.feed.isFresh());
    await using cutter = await superuser(kit);

    await cutter.client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'user-service feed' and datname = current_database()",
    );
    await inTx(kit.db, (tx) => revokeAll(tx, ann.id, "logged_out_everywhere"));

    await until(() => guarded.told.some((revocation) => revocation.subject === ann.id));
    // Everyone is looked at anew besides: what the server forgot in a crash cannot be told.
    await until(() => guarded.resets() === 2);
  });

  it("looks at everyone anew when the database is another one than before", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await using guarded = guard(kit);
    const { accessToken } = await kit.begin(ann);
    await guarded.gate(accessToken, account);
    await using cutter = await superuser(kit);

    await cutter.client.query("update feed_epoch set epoch = gen_random_uuid()");
    await cutter.client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'user-service feed' and datname = current_database()",
    );

    await until(() => guarded.resets() === 2);
    expect(guarded.memory.size).toBe(0);
  });

  it("throws away a fill that began before a revocation was read", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    const { accessToken, session } = await kit.begin(ann);
    const stale = await selectSessionState(kit.db, session.id);
    const release = Promise.withResolvers<undefined>();
    let loads = 0;
    await using guarded = guard(kit, systemClock, async (id) => {
      loads += 1;
      if (loads > 1) return await selectSessionState(kit.db, id);
      await release.promise;
      return stale;
    });
    const answer = codeOf(guarded.gate(accessToken, account));
    await until(() => loads === 1);

    await impose(kit, ann.id, "ban");
    await until(() => guarded.told.length === 1);
    release.resolve(undefined);

    expect(await answer).toBe("account.restricted");
    expect(await codeOf(guarded.gate(accessToken, account))).toBe("account.restricted");
  });

  it("refuses at once on the process that ended the session, once it has answered", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await using guarded = guard(kit);
    for (let time = 0; time < 10; time += 1) {
      const { accessToken } = await kit.begin(ann);
      const actor = await guarded.gate(accessToken, account);
      if (actor === undefined) throw new Error("no actor");

      await logout(kit, actor);
      await guarded.feed.settled();

      expect(await codeOf(guarded.gate(accessToken, account))).toBe("session.revoked");
    }
  });

  it("ends a session that logs out, and no other", async () => {
    await using kit = await sessionKit();
    const { ann } = await people(kit.db, { ann: {} });
    await using guarded = guard(kit);
    const [phone, laptop] = [await kit.begin(ann), await kit.begin(ann)];
    const actor = await guarded.gate(phone.accessToken, account);
    if (actor === undefined) throw new Error("no actor");

    await logout(kit, actor);
    await until(() => guarded.told.length === 1);

    expect(await codeOf(guarded.gate(phone.accessToken, account))).toBe("session.revoked");
    expect(await codeOf(guarded.gate(laptop.accessToken, account))).toBe("ok");
  });
});

/** Nothing of this process runs for so long. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function superuser(kit: SessionKit): Promise<AsyncDisposable & { readonly client: pg.Client }> {
  const client = new pg.Client({ connectionString: kit.database.adminUrl });
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end() };
}
