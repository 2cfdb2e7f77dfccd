/** Relay processes killed and frozen for real: nothing lost, each user in order, repeats with the same id only. Short here; SOAK=1 goes on for 2 minutes. */

import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { userUnfollowed } from "#src/contract/event-types";
import { row, rows, sql } from "#src/db/sql";
import { delay } from "#src/kernel/clock";
import { append, eventDatabase, fillOutbox, type EventDatabase } from "../kit/event-loop.ts";
import { startService, type RunningProgram } from "../kit/process.ts";
import { until } from "../kit/until.ts";

const ENTRY = fileURLToPath(new URL("./relay-process.ts", import.meta.url));
const FEWEST_KILLS = 5;
/** Of one subject. */
const MOST_WAITING = 100;
const FAULTS_MS = process.env["SOAK"] === "1" ? 120_000 : 5_000;

async function chaosDatabase(subjects: number): Promise<EventDatabase> {
  const database = await eventDatabase(subjects);
  for (const table of ["applied", "seen"]) {
    await database.db.raw(`create table ${table} (place bigserial, event_id uuid, subject uuid, version bigint)`);
  }
  return database;
}

async function startRelay(database: EventDatabase, env: Readonly<Record<string, string>> = {}): Promise<RunningProgram> {
  const relay = await startService({ entry: ENTRY, env: { DATABASE_URL: database.url, ...env } });
  if (env["DIE_AT"] === undefined) await relay.line(/relaying/);
  return relay;
}

/** Holds what must be true at the end of any of these: every event applied once, in order, known by one id. */
async function expectAllApplied({ db }: EventDatabase): Promise<void> {
  await until(async () => (await row(db, sql`select 1 from outbox where done_at is null limit 1`)) === undefined, {
    withinMs: 20_000,
    what: "every event to be done",
  });
  const lost = await rows(db, sql`select o.id from outbox o where not exists (select from applied a where a.event_id = o.id)`);
  expect(lost).toEqual([]);
  const outOfOrder = await rows(
    db,
    sql`select * from (
          select subject, version, lag(version, 1, 0::bigint) over (partition by subject order by place) as before from applied
        ) steps where version <> before + 1`,
  );
  expect(outOfOrder).toEqual([]);
  const renamed = await rows(db, sql`select subject, version from seen group by 1, 2 having count(distinct event_id) > 1`);
  expect(renamed).toEqual([]);
}

/** Relays that are killed all the time get on more slowly than can be written: what waited after minutes would take minutes. */
async function untilFew({ db }: EventDatabase, subject: string): Promise<void> {
  const waiting = async (): Promise<number> =>
    (await row<{ count: number }>(db, sql`select count(*)::int as count from outbox where subject = ${subject}::uuid and done_at is null`))
      ?.count ?? 0;
  await until(async () => (await waiting()) < MOST_WAITING, { withinMs: FAULTS_MS + 30_000, everyMs: 50, what: "one's events to get out" });
}

describe("relays on one outbox", () => {
  it(
    "lose nothing and keep each user's order while they are killed at random",
    async () => {
      await using database = await chaosDatabase(20);
      await using stack = new AsyncDisposableStack();
      const relays = [stack.use(await startRelay(database)), stack.use(await startRelay(database))];
      const beganMs = performance.now();
      let kills = 0;
      const isOver = (): boolean => kills >= FEWEST_KILLS && performance.now() - beganMs > FAULTS_MS;
      const killing = (async () => {
        while (!isOver()) {
          await delay(50 + Math.random() * 300);
          const index = Math.floor(Math.random() * relays.length);
          relays[index]?.signal("SIGKILL");
          await relays[index]?.exited;
          kills += 1;
          relays[index] = stack.use(await startRelay(database));
        }
      })();
      const writing = database.subjects.map(async (subject, index) => {
        for (let version = 1; !isOver(); version += 1) {
          await append(database.db, userUnfollowed, [
            { subject, data: { followerId: subject, followeeId: subject, edgeVersion: version } },
          ]);
          await delay(Math.random() * (index < 3 ? 5 : 60));
          if (version % MOST_WAITING === 0) await untilFew(database, subject);
        }
      });
      await Promise.all([killing, ...writing]);
      await expectAllApplied(database);
    },
    FAULTS_MS + 60_000,
  );

  it.each([
    ["after claiming and before publishing", "before-publish", 0],
    ["after the event was applied and before its receipt was marked", "before-receipt", 1],
  ])("make up for one that dies %s", async (_name, place, repeats) => {
    await using database = await chaosDatabase(3);
    await fillOutbox(database.db, database.subjects, 3);
    await using dying = await startRelay(database, { DIE_AT: place });
    expect(await dying.exited).toEqual({ code: null, signal: "SIGKILL" });
    await using _other = await startRelay(database);
    await expectAllApplied(database);
    const seen = await row<{ repeats: number }>(database.db, sql`select count(*) - count(distinct event_id) as repeats from seen`);
    expect(seen?.repeats).toBeGreaterThanOrEqual(repeats);
  });

  it("go on without one that stands still past its lease, and are not disturbed when it wakes", async () => {
    await using database = await chaosDatabase(20);
    await using first = await startRelay(database);
    await fillOutbox(database.db, database.subjects, 30);
    await until(async () => row(database.db, sql`select 1 from applied limit 1`));
    first.signal("SIGSTOP");
    const held = await row<{ held: number }>(database.db, sql`select count(*) as held from outbox where done_at is null and fence > 0`);
    await using _second = await startRelay(database);
    await expectAllApplied(database);
    first.signal("SIGCONT");
    await fillOutbox(database.db, database.subjects, 10);
    await expectAllApplied(database);
    // What the frozen one held was taken from it.
    const taken = await row<{ taken: number }>(database.db, sql`select count(*) as taken from outbox where fence > 1`);
    expect(taken?.taken).toBeGreaterThanOrEqual(Math.min(1, held?.held ?? 0));
    expect(await first.stop()).toEqual({ code: 0, signal: null });
  });
});
