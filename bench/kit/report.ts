/** What a scenario found, as a table for people and as JSON. */

import type { Machine } from "./machine.ts";
import type { Measured } from "./measure.ts";
import { spreadOf, type Spread } from "./statistics.ts";

/** What a figure should be. */
export interface Target {
  readonly is: "at least" | "at most";
  readonly bound: number;
}

/** One figure a scenario is about, over its rounds. */
export interface Figure {
  readonly name: string;
  readonly unit: "×" | "ms" | "CPU-ms" | "KB" | "MB" | "%" | "/s";
  readonly values: readonly number[];
  readonly target?: Target;
}

/** Of one scenario: who was measured, round by round, and what follows. */
export interface Outcome {
  readonly sides: Readonly<Record<string, readonly Measured[]>>;
  readonly figures: readonly Figure[];
  /** What a reader of the figures must know: what was missing, what differs. */
  readonly notes?: readonly string[];
}

/** A scenario's name, and what it is. */
export interface Named {
  readonly name: string;
  readonly summary: string;
}

/** One figure a round: `over` by `under`. */
export function ratios(over: readonly Measured[], under: readonly Measured[], of: (measured: Measured) => number): number[] {
  return over.map((measured, round) => of(measured) / of(under[round] ?? measured));
}

export function rateOf({ rate }: Measured): number {
  return rate;
}

/** CPU of service and PostgreSQL together, in ms an operation. */
export function cpuOf({ serviceCpuMs = 0, postgresCpuMs = 0 }: Measured): number {
  return serviceCpuMs + postgresCpuMs;
}

/** Whether the median keeps what was wanted; undefined where nothing was. */
export function isKept({ values, target }: Figure): boolean | undefined {
  if (target === undefined) return undefined;
  const { median } = spreadOf(values);
  return target.is === "at least" ? median >= target.bound : median <= target.bound;
}

const COLUMNS: readonly { readonly head: string; readonly cell: (rounds: readonly Measured[]) => string }[] = [
  { head: "rate /s", cell: (rounds) => spreadText(spreadOf(rounds.map(rateOf)), 0) },
  { head: "CPU-ms service", cell: (rounds) => medianText(rounds, ({ serviceCpuMs }) => serviceCpuMs, 3) },
  { head: "CPU-ms PostgreSQL", cell: (rounds) => medianText(rounds, ({ postgresCpuMs }) => postgresCpuMs, 3) },
  { head: "p50 ms", cell: (rounds) => medianText(rounds, ({ latency }) => latency?.p50, 1) },
  { head: "p95 ms", cell: (rounds) => medianText(rounds, ({ latency }) => latency?.p95, 1) },
  { head: "p99 ms", cell: (rounds) => medianText(rounds, ({ latency }) => latency?.p99, 1) },
  { head: "RSS MB", cell: (rounds) => medianText(rounds, ({ rssMb }) => rssMb, 0) },
];

/** The table, the figures with what was wanted, and the notes. */
export function tableOf({ name, summary }: Named, { sides, figures, notes = [] }: Outcome): string {
  const rows = Object.entries(sides).map(([side, rounds]) => [side, ...COLUMNS.map(({ cell }) => cell(rounds))]);
  const table = rows.length === 0 ? [] : aligned([["", ...COLUMNS.map(({ head }) => head)], ...rows]);
  return ["", `${name}: ${summary}`, ...table, ...figures.map(figureText), ...notes.map((note) => `  note: ${note}`), ""].join("\n");
}

function figureText(figure: Figure): string {
  const { name, unit, values, target } = figure;
  const digits = unit === "×" || unit === "CPU-ms" ? 2 : 1;
  const kept = isKept(figure);
  const wanted = target === undefined ? "" : `   wanted ${target.is} ${target.bound} ${unit}: ${kept === true ? "kept" : "MISSED"}`;
  return `  ${name}: ${spreadText(spreadOf(values), digits)} ${unit}${wanted}`;
}

function spreadText({ median, min, max }: Spread, digits: number): string {
  return min === max ? median.toFixed(digits) : `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

function medianText(rounds: readonly Measured[], of: (measured: Measured) => number | undefined, digits: number): string {
  const values = rounds.map(of).filter((value) => value !== undefined);
  return values.length === 0 ? "" : spreadOf(values).median.toFixed(digits);
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map(
    (row) => `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ")}`,
  );
}

/** For the result file. */
export function resultOf(scenario: Named, outcome: Outcome, on: { readonly machine: Machine; readonly quick: boolean }): object {
  return {
    scenario: scenario.name,
    summary: scenario.summary,
    quick: on.quick,
    machine: on.machine,
    figures: outcome.figures.map((figure) => ({ ...figure, ...spreadOf(figure.values), kept: isKept(figure) ?? null })),
    notes: outcome.notes ?? [],
    sides: outcome.sides,
  };
}
