/**
 * Traces without a tracing library: where in a trace this code runs, and the port through which spans are made.
 * Without an installed tracer only a caller's `traceparent` is carried, so that an event still joins the trace that caused it.
 * `tracestate` is not carried: it is free text of strangers, and the outbox has no place for it.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { Problem } from "./problem.ts";
import { parseTraceparent, type RemoteParent } from "./trace-context.ts";

/** What a span may say. Never names, addresses, tokens, bodies or values of statements; a user's id may be. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** What a span is when it begins. The name has no ids in it. */
export interface SpanSpec {
  readonly name: string;
  readonly kind: "internal" | "server" | "client" | "producer" | "consumer";
  readonly attributes?: SpanAttributes;
}

/** Work that is timed. Calls after its end have no effect. */
export interface Span {
  /** 32 hex digits. */
  readonly traceId: string;
  /** W3C trace context that names this span. */
  readonly traceparent: string;
  /** False after its end. */
  readonly isOpen: boolean;
  readonly rename: (name: string) => void;
  readonly set: (attributes: SpanAttributes) => void;
  /** Marks it as failed, by a code or the name of a class. A message is not taken: it may hold what must not leave. */
  readonly fail: (errorType: string) => void;
  readonly end: () => void;
}

/** Begins a span; without a parent, a trace. Must not throw. */
export type Tracer = (spec: SpanSpec, parent: Span | RemoteParent | undefined) => Span;

/** Work that is told of its span; of none where no trace is made. */
export type TracedWork<Result> = (span: Span | undefined) => Promise<Result>;

const here = new AsyncLocalStorage<Span | RemoteParent | undefined>();
let tracer: Tracer | undefined;

/** From now on spans are made by `next`; by none when it is undefined. */
export function installTracer(next: Tracer | undefined): void {
  tracer = next;
}

/** Whether spans are made at all: for places that would else pay for naming one. */
export function isTracing(): boolean {
  return tracer !== undefined;
}

/** The span that this code runs in, while it is open. */
export function currentSpan(): Span | undefined {
  if (tracer === undefined) return undefined;
  const found = here.getStore();
  return found !== undefined && "isOpen" in found && found.isOpen ? found : undefined;
}

/** What a call or an event that leaves from here carries on. */
export function currentTraceparent(): string | undefined {
  return here.getStore()?.traceparent;
}

/**
 * Runs `work` in a span below the current one. Where none is open it runs without: what polls and sweeps ask the database
 * makes no traces, and what goes on behind an answered request adds nothing to it.
 */
export function inSpan<Result>(spec: SpanSpec, work: TracedWork<Result>): Promise<Result> {
  const parent = currentSpan();
  if (tracer === undefined || parent === undefined) return work(undefined);
  return within(parent instanceof SharedSpan ? parent.begin(tracer, spec) : tracer(spec, parent), work);
}

/**
 * Runs `work` as what another process caused: in a span below the one that `traceparent` names, or in a new trace when it is
 * missing or not well formed. Whatever span is current here has no part in it.
 */
export function withRemoteTrace<Result>(traceparent: unknown, spec: SpanSpec, work: TracedWork<Result>): Promise<Result> {
  const parent = parseTraceparent(traceparent);
  if (tracer !== undefined) return within(tracer(spec, parent), work);
  return parent === undefined && here.getStore() === undefined ? work(undefined) : here.run(parent, work, undefined);
}

/**
 * Runs `work` for several traces at once, such as one statement that many callers share: each of `spans` gets what is begun
 * in it. With none `work` belongs to no trace, whoever happens to call it.
 */
export function inSpans<Result>(spans: readonly Span[], work: () => Promise<Result>): Promise<Result> {
  return here.run(spans.length > 1 ? new SharedSpan(spans) : spans[0], work);
}

async function within<Result>(span: Span, work: TracedWork<Result>): Promise<Result> {
  try {
    return await here.run(span, work, span);
  } catch (error) {
    // An expected refusal is no failure of what refused.
    if (error instanceof Problem && error.type.status < 500) span.set({ "problem.code": error.code });
    else span.fail(errorTypeOf(error));
    throw error;
  } finally {
    span.end();
  }
}

const CODE = /^[A-Za-z0-9_.]{1,60}$/;

/** What kind of error it is: a problem's, PostgreSQL's or Node's code, else its class. Nothing of what it says. */
export function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const code = "code" in error ? error.code : undefined;
  return typeof code === "string" && CODE.test(code) ? code : error.constructor.name;
}

/** The same work seen in several traces. Its own context is that of the first. */
class SharedSpan implements Span {
  readonly #spans: readonly Span[];
  readonly #first: Span;

  constructor(spans: readonly Span[]) {
    const [first] = spans;
    if (first === undefined) throw new RangeError("shared by nobody");
    this.#first = first;
    this.#spans = spans;
  }

  get traceId(): string {
    return this.#first.traceId;
  }

  get traceparent(): string {
    return this.#first.traceparent;
  }

  get isOpen(): boolean {
    return this.#spans.some((span) => span.isOpen);
  }

  readonly rename = (name: string): void => {
    for (const span of this.#spans) span.rename(name);
  };

  readonly set = (attributes: SpanAttributes): void => {
    for (const span of this.#spans) span.set(attributes);
  };

  readonly fail = (errorType: string): void => {
    for (const span of this.#spans) span.fail(errorType);
  };

  readonly end = (): void => {
    for (const span of this.#spans) span.end();
  };

  begin(make: Tracer, spec: SpanSpec): Span {
    return new SharedSpan(this.#spans.filter((span) => span.isOpen).map((span) => make(spec, span)));
  }
}
