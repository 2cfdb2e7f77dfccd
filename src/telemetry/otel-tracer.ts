/** The kernel's spans on OpenTelemetry. Imported only when an exporter is configured: this is what loads the library. */

import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace, type Span as OtelSpan } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
  type SpanExporter,
} from "@opentelemetry/sdk-trace";
import { systemClock } from "#src/kernel/clock";
import type { Span, SpanAttributes, SpanSpec, Tracer } from "#src/kernel/trace";
import { writeTraceparent, type RemoteParent } from "#src/kernel/trace-context";

/** The values of OTEL_TRACES_SAMPLER that are known here. */
export type SamplerName =
  | "always_on"
  | "always_off"
  | "traceidratio"
  | "parentbased_always_on"
  | "parentbased_always_off"
  | "parentbased_traceidratio";

export interface OtelOptions {
  /** Where spans are POSTed to, whole. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly serviceName: string;
  readonly serviceVersion: string;
  /** Tells processes of one service apart. */
  readonly instanceId: string;
  readonly sampler: SamplerName;
  /** Share of traces that begin here, 0 to 1; for the `traceidratio` samplers. */
  readonly sampledShare: number;
  /** How long a finished span waits for others, in ms. */
  readonly exportDelayMs: number;
  /** Of one export, its repetitions included, in ms. */
  readonly exportTimeoutMs: number;
  /** Told of each batch: without an error it has arrived. */
  readonly onExport: (spans: number, error: Error | undefined) => void;
}

/** A tracer that exports, and its end: `shutdown` sends what is waiting, however long that takes. */
export interface OtelTracer {
  readonly tracer: Tracer;
  readonly shutdown: () => Promise<void>;
}

/** Spans that wait for export; further ones are dropped. At 1 KB each this is 4 MB at most. */
const MAX_QUEUE = 4_096;
/** At the end all batches are sent at once, beside one that may be on its way. */
const MAX_BATCH = 512;

/** Makes the tracer. Nothing is registered globally: other copies of the library do not see it. */
export function createOtelTracer(options: OtelOptions): OtelTracer {
  const exporter = watched(
    new OTLPTraceExporter({
      url: options.url,
      headers: { ...options.headers },
      timeoutMillis: options.exportTimeoutMs,
      concurrencyLimit: MAX_QUEUE / MAX_BATCH + 1,
    }),
    options.onExport,
  );
  const provider = new TracerProvider({
    sampler: samplerOf(options.sampler, options.sampledShare),
    // OTEL_RESOURCE_ATTRIBUTES is what a cluster says of a pod; our own names win.
    resource: detectResources({ detectors: [envDetector] }).merge(
      resourceFromAttributes({
        "service.name": options.serviceName,
        "service.version": options.serviceVersion,
        "service.instance.id": options.instanceId,
      }),
    ),
    spanLimits: { attributeCountLimit: 32, attributeValueLengthLimit: 256, eventCountLimit: 0, linkCountLimit: 8 },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        maxQueueSize: MAX_QUEUE,
        maxExportBatchSize: MAX_BATCH,
        scheduledDelayMillis: options.exportDelayMs,
        exportTimeoutMillis: options.exportTimeoutMs,
      }),
    ],
  });
  const otel = provider.getTracer("user-service", options.serviceVersion);
  const tracer: Tracer = (spec, parent) => {
    // What a span that is not recorded begins is not recorded either, with every sampler there is: it costs nothing.
    if (parent instanceof OpenSpan && !parent.isRecorded) return parent;
    const { name, attributes } = spec;
    const wallMs = parent instanceof OpenSpan ? parent.wallMs : systemClock.now().getTime() - systemClock.monotonicMs();
    const startTime = wallMs + systemClock.monotonicMs();
    const started = otel.startSpan(name, { kind: KINDS[spec.kind], startTime, ...(attributes && { attributes }) }, contextOf(parent));
    return new OpenSpan(started, wallMs);
  };
  return { tracer, shutdown: () => provider.shutdown() };
}

const KINDS: Readonly<Record<SpanSpec["kind"], SpanKind>> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

function contextOf(parent: Span | RemoteParent | undefined): typeof ROOT_CONTEXT {
  if (parent instanceof OpenSpan) return trace.setSpan(ROOT_CONTEXT, parent.otel);
  if (parent === undefined || !("spanId" in parent)) return ROOT_CONTEXT;
  const { traceId, spanId, isSampled } = parent;
  const traceFlags = isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

class OpenSpan implements Span {
  readonly otel: OtelSpan;
  readonly isRecorded: boolean;
  /** Added to the monotonic clock it gives the time of day: one value a trace, so that spans lie within each other exactly. */
  readonly wallMs: number;
  isOpen = true;

  constructor(otel: OtelSpan, wallMs: number) {
    this.otel = otel;
    this.wallMs = wallMs;
    this.isRecorded = otel.isRecording();
  }

  get traceId(): string {
    return this.otel.spanContext().traceId;
  }

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.otel.spanContext();
    return writeTraceparent(traceId, spanId, (traceFlags & TraceFlags.SAMPLED) !== 0);
  }

  readonly rename = (name: string): void => {
    if (this.isOpen) this.otel.updateName(name);
  };

  readonly set = (attributes: SpanAttributes): void => {
    if (this.isOpen) this.otel.setAttributes(attributes);
  };

  readonly fail = (errorType: string): void => {
    if (!this.isOpen) return;
    this.otel.setAttribute("error.type", errorType);
    this.otel.setStatus({ code: SpanStatusCode.ERROR });
  };

  readonly end = (): void => {
    // A span that is not recorded stands for all below it as well.
    if (!this.isOpen || !this.isRecorded) return;
    this.isOpen = false;
    this.otel.end(this.wallMs + systemClock.monotonicMs());
  };
}

function samplerOf(name: SamplerName, ratio: number): Sampler {
  switch (name) {
    case "always_on":
      return new AlwaysOnSampler();
    case "always_off":
      return new AlwaysOffSampler();
    case "traceidratio":
      return new TraceIdRatioBasedSampler(ratio);
    case "parentbased_always_on":
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case "parentbased_always_off":
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case "parentbased_traceidratio":
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

function watched(exporter: SpanExporter, onExport: OtelOptions["onExport"]): SpanExporter {
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        onExport(spans.length, result.code === 0 ? undefined : (result.error ?? new Error("the collector did not take the spans")));
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush && { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
  };
}
