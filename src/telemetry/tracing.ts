/** Tracing of a process: off, and then not even loaded, unless a collector is named. */

import { randomUUID } from "node:crypto";
import type { Log } from "#src/kernel/log";
import type { Secret } from "#src/kernel/secret";
import { installTracer } from "#src/kernel/trace";
import type { SamplerName } from "./otel-tracer.ts";

/** As the variables of the OpenTelemetry specification say, which name each member. */
export interface TracingOptions {
  /** OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or OTEL_EXPORTER_OTLP_ENDPOINT with `/v1/traces`: where spans are POSTed to. */
  readonly tracesUrl: string;
  /** OTEL_EXPORTER_OTLP_HEADERS: `name=value,…`, values percent-encoded; API keys of collectors are here. */
  readonly headers: Secret<string> | undefined;
  /** OTEL_SERVICE_NAME */
  readonly serviceName: string;
  readonly serviceVersion: string;
  /** OTEL_TRACES_SAMPLER; `parentbased_traceidratio` when left out, so that a caller's decision is kept. */
  readonly sampler?: SamplerName | undefined;
  /** OTEL_TRACES_SAMPLER_ARG: share of the traces begun here that are recorded, 0 to 1. */
  readonly sampledShare: number;
  /** OTEL_BSP_SCHEDULE_DELAY: how long a finished span waits for others, in ms; 5 s when left out. */
  readonly exportDelayMs?: number | undefined;
  /** OTEL_EXPORTER_OTLP_TIMEOUT: what a collector may take for one export, its repetitions included, in ms; 10 s when left out. */
  readonly exportTimeoutMs?: number | undefined;
  readonly log: Log;
}

/** Spans that have left since the start, and those that were lost because the collector did not take them. */
export interface TracingFigures {
  readonly exported: number;
  readonly lost: number;
}

/** The tracing of this process. */
export interface Tracing extends AsyncDisposable {
  /** False when no collector is named. */
  readonly isOn: boolean;
  readonly figures: () => TracingFigures;
  /** Makes no more spans and sends those that wait, for 2 s at most. Never rejects. */
  readonly stop: () => Promise<void>;
}

const FLUSH_MS = 2_000;

/**
 * Installs a tracer for the process, or none without options: then nothing of OpenTelemetry's SDK is loaded. Whatever the collector does, the service goes on: spans that
 * cannot be sent are dropped, and that is logged once when it begins and once when it ends.
 */
export async function startTracing(options: TracingOptions | undefined): Promise<Tracing> {
  if (options === undefined) return tracingOff();
  const counts = { exported: 0, lost: 0 };
  let isLosing = false;
  const onExport = (spans: number, error: Error | undefined): void => {
    counts[error === undefined ? "exported" : "lost"] += spans;
    if ((error !== undefined) === isLosing) return;
    isLosing = error !== undefined;
    if (isLosing) options.log.warn({ error }, "spans cannot be exported just now and are dropped");
    else options.log.info({ lost: counts.lost }, "spans are exported again");
  };
  const { createOtelTracer } = await import("./otel-tracer.ts");
  const { tracer, shutdown } = createOtelTracer({
    url: options.tracesUrl,
    headers: parseHeaders(options.headers?.reveal() ?? ""),
    serviceName: options.serviceName,
    serviceVersion: options.serviceVersion,
    instanceId: randomUUID(),
    sampler: options.sampler ?? "parentbased_traceidratio",
    sampledShare: options.sampledShare,
    exportDelayMs: options.exportDelayMs ?? 5_000,
    exportTimeoutMs: options.exportTimeoutMs ?? 10_000,
    onExport,
  });
  installTracer(tracer);
  const stop = async (): Promise<void> => {
    installTracer(undefined);
    await atMost(FLUSH_MS, shutdown());
  };
  return { isOn: true, figures: () => ({ ...counts }), stop, [Symbol.asyncDispose]: stop };
}

function tracingOff(): Tracing {
  const stop = (): Promise<void> => Promise.resolve();
  return { isOn: false, figures: () => ({ exported: 0, lost: 0 }), stop, [Symbol.asyncDispose]: stop };
}

/** Reads `name=value,…` as W3C Baggage has it. What is not of that form is left out: a header must not keep a process from starting. */
export function parseHeaders(list: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const pair of list.split(",")) {
    const [, name, value] = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)\s*$/.exec(pair) ?? [];
    const text = value === undefined ? undefined : decoded(value);
    if (name !== undefined && text !== undefined && /^[\x20-\x7e]+$/.test(text)) headers[name] = text;
  }
  return headers;
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

async function atMost(limitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  // What failed was told by `onExport`.
  await Promise.race([work.catch(() => {}), late]);
  clearTimeout(timer);
}
