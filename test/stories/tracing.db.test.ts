/** One trace through every process: from a request of REST, GraphQL or a socket to the consumer, seen by a collector. */

import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { cloneDatabase, type TestDatabase } from "../kit/database.ts";
import { startOtlpCollector, type OtlpCollector } from "../kit/otlp-collector.ts";
import type { CollectedSpan } from "../kit/otlp-spans.ts";
import { registerPeople, startApiProcess, type ApiProcess, type SignedIn } from "../kit/service.ts";

const CALLERS_SPAN = "00f067aa0ba902b7";

/** A caller with a trace of its own. */
function caller(flags: "00" | "01"): { readonly traceId: string; readonly headers: Record<string, string> } {
  const traceId = randomBytes(16).toString("hex");
  return { traceId, headers: { traceparent: `00-${traceId}-${CALLERS_SPAN}-${flags}`, tracestate: "vendor=secret" } };
}

const stack = new AsyncDisposableStack();
let database: TestDatabase;
let collector: OtlpCollector;
let api: ApiProcess;
let ann: SignedIn;
let bob: SignedIn;

beforeAll(async () => {
  database = stack.use(await cloneDatabase());
  collector = stack.use(await startOtlpCollector());
  api = stack.use(await tracedApi(collector));
  ({ ann, bob } = await registerPeople(api.http, ["ann", "bob"]));
});
afterAll(() => stack.disposeAsync());

async function tracedApi(to: OtlpCollector): Promise<ApiProcess> {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: to.url, OTEL_SERVICE_NAME: "story", OTEL_BSP_SCHEDULE_DELAY: "20" };
  return await startApiProcess({ database, env });
}

/** Ann begins or ends to follow bob: either has an event. */
async function change(method: "POST" | "DELETE", headers: Record<string, string>): Promise<void> {
  const { status } = await api.http.send(method, `/api/users/${bob.id}/follow`, { token: ann.accessToken, headers });
  expect(status).toBeLessThan(300);
}

/** The names of this span and those above it that are ours. */
function upwards(spans: readonly CollectedSpan[], from: CollectedSpan): string[] {
  const parent = spans.find((span) => span.spanId === from.parentSpanId);
  return [from.name, ...(parent === undefined ? [] : upwards(spans, parent))];
}

const wholeText = (): string => JSON.stringify(collector.spans, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));

