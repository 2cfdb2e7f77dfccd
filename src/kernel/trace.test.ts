import { afterEach, describe, expect, it } from "@jest/globals";
import { Problem, inputInvalid, serviceBusy } from "./problem.ts";
import { RemoteParent, parseTraceparent } from "./trace-context.ts";
import {
  currentSpan,
  currentTraceparent,
  errorTypeOf,
  inSpan,
  inSpans,
  installTracer,
  withRemoteTrace,
  type Span,
  type SpanSpec,
} from "./trace.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER = `00-${TRACE}-00f067aa0ba902b7-01`;
const spec = (name: string): SpanSpec => ({ name, kind: "internal" });

afterEach(() => installTracer(undefined));

/** A tracer that writes down what it is told. */
function recording(): string[] {
  const told: string[] = [];
  installTracer(({ name }, parent) => {
    const above = parent instanceof RemoteParent ? parent.spanId : (parent?.traceparent ?? "nothing");
    told.push(`${name} below ${above}`);
    return open(name, told);
  });
  return told;
}

function open(name: string, told: string[]): Span {
  const span = {
    traceId: TRACE,
    traceparent: name,
    isOpen: true,
    rename: (next: string) => void told.push(`${name} is ${next}`),
    set: (attributes: object) => void told.push(`${name} has ${JSON.stringify(attributes)}`),
    fail: (type: string) => void told.push(`${name} failed: ${type}`),
    end: () => {
      span.isOpen = false;
    },
  };
  return span;
}

describe("without a tracer", () => {
  it("carries the caller's trace through everything that is awaited", async () => {
    const seen = await withRemoteTrace(CALLER, spec("request"), async (span) => {
      expect(span).toBeUndefined();
      await new Promise((resolve) => setImmediate(resolve));
      return await inSpan(spec("inner"), () => Promise.resolve([currentTraceparent(), currentSpan()]));
    });
    expect(seen).toEqual([CALLER, undefined]);
    expect(currentTraceparent()).toBeUndefined();
  });

  it.each([undefined, null, "", "nonsense", ["a"], `${CALLER}x`])("carries nothing for the traceparent %p", async (traceparent) => {
    await expect(withRemoteTrace(traceparent, spec("request"), () => Promise.resolve(currentTraceparent()))).resolves.toBeUndefined();
  });

  it("does not carry the trace of one event into the next", async () => {
    await withRemoteTrace(CALLER, spec("outer"), async () => {
      await withRemoteTrace(undefined, spec("event"), () => Promise.resolve(expect(currentTraceparent()).toBeUndefined()));
      expect(currentTraceparent()).toBe(CALLER);
    });
  });
});

describe("with a tracer", () => {
  it("puts spans below each other, and traces apart", async () => {
    const told = recording();
    await withRemoteTrace(CALLER, spec("request"), async () => {
      await inSpan(spec("tx"), () => inSpan(spec("statement"), () => Promise.resolve()));
      await withRemoteTrace(undefined, spec("other"), () => Promise.resolve());
      await inSpan(spec("second"), () => Promise.resolve());
    });
    expect(told).toEqual([
      "request below 00f067aa0ba902b7",
      "tx below request",
      "statement below tx",
      "other below nothing",
      "second below request",
    ]);
  });

  it("makes no span where none is open: neither at the top nor behind an answered request", async () => {
    const told = recording();
    await inSpan(spec("poll"), () => Promise.resolve());
    let late: Promise<void> = Promise.resolve();
    await withRemoteTrace(undefined, spec("request"), async () => {
      late = new Promise((resolve) => setImmediate(resolve)).then(() => inSpan(spec("late"), () => Promise.resolve()));
    });
    await late;
    expect(told).toEqual(["request below nothing"]);
  });

  it("tells a failure from a refusal, and passes both on", async () => {
    const told = recording();
    const throwing = (error: Error): Promise<void> => withRemoteTrace(undefined, spec("work"), () => Promise.reject(error));
    await expect(throwing(new Problem(inputInvalid))).rejects.toThrow(Problem);
    await expect(throwing(new Problem(serviceBusy))).rejects.toThrow(Problem);
    await expect(throwing(new TypeError("secret"))).rejects.toThrow("secret");
    expect(told.filter((line) => !line.includes("below"))).toEqual([
      `work has {"problem.code":"input.invalid"}`,
      "work failed: service.busy",
      "work failed: TypeError",
    ]);
  });

  it("shows work of several traces in each of them, and of none in none", async () => {
    const told: string[] = [];
    const [ann, bob] = [open("ann", told), open("bob", told)];
    installTracer(({ name }, parent) => {
      told.push(`${name} below ${parent?.traceparent}`);
      return open(`${name} of ${parent?.traceparent}`, told);
    });
    await withRemoteTrace(undefined, spec("flusher"), async () => {
      await inSpans([ann, bob], () => inSpan(spec("both"), (span) => Promise.resolve(span?.set({ n: 2 }))));
      await inSpans([bob], () => inSpan(spec("one"), () => Promise.resolve()));
      await inSpans([], () => inSpan(spec("nobody's"), () => Promise.resolve()));
    });
    expect(told).toEqual([
      "flusher below undefined",
      "both below ann",
      "both below bob",
      `both of ann has {"n":2}`,
      `both of bob has {"n":2}`,
      "one below bob",
    ]);
  });
});

describe("the type of an error", () => {
  it.each([
    [Object.assign(new Error("x"), { code: "40001" }), "40001"],
    [Object.assign(new Error("x"), { code: "has spaces and ann@example.com" }), "Error"],
    [Object.assign(new Error("x"), { code: 7 }), "Error"],
    [new Problem(serviceBusy), "service.busy"],
    [new RangeError("x"), "RangeError"],
    ["text", "unknown"],
  ])("of %p is %p", (error, type) => {
    expect(errorTypeOf(error)).toBe(type);
  });
});

describe("a traceparent", () => {
  it.each([
    [CALLER, true],
    [`00-${TRACE}-00f067aa0ba902b7-00`, false],
    [`00-${TRACE}-00f067aa0ba902b7-ff`, true],
    [`cc-${TRACE}-00f067aa0ba902b7-02-later`, false],
  ])("%p is sampled: %p", (text, isSampled) => {
    expect(parseTraceparent(text)).toMatchObject({ traceId: TRACE, spanId: "00f067aa0ba902b7", isSampled });
  });

  it.each([
    `${CALLER}-more`,
    `${CALLER}x`,
    `cc-${TRACE}-00f067aa0ba902b7-01x`,
    `${CALLER}, ${CALLER}`,
    ` ${CALLER}`,
    `${CALLER}\n`,
    7,
    {},
    [CALLER],
  ])("is not %p", (given) => expect(parseTraceparent(given)).toBeUndefined());
});
