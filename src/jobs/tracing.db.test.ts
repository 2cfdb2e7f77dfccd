import { afterEach, expect, it } from "@jest/globals";
import { z } from "zod";
import { closeDb, openDb } from "#src/db/pool";
import { row, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { silentLog } from "#src/kernel/log";
import { installTracer } from "#src/kernel/trace";
import { cloneDatabase } from "../../test/kit/database.ts";
import { until } from "../../test/kit/until.ts";
import { enqueue } from "./enqueue.ts";
import { job } from "./job.ts";
import { createJobRunner } from "./runner.ts";

afterEach(() => installTracer(undefined));

it("makes a trace of each attempt at a job, and none of looking for one", async () => {
  const told: string[] = [];
  installTracer(({ name }, parent) => {
    told.push(parent === undefined ? name : `${name} below ${parent.traceparent}`);
    const span = { traceId: "0af7651916cd43dd8448eb211c80319c", traceparent: name, isOpen: true, rename: () => {}, set: () => {} };
    return Object.assign(span, { fail: (type: string) => void told.push(`failed: ${type}`), end: () => void (span.isOpen = false) });
  });
  await using database = await cloneDatabase();
  const db = openDb({ url: database.url, maxConnections: 4, applicationName: "test", log: silentLog });
  const kind = { kind: "test.look", payload: z.object({}) };
  const look = job({
    ...kind,
    summary: "Looks",
    maxAttempts: 2,
    handle: async (deps: { readonly db: typeof db }, _payload, _signal, { attempt }) => {
      await row(deps.db, sql`select count(*) from users`);
      if (attempt === 1) throw new RangeError("ann@example.com");
    },
  });
  const runner = createJobRunner({
    db,
    deps: { db },
    log: silentLog,
    jobs: [look],
    sweeps: [],
    pollMs: 10,
    retry: { firstMs: 10, mostMs: 20 },
  });
  runner.start();
  await inTx(db, (tx) => enqueue(tx, kind, {}));
  await until(() => runner.figures().done === 1);
  await runner.stop(AbortSignal.timeout(2_000));
  await closeDb(db);
  const attempt = ["job test.look", "SELECT users below job test.look"];
  expect(told).toEqual([...attempt, "failed: RangeError", ...attempt]);
});
