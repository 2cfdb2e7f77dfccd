/** One trace through statements, outbox, relay and sidecar, on a real database and a collector. */

import { describe, expect, it } from "@jest/globals";
import { userUnfollowed } from "#src/contract/event-types";
import { coalesced } from "#src/db/coalesce";
import type { Db } from "#src/db/pool";
import { row, rows, sql } from "#src/db/sql";
import { inTx } from "#src/db/tx";
import { silentLog } from "#src/kernel/log";
import { withRemoteTrace, type SpanSpec } from "#src/kernel/trace";
import type { CloudEvent } from "#src/sidecar/port";
import { startTracing, type Tracing } from "#src/telemetry/tracing";
import { append, eventDatabase, startEventLoop } from "../../test/kit/event-loop.ts";
import { startOtlpCollector, type OtlpCollector } from "../../test/kit/otlp-collector.ts";
import { until } from "../../test/kit/until.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER = `00-${TRACE}-00f067aa0ba902b7-01`;
const request: SpanSpec = { name: "POST /x", kind: "server" };

async function tracingTo(collector: OtlpCollector): Promise<Tracing> {
  return await startTracing({
    tracesUrl: collector.tracesUrl,
    headers: undefined,
    serviceName: "test",
    serviceVersion: "1",
    sampledShare: 1,
    exportDelayMs: 10,
    log: silentLog,
  });
}

/** One event about `subject`, caused by the traced request. */
async function cause(db: Db, subject: string): Promise<void> {
  const data = { followerId: subject, followeeId: subject, edgeVersion: 1 };
  await withRemoteTrace(CALLER, request, () => append(db, userUnfollowed, [{ subject, data }]));
}

/** What reached the sidecar. */
async function publishedBy(db: Db): Promise<CloudEvent> {
  const seen: CloudEvent[] = [];
  const publish = async (_topic: string, event: CloudEvent): Promise<void> => void seen.push(event);
  await using _loop = startEventLoop(db, { publish: () => publish });
  return await until(() => seen[0], { what: "an event at the sidecar" });
}

describe("a traced request", () => {
  it("shows its transaction, its statements and the publish of its event below each other", async () => {
    await using database = await eventDatabase(1);
    await using collector = await startOtlpCollector();
    await using tracing = await tracingTo(collector);
    const [subject = ""] = database.subjects;
    await cause(database.db, subject);
    const event = await publishedBy(database.db);
    await tracing.stop();

    const [server, transaction, statement, publish] = [
      await collector.span("the request", (span) => span.kind === "server"),
      await collector.span("the transaction", (span) => span.name === "transaction"),
      await collector.span("the statement", (span) => span.name === "INSERT user_versions outbox"),
      await collector.span("the publish", (span) => span.kind === "producer"),
    ];
    expect(collector.spans.map((span) => span.traceId)).toEqual(collector.spans.map(() => TRACE));
    expect(transaction.parentSpanId).toBe(server.spanId);
    expect(statement).toMatchObject({
      kind: "client",
      parentSpanId: transaction.spanId,
      attributes: { "db.system.name": "postgresql", "db.query.summary": "INSERT user_versions outbox" },
    });
    expect(publish).toMatchObject({
      name: "publish users.v1",
      // The statement wrote the row, but what caused the event is the transaction it is part of.
      parentSpanId: transaction.spanId,
      attributes: { "messaging.message.id": event.id, "messaging.destination.name": "users.v1", "messaging.operation.type": "send" },
    });
    expect(event.traceparent).toBe(`00-${TRACE}-${publish.spanId}-01`);
    expect(JSON.stringify(collector.spans, (_, value: unknown) => (typeof value === "bigint" ? 0 : value))).not.toContain(subject);
  });

  it("makes no traces of what polls the database", async () => {
    await using database = await eventDatabase(1);
    await using collector = await startOtlpCollector();
    await using tracing = await tracingTo(collector);
    const loop = startEventLoop(database.db);
    for (let round = 0; round < 20; round += 1) await row(database.db, sql`select 1 as one`);
    await loop[Symbol.asyncDispose]();
    await tracing.stop();
    expect(collector.spans).toEqual([]);
  });

  it("marks the statement that failed, without what PostgreSQL says of it", async () => {
    await using database = await eventDatabase(1);
    await using collector = await startOtlpCollector();
    await using tracing = await tracingTo(collector);
    const again = sql`insert into users (id, username, email, display_name) select id, username, email, 'ann@example.com' from users`;
    const doubled = withRemoteTrace(CALLER, request, () => inTx(database.db, (tx) => rows(tx, again)));
    await expect(doubled).rejects.toThrow();
    await tracing.stop();
    const failed = await collector.span("the statement", (span) => span.kind === "client");
    expect(failed).toMatchObject({ isError: true, statusMessage: "", events: 0, attributes: { "error.type": "23505" } });
  });

  it("shows a statement that callers share in the trace of each of them, and the next in that of its own", async () => {
    await using database = await eventDatabase(3);
    await using collector = await startOtlpCollector();
    await using tracing = await tracingTo(collector);
    const nameOf = coalesced<{ id: string; username: string }>(async (db, ids) => {
      const found = await rows<{ id: string; username: string }>(db, sql`select id, username from users where id = any (${ids}::uuid[])`);
      return new Map(found.map((user) => [user.id, user]));
    });
    const asking = database.subjects.map((id) => withRemoteTrace(undefined, request, () => nameOf(database.db, id)));
    const found = await Promise.all([...asking, ...asking, nameOf(database.db, database.subjects[0] ?? "")]);
    expect(found.every((user) => user !== undefined)).toBe(true);
    await tracing.stop();
    const statements = collector.spans.filter((span) => span.kind === "client");
    const requests = collector.spans.filter((span) => span.kind === "server");
    expect(requests).toHaveLength(3);
    expect(statements.map((span) => span.parentSpanId).toSorted()).toEqual(requests.map((span) => span.spanId).toSorted());
  });
});

describe("without a collector", () => {
  it("the event still joins the trace of the caller, and has none where the caller had none", async () => {
    await using database = await eventDatabase(2);
    const [traced = "", untraced = ""] = database.subjects;
    await cause(database.db, traced);
    expect((await publishedBy(database.db)).traceparent).toBe(CALLER);
    await append(database.db, userUnfollowed, [
      { subject: untraced, data: { followerId: untraced, followeeId: untraced, edgeVersion: 1 } },
    ]);
    expect(await row(database.db, sql`select traceparent from outbox where subject = ${untraced}::uuid`)).toEqual({ traceparent: null });
  });
});
