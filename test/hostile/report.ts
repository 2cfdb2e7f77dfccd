/** What `npm run test:hostile` shows at its end. */

import type { Row } from "./row.ts";

/** A row, and what came of it. */
export interface Outcome extends Row {
  readonly outcome: "refused" | "EFFECT";
  readonly ms: number;
}

/** Prints a line for each: area, row, advisory, outcome, milliseconds. */
export function printReport(outcomes: readonly Outcome[]): void {
  const lines = outcomes.map(({ area, name, advisory = "", outcome, ms }) => [area, name, advisory, outcome, String(ms)]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const table = lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  const failed = outcomes.filter(({ outcome }) => outcome === "EFFECT").length;
  process.stdout.write(`\n${table.join("\n")}\n${outcomes.length} attacks, ${failed} with an effect or another answer than promised\n`);
}
