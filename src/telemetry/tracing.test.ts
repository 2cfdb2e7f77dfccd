import { afterEach, describe, expect, it } from "@jest/globals";
import { silentLog, type LogFields } from "#src/kernel/log";
import { Problem, serviceBusy } from "#src/kernel/problem";
import { Secret } from "#src/kernel/secret";
import { currentTraceparent, inSpan, installTracer, isTracing, withRemoteTrace, type SpanSpec } from "#src/kernel/trace";
import { startOtlpCollector } from "../../test/kit/otlp-collector.ts";
import { until } from "../../test/kit/until.ts";
import { parseHeaders, startTracing, type Tracing, type TracingOptions } from "./tracing.ts";

const DEFAULTS = {
  headers: undefined,
  serviceName: "user-service",
  serviceVersion: "1.2.3",
  sampledShare: 1,
  exportDelayMs: 10,
  log: silentLog,
} satisfies Partial<TracingOptions>;
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER = `00-${TRACE}-00f067aa0ba902b7-01`;
const UNSAMPLED = `00-${TRACE}-00f067aa0ba902b7-00`;
const server: SpanSpec = { name: "GET /x", kind: "server", attributes: { "http.response.status_code": 200, ratio: 0.5, yes: true } };
const client: SpanSpec = { name: "SELECT users", kind: "client" };

afterEach(() => installTracer(undefined));

async function request(): Promise<string | undefined> {
  return await withRemoteTrace(CALLER, server, () => inSpan(client, () => Promise.resolve(currentTraceparent())));
}

