/** What the figures were measured on. */

import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { systemClock } from "#src/kernel/clock";

/** Stands in every result file. */
export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly postgres: string;
  /** Of the last minute before the run: above 0.5 somebody else is using the machine. */
  readonly load: number;
}

export function machine(postgres: string): Machine {
  return {
    date: systemClock.now().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    postgres,
    load: loadavg()[0] ?? 0,
  };
}
