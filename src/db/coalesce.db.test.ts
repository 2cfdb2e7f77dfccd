import { describe, expect, it } from "@jest/globals";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase } from "../../test/kit/database.ts";
import { coalesced } from "./coalesce.ts";
import { closeDb, openDb, type Db } from "./pool.ts";
import { affected, rows, sql } from "./sql.ts";
import { inTx } from "./tx.ts";

interface Word {
  readonly word: string;
  readonly length: number;
}

async function withDb(work: (db: Db) => Promise<void>): Promise<void> {
  await using database = await cloneDatabase();
  const db = openDb({ url: database.url, maxConnections: 4, applicationName: "test", log: silentLog });
  try {
    await work(db);
  } finally {
    await closeDb(db);
  }
}

function reader(): { readonly read: (db: Db, key: string) => Promise<Word | undefined>; readonly batches: number[] } {
  const batches: number[] = [];
  const read = coalesced<Word>(async (db, keys) => {
    batches.push(keys.length);
    const found = await rows<Word>(
      db,
      sql`select word, length(word) as length from unnest(${keys}::text[]) as word where word <> 'absent'`,
    );
    return new Map(found.map((one) => [one.word, one]));
  });
  return { read, batches };
}

describe("coalesced reads", () => {
  it("answer everybody who asks at once by few statements, each with their own row", async () => {
    await withDb(async (db) => {
      const { read, batches } = reader();
      const keys = Array.from({ length: 500 }, (_, index) => "x".repeat(1 + (index % 100)));

      const found = await Promise.all(keys.map((key) => read(db, key)));

      expect(found.map((one) => one?.length)).toEqual(keys.map((key) => key.length));
      expect(batches.length).toBeLessThanOrEqual(4);
    });
  });

  it("say of what is not there that it is not", async () => {
    await withDb(async (db) => {
      const { read } = reader();
      expect(await Promise.all([read(db, "absent"), read(db, "there")])).toEqual([undefined, { word: "there", length: 5 }]);
    });
  });

  it("see what was committed before they were asked for, also while others run", async () => {
    await withDb(async (db) => {
      await inTx(db, (tx) => affected(tx, sql`create table counters (name text primary key, value integer not null)`));
      await inTx(db, (tx) => affected(tx, sql`insert into counters values ('one', 0)`));
      const read = coalesced<{ name: string; value: number }>(async (on, keys) => {
        const found = await rows<{ name: string; value: number }>(
          on,
          sql`select name, value from counters, pg_sleep(0.01) where name = any (${keys}::text[])`,
        );
        return new Map(found.map((one) => [one.name, one]));
      });
      for (let value = 1; value <= 20; value += 1) {
        const early = [1, 2, 3].map(() => read(db, "one"));
        await inTx(db, (tx) => affected(tx, sql`update counters set value = ${value}`));
        expect((await read(db, "one"))?.value).toBe(value);
        await Promise.all(early);
      }
    });
  });

  it("fail together with their statement, and go on after it", async () => {
    await withDb(async (db) => {
      let broken = true;
      const read = coalesced<Word>(async (on, keys) => {
        if (broken) await rows(on, sql`select 1 / 0`);
        return new Map(keys.map((word) => [word, { word, length: word.length }]));
      });

      const outcomes = await Promise.allSettled([read(db, "a"), read(db, "b")]);
      broken = false;

      expect(outcomes.map((outcome) => outcome.status)).toEqual(["rejected", "rejected"]);
      expect(await read(db, "a")).toEqual({ word: "a", length: 1 });
    });
  });
});
