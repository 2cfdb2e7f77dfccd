import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase } from "../../test/kit/database.ts";
import { closeDb, openDb, type Db } from "./pool.ts";
import { affected, row, sql } from "./sql.ts";
import { inTx } from "./tx.ts";

describe("statements of one transaction that are sent together", () => {
  const stack = new AsyncDisposableStack();
  let db: Db;

  beforeAll(async () => {
    const database = stack.use(await cloneDatabase());
    db = openDb({ url: database.url, maxConnections: 1, applicationName: "test", log: silentLog });
    stack.defer(() => closeDb(db));
    const admin = openDb({ url: database.adminUrl, maxConnections: 1, applicationName: "test", log: silentLog });
    await affected(admin, sql`create table notes (id int primary key)`);
    await affected(admin, sql`grant all on notes to public`);
    await closeDb(admin);
  });
  afterAll(() => stack.disposeAsync());

  const insert = (tx: Parameters<typeof affected>[0], id: number): Promise<number> =>
    affected(tx, sql`insert into notes values (${id}::int)`);
  const count = async (on: Parameters<typeof affected>[0]): Promise<number | undefined> =>
    (await row<{ count: number }>(on, sql`select count(*)::int as count from notes`))?.count;

  it("run in the order in which they were sent, the same one twice too", async () => {
    const [, before, , after] = await inTx(db, (tx) => Promise.all([insert(tx, 1), count(tx), insert(tx, 2), count(tx)]));
    expect([before, after]).toEqual([1, 2]);
  });

  it("leave nothing behind when one of them fails, and the connection goes on", async () => {
    const failing = inTx(db, (tx) => Promise.all([insert(tx, 3), insert(tx, 3), insert(tx, 4)]));
    await expect(failing).rejects.toMatchObject({ code: "23505" });
    expect(await count(db)).toBe(2);
  });

  it("are taken back by a refusal that does not wait for them", async () => {
    const refused = inTx(db, async (tx) => {
      void insert(tx, 5).catch(() => {});
      await Promise.reject(new Error("refused"));
    });
    await expect(refused).rejects.toThrow("refused");
    expect(await count(db)).toBe(2);
  });

  it.each([
    [true, "on"],
    [false, "off"],
  ])("wait for the disk as the transaction says: %s", async (durable, expected) => {
    const setting = async (on: Parameters<typeof row>[0]): Promise<string | undefined> =>
      (await row<{ is: string }>(on, sql`select current_setting('synchronous_commit') as is`))?.is;
    const byDefault = await setting(db);
    expect(await inTx(db, setting, { durable })).toBe(expected);
    expect(await setting(db)).toBe(byDefault);
  });
});