describe("tracing", () => {
  it("is off, and makes nothing, when no collector is named", async () => {
    await using tracing = await startTracing(undefined);
    expect(tracing.isOn).toBe(false);
    expect(isTracing()).toBe(false);
  });

  it("sends spans with their parents, kinds and attributes", async () => {
    await using collector = await startOtlpCollector();
    await using tracing = await startTracing({ ...DEFAULTS, tracesUrl: collector.tracesUrl, headers: new Secret("x-key=a%20b") });
    const traceparent = await request();
    const inner = await collector.span("the statement", (span) => span.kind === "client");
    const outer = await collector.span("the request", (span) => span.kind === "server");
    expect(outer).toMatchObject({
      traceId: TRACE,
      parentSpanId: "00f067aa0ba902b7",
      name: "GET /x",
      attributes: { "http.response.status_code": 200, ratio: 0.5, yes: true },
      service: "user-service",
      resource: { "service.version": "1.2.3" },
      isError: false,
    });
    expect(inner).toMatchObject({ traceId: TRACE, parentSpanId: outer.spanId, name: "SELECT users" });
    expect(traceparent).toBe(`00-${TRACE}-${inner.spanId}-01`);
    expect(outer.end >= inner.end && outer.start <= inner.start).toBe(true);
    expect(collector.requests[0]).toMatchObject({ "x-key": "a b" });
    await until(() => tracing.figures().exported === 2, { what: "both spans to be counted" });
  });

  it("says that something failed, and of what kind, but never what it said", async () => {
    await using collector = await startOtlpCollector();
    await using tracing = await startTracing({ ...DEFAULTS, tracesUrl: collector.tracesUrl });
    const failing = async (error: unknown): Promise<void> => await withRemoteTrace(undefined, server, () => Promise.reject(error as Error));
    await expect(failing(new TypeError("ann@example.com"))).rejects.toThrow("ann@example.com");
    await expect(failing(new Problem(serviceBusy))).rejects.toThrow();
    await expect(failing(Object.assign(new Error("detail"), { code: "23505" }))).rejects.toThrow();
    await tracing.stop();
    expect(collector.spans.map((span) => [span.isError, span.attributes["error.type"], span.statusMessage, span.events])).toEqual([
      [true, "TypeError", "", 0],
      [true, "service.busy", "", 0],
      [true, "23505", "", 0],
    ]);
  });

  it("keeps to the caller's decision", async () => {
    await using collector = await startOtlpCollector();
    await using tracing = await startTracing({ ...DEFAULTS, tracesUrl: collector.tracesUrl, sampler: "parentbased_always_off" });
    const unsampled = await withRemoteTrace(UNSAMPLED, server, () => inSpan(client, () => Promise.resolve(currentTraceparent())));
    expect(unsampled).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
    const rooted = await withRemoteTrace(undefined, server, () => Promise.resolve(currentTraceparent()));
    expect(rooted).toMatch(/-00$/);
    await request();
    await tracing.stop();
    expect(collector.spans.map((span) => span.name)).toEqual(["SELECT users", "GET /x"]);
  });

  it("records the asked share of the traces that begin here", async () => {
    await using collector = await startOtlpCollector();
    await using tracing = await startTracing({ ...DEFAULTS, tracesUrl: collector.tracesUrl, sampledShare: 0.25 });
    for (let i = 0; i < 1_000; i += 1) await withRemoteTrace(undefined, server, () => Promise.resolve());
    await tracing.stop();
    expect(collector.spans.length).toBeGreaterThan(150);
    expect(collector.spans.length).toBeLessThan(350);
  });

  it.each(["always_on", "parentbased_always_on", "traceidratio"] as const)("makes traces with the sampler %s", async (sampler) => {
    await using collector = await startOtlpCollector();
    await using tracing = await startTracing({ ...DEFAULTS, tracesUrl: collector.tracesUrl, sampler });
    await withRemoteTrace(undefined, server, () => Promise.resolve());
    await tracing.stop();
    expect(collector.spans).toHaveLength(1);
  });

  it.each(["always_off", "parentbased_always_off"] as const)("makes none with the sampler %s", async (sampler) => {
    await using collector = await startOtlpCollector();
    await using tracing = await startTracing({ ...DEFAULTS, tracesUrl: collector.tracesUrl, sampler });
    await withRemoteTrace(undefined, server, () => Promise.resolve());
    await tracing.stop();
    expect(collector.requests).toHaveLength(0);
  });

  it("goes on when the collector refuses, says so once, and once when it takes them again", async () => {
    await using collector = await startOtlpCollector();
    const { lines, log } = listening();
    await using tracing = await startTracing({ ...DEFAULTS, tracesUrl: collector.tracesUrl, log });
    collector.be("refuse");
    await lose(tracing, 2);
    await lose(tracing, 4);
    expect(lines).toEqual(["warn: spans cannot be exported just now and are dropped"]);
    collector.be("take");
    await request();
    await until(() => tracing.figures().exported === 2);
    expect(lines).toEqual(["warn: spans cannot be exported just now and are dropped", "info: spans are exported again"]);
  });

  it("goes on when nobody listens", async () => {
    const { lines, log } = listening();
    await using tracing = await startTracing({ ...DEFAULTS, tracesUrl: "http://127.0.0.1:9/v1/traces", exportTimeoutMs: 500, log });
    await expect(request()).resolves.toBeDefined();
    await lose(tracing, 4);
    expect(lines).toEqual(["warn: spans cannot be exported just now and are dropped"]);
  });

  it("ends within about two seconds when the collector hangs", async () => {
    await using collector = await startOtlpCollector();
    collector.be("hang");
    const tracing = await startTracing({ ...DEFAULTS, tracesUrl: collector.tracesUrl });
    await request();
    const startedMs = performance.now();
    await tracing.stop();
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    expect(isTracing()).toBe(false);
    collector.be("refuse");
    await until(() => tracing.figures().lost === 2, { what: "the export to be given up" });
  });

  it("keeps no more than so many spans for a collector that hangs", async () => {
    await using collector = await startOtlpCollector();
    collector.be("hang");
    await using tracing = await startTracing({ ...DEFAULTS, tracesUrl: collector.tracesUrl });
    for (let i = 0; i < 600; i += 1) await withRemoteTrace(undefined, server, () => Promise.resolve());
    await until(() => collector.requests.length === 1, { what: "the first export to hang" });
    for (let i = 0; i < 10_000; i += 1) await withRemoteTrace(undefined, server, () => Promise.resolve());
    collector.be("take");
    await tracing.stop();
    await until(() => tracing.figures().exported === 4_096, { what: "what was kept to arrive" });
    expect(tracing.figures().lost).toBe(512);
  });
});

async function lose(tracing: Tracing, inAll: number): Promise<void> {
  await request();
  await until(() => tracing.figures().lost === inAll, { what: `${inAll} lost spans` });
}

function listening(): { readonly lines: string[]; readonly log: TracingOptions["log"] } {
  const lines: string[] = [];
  const at =
    (level: string) =>
    (_: LogFields, message: string): void =>
      void lines.push(`${level}: ${message}`);
  return { lines, log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

describe("headers for the collector", () => {
  it.each([
    ["", {}],
    ["a=1", { a: "1" }],
    [" api-key = x%2Cy , b=2=3", { "api-key": "x,y", b: "2=3" }],
    ["nonsense,=1,a b=1,c=%0d%0aevil:1,d=%zz", { d: "%zz" }],
  ])("of %p are %p", (text, headers) => {
    expect(parseHeaders(text)).toEqual(headers);
  });
});
