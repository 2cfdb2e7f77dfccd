import { expect, it } from "@jest/globals";
import { silentLog } from "#src/kernel/log";
import { cloneDatabase } from "../../test/kit/database.ts";
import { startTcpProxy } from "../../test/kit/tcp-proxy.ts";
import { until } from "../../test/kit/until.ts";
import { closeDb, openDb, poolFigures, warmUp } from "./pool.ts";
import { rows, sql } from "./sql.ts";
import { inTx } from "./tx.ts";

it("compiles no statement, on whichever connection", async () => {
  await using database = await cloneDatabase();
  const db = openDb({ url: database.url, maxConnections: 3, applicationName: "test", log: silentLog });
  const asked = Array.from({ length: 3 }, () => rows(db, sql`select current_setting('jit') as jit from pg_sleep(0.05)`));
  expect(await Promise.all(asked)).toEqual(Array.from({ length: 3 }, () => [{ jit: "off" }]));
  await closeDb(db);
});

it("closes when what runs has ended, and not before", async () => {
  await using database = await cloneDatabase();
  const db = openDb({ url: database.url, maxConnections: 2, applicationName: "test", log: silentLog });
  const ended: string[] = [];
  const began = Promise.withResolvers<void>();
  const transaction = inTx(db, async (tx) => {
    await rows(tx, sql`create table kept as select 42 as answer`);
    began.resolve();
    await rows(tx, sql`select pg_sleep(0.2)`);
  }).then(() => ended.push("the transaction"));
  await began.promise;
  await closeDb(db).then(() => ended.push("the pool"));
  await transaction;
  expect(ended).toEqual(["the transaction", "the pool"]);
  const again = openDb({ url: database.url, maxConnections: 1, applicationName: "test", log: silentLog });
  expect(await rows(again, sql`select answer from kept`)).toEqual([{ answer: 42 }]);
  await closeDb(again);
});

it("is warm although a connection took longer than a caller waits for one", async () => {
  await using database = await cloneDatabase();
  const url = new URL(database.url);
  await using proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
  url.port = String(proxy.port);
  const db = openDb({ url: url.href, maxConnections: 3, applicationName: "test", log: silentLog, acquireTimeoutMs: 1_000 });
  proxy.holdAnswers(true);
  const warming = warmUp(db);
  await until(() => proxy.connections === 2, { what: "another try" });
  proxy.holdAnswers(false);
  await warming;
  expect(poolFigures(db)).toEqual({ total: 3, idle: 3, waiting: 0 });
  await closeDb(db);
});