describe("one trace", () => {
  it("goes from a REST request through transaction, statements, outbox and publish to the consumer", async () => {
    const { traceId, headers } = caller("01");
    await change("POST", headers);
    const inTrace = (span: CollectedSpan): boolean => span.traceId === traceId;
    const consumed = await collector.span("the consumer", (span) => inTrace(span) && span.kind === "consumer");
    const server = await collector.span("the request", (span) => inTrace(span) && span.kind === "server");
    const way = ["process users.v1", "publish users.v1", "transaction", "POST /api/users/:id/follow"];
    expect(upwards(collector.spans, consumed)).toEqual(way);
    expect(server).toMatchObject({
      service: "story",
      parentSpanId: CALLERS_SPAN,
      attributes: {
        "http.request.method": "POST",
        "http.route": "/api/users/:id/follow",
        "http.response.status_code": 200,
        "enduser.id": ann.id,
      },
    });
    const statements = collector.spans.filter((span) => inTrace(span) && span.kind === "client").map((span) => span.name);
    expect(statements).toContain("INSERT user_versions outbox");
  });

  it("is named by refusals, as the span names the refusal", async () => {
    const answer = await api.http.get<{ traceId: string; code: string }>("/api/users/me");
    expect(answer.status).toBe(401);
    const span = await collector.span("the refused request", (one) => one.traceId === answer.body.traceId);
    expect(span).toMatchObject({ name: "GET /api/users/me", isError: false, parentSpanId: "" });
    expect(span.attributes).toMatchObject({ "http.response.status_code": 401, "problem.code": answer.body.code });
  });

  it("shows a GraphQL operation by its type, and its statements below it", async () => {
    const { traceId, headers } = caller("01");
    const body = { query: "query Annabel { me { id username } }" };
    expect((await api.http.send("POST", "/graphql", { token: ann.accessToken, body, headers })).status).toBe(200);
    const operation = await collector.span("the operation", (span) => span.traceId === traceId && span.name === "query");
    expect(operation.attributes).toEqual({ "graphql.operation.type": "query", "enduser.id": ann.id });
    await collector.span("the request", (span) => span.name === "POST /graphql" && span.spanId === operation.parentSpanId);
    await collector.span("a statement", (span) => span.kind === "client" && span.parentSpanId === operation.spanId);
  });

  it("begins at each event of a socket", async () => {
    using socket = await api.socket(ann.accessToken);
    await socket.ask("presence:watch", { userIds: [bob.id] });
    await socket.ask("no-such:event", {});
    const watch = await collector.span("the event", (span) => span.name === "socket presence:watch");
    expect(watch).toMatchObject({ kind: "server", parentSpanId: "", attributes: { "enduser.id": ann.id } });
    await collector.span("a statement of it", (span) => span.kind === "client" && span.parentSpanId === watch.spanId);
    const unknown = await collector.span("the unknown event", (span) => span.name === "socket (unknown)");
    expect(unknown.traceId).not.toBe(watch.traceId);
  });

  it("is not recorded when the caller does not record it", async () => {
    const [quiet, loud] = [caller("00"), caller("01")];
    const refused = await api.http.send<{ traceId: string }>("GET", "/api/users/me", { headers: quiet.headers });
    expect(refused.body.traceId).toBe(quiet.traceId);
    await change("DELETE", quiet.headers);
    await change("POST", loud.headers);
    // Events of one person go in order: behind this one, what the other would have told has been told.
    await collector.span("the second event", (span) => span.traceId === loud.traceId && span.kind === "consumer");
    expect(collector.spans.filter((span) => span.traceId === quiet.traceId)).toEqual([]);
  });

  it("is a new one for a traceparent that is none, and probes make none", async () => {
    await api.http.get("/health/ready");
    for (const traceparent of ["00-nonsense", `00-${"0".repeat(32)}-00f067aa0ba902b7-01`, "x".repeat(8_000)]) {
      const answer = await api.http.send<{ traceId: string }>("GET", "/api/users/me", { headers: { traceparent } });
      await collector.span(`a request with ${traceparent.slice(0, 20)}`, (span) => span.traceId === answer.body.traceId);
    }
    expect(collector.spans.filter((span) => span.name.includes("health"))).toEqual([]);
  });

  it("says nothing of people but their ids, and nothing of what clients chose", () => {
    const text = wholeText();
    const words = [bob.id, "@example.com", ann.accessToken, ann.refreshToken, ann.password, "vendor", "127.0.0.1:", "Annabel", "no-such"];
    expect(words.filter((word) => text.includes(word))).toEqual([]);
    expect(collector.spans.every((span) => span.statusMessage === "" && span.events === 0)).toBe(true);
  });
});

describe("the service", () => {
  it("serves as ever while its collector refuses and hangs, and ends in time", async () => {
    await using sick = await startOtlpCollector();
    sick.be("refuse");
    await using process = await tracedApi(sick);
    const me = (): Promise<number> => process.http.get("/api/users/me", ann.accessToken).then(({ status }) => status);
    expect(await me()).toBe(200);
    await process.program.line(/spans cannot be exported/);
    sick.be("hang");
    const statuses = await Promise.all(Array.from({ length: 200 }, me));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await process.stop()).toEqual({ code: 0, signal: null });
    expect(process.program.output.match(/spans cannot be exported/g)).toHaveLength(1);
    expect(process.errors()).toEqual([]);
  }, 60_000);

  it("loads nothing of OpenTelemetry's SDK where no collector is named", async () => {
    const told = `import { registerHooks } from "node:module";
      registerHooks({ load: (url, context, next) => {
        if (/@opentelemetry.(sdk|otlp|exporter)/.test(url)) console.error("loads " + url);
        return next(url, context);
      } });`;
    const env = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(told)}` };
    await using untraced = await startApiProcess({ database, env });
    expect((await untraced.http.get("/api/users/me", ann.accessToken)).status).toBe(200);
    expect(untraced.program.output).not.toContain("loads ");
    // The hook does see it where it is loaded.
    await using traced = await startApiProcess({ database, env: { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
    expect(traced.program.output).toContain("loads ");
  });
});
