import { describe, expect, it } from "@jest/globals";
import { Problem, type InputError } from "#src/kernel/problem";
import { termAt } from "./term.ts";

const now = new Date("2026-11-24T15:00:00.000Z");
const at = (iso: string): Date => new Date(iso);

function errorsOf(wished: Parameters<typeof termAt>[1]): readonly InputError[] {
  try {
    termAt(now, wished);
    return [];
  } catch (error) {
    if (error instanceof Problem && error.code === "input.invalid") return error.details.errors ?? [];
    throw error;
  }
}

describe("the term of a restriction", () => {
  it("begins now when nothing else is asked, and has no end", () => {
    expect(termAt(now, {})).toEqual({ startsAt: now, expiresAt: null });
  });

  it("begins now when the start has passed: nothing is restricted before it was decided", () => {
    expect(termAt(now, { startsAt: at("2026-11-24T14:00:00Z") }).startsAt).toEqual(now);
  });

  it("begins later when that is asked", () => {
    const wished = { startsAt: at("2026-12-01T00:00:00Z"), expiresAt: at("2026-12-02T00:00:00Z") };
    expect(termAt(now, wished)).toEqual(wished);
  });

  it.each([
    ["an end in the past", { expiresAt: at("2026-11-24T14:59:59Z") }, "body.expiresAt"],
    ["an end that is this very moment", { expiresAt: now }, "body.expiresAt"],
    ["an end before its start", { startsAt: at("2026-12-02T00:00:00Z"), expiresAt: at("2026-12-01T00:00:00Z") }, "body.expiresAt"],
    [
      "an end that was ahead of a past start only",
      { startsAt: at("2026-11-24T13:00:00Z"), expiresAt: at("2026-11-24T14:00:00Z") },
      "body.expiresAt",
    ],
    ["more than 10 years", { expiresAt: at("2036-11-25T15:00:00Z") }, "body.expiresAt"],
    ["a start more than 10 years ahead", { startsAt: at("2036-11-25T15:00:00Z") }, "body.startsAt"],
  ])("refuses %s", (_what, wished, path) => {
    expect(errorsOf(wished).map((error) => error.path)).toEqual([path]);
  });

  it("takes 10 years", () => {
    expect(errorsOf({ expiresAt: at("2036-11-24T00:00:00Z") })).toEqual([]);
  });
});
