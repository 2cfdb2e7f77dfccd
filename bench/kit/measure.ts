/** Phases that are measured, in rounds that take turns. */

import type { Bench } from "./bench.ts";
import type { Pace } from "./ground.ts";
import type { LoadPlan, LoadResult, Latency } from "./load-plan.ts";
import type { LoadProcess } from "./load-process.ts";
import { cpuMs, rssBytes, treeCpuMs } from "./usage.ts";

/** One phase. CPU in ms an operation; what a side has nothing to do with is left out. */
export interface Measured {
  readonly rate: number;
  readonly count: number;
  readonly serviceCpuMs?: number;
  readonly postgresCpuMs?: number;
  readonly latency?: Latency;
  readonly rssMb?: number;
}

/** The CPU that these processes and PostgreSQL use while `work` runs, in ms. */
export async function withCpu<Result>(
  bench: Bench,
  pids: readonly number[],
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly serviceMs: number; readonly postgresMs: number }> {
  const used = (): number => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
  const before = { service: used(), postgres: treeCpuMs(bench.postgres.pid) };
  const result = await work();
  return { result, serviceMs: used() - before.service, postgresMs: treeCpuMs(bench.postgres.pid) - before.postgres };
}

/** A phase of HTTP requests that must all be served. */
export async function measureLoad(
  bench: Bench,
  load: LoadProcess,
  side: { readonly pid: number; readonly plan: LoadPlan },
): Promise<Measured> {
  const { result, serviceMs, postgresMs } = await withCpu<LoadResult>(bench, [side.pid], () => load.served(side.plan));
  return {
    rate: result.rate,
    count: result.served,
    serviceCpuMs: serviceMs / result.served,
    postgresCpuMs: postgresMs / result.served,
    latency: result.latency,
    rssMb: rssBytes(side.pid) / 2 ** 20,
  };
}

/** What takes turns: each side runs one phase of so many ms. */
export type Sides<Name extends string> = Readonly<Record<Name, (durationMs: number) => Promise<Measured>>>;

/** Runs each side once to warm up, then in turn, every second round in reverse, so that drift of the machine falls on all of them alike. */
export async function takeTurns<Name extends string>(
  bench: Bench,
  sides: Sides<Name>,
  pace: Pick<Pace, "rounds" | "roundMs" | "warmUpMs"> = bench.pace,
): Promise<Record<Name, Measured[]>> {
  const { rounds, roundMs, warmUpMs } = pace;
  const names = Object.keys(sides) as Name[];
  const measured = Object.fromEntries(names.map((name) => [name, [] as Measured[]])) as Record<Name, Measured[]>;
  for (const name of names) await sides[name](warmUpMs);
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? names : names.toReversed();
    for (const name of order) measured[name].push(await sides[name](roundMs));
  }
  return measured;
}
