import { describe, expect, it } from "@jest/globals";
import { inputInvalid, Problem, type InputError } from "#src/kernel/problem";
import { declaredTerm, termAt, type Past, type Term } from "./term.ts";

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

describe("the term of a declaration", () => {
  const at = (hour: number): Date => new Date(Date.UTC(2026, 10, 24, hour));
  const fresh = { firstEnforcedAt: null, goesOnFrom: undefined };
  const hours = (count: number): { durationSeconds: number } => ({ durationSeconds: count * 3600 });

  const term = (from: number, to: number | null): Term => ({ startsAt: at(from), expiresAt: to === null ? null : at(to) });

  it.each<[string, Parameters<typeof declaredTerm>[1], Past, Term]>([
    ["none: without end from now", {}, fresh, term(10, null)],
    ["by duration from now", hours(2), fresh, term(10, 12)],
    ["by duration from a planned start", { ...hours(2), startsAt: at(15) }, fresh, term(15, 17)],
    ["by duration, the start past", { ...hours(2), startsAt: at(5) }, fresh, term(10, 12)],
    ["by duration from when it was first in force", hours(6), { ...fresh, firstEnforcedAt: at(8) }, term(10, 14)],
    ["going on from what it replaces", hours(6), { firstEnforcedAt: at(8), goesOnFrom: at(7) }, term(7, 14)],
    ["planned, what it replaces left behind", { startsAt: at(12) }, { firstEnforcedAt: at(8), goesOnFrom: at(7) }, term(12, null)],
    ["by its end", { expiresAt: at(11) }, { ...fresh, firstEnforcedAt: at(8) }, term(10, 11)],
  ])("%s", (_what, wish, past, expected) => {
    expect(declaredTerm(at(10), wish, past)).toEqual(expected);
  });

  it.each([
    ["a duration that is over", hours(2), { ...fresh, firstEnforcedAt: at(8) }],
    ["a duration that is over before the start", { ...hours(4), startsAt: at(13) }, { ...fresh, firstEnforcedAt: at(8) }],
    ["an end that is past", { expiresAt: at(10) }, fresh],
    ["an end that is past, though it would go on", { expiresAt: at(9) }, { firstEnforcedAt: at(8), goesOnFrom: at(8) }],
  ])("refuses %s", (_what, wish, past) => {
    expect(() => declaredTerm(at(10), wish, past)).toThrow(new Problem(inputInvalid));
  });
});
