import { describe, expect, it } from "@jest/globals";
import { traceIdOf } from "./trace.ts";

const given = "4bf92f3577b34da6a3ce929d0e0e4736";

describe("the trace id", () => {
  it("is the caller's", () => {
    expect(traceIdOf(`00-${given}-00f067aa0ba902b7-01`)).toBe(given);
    expect(traceIdOf(`cc-${given}-00f067aa0ba902b7-01-what-the-future-will-be`)).toBe(given);
  });

  it.each([
    undefined,
    "",
    given,
    `ff-${given}-00f067aa0ba902b7-01`,
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${given}-${"0".repeat(16)}-01`,
    `00-${given.toUpperCase()}-00f067aa0ba902b7-01`,
    `00-${given}-00f067aa0ba902b7-01"}\n`,
    "0".repeat(100_000),
  ])("is a new one for the header %p", (header) => {
    const made = traceIdOf(header);
    expect(made).toMatch(/^[0-9a-f]{32}$/);
    expect(made).not.toBe(given);
    expect(traceIdOf(header)).not.toBe(made);
  });

  it("does not repeat", () => {
    expect(new Set(Array.from({ length: 2_000 }, () => traceIdOf(undefined))).size).toBe(2_000);
  });
});
