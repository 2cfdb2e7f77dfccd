/** Figures of the process itself. Our own few in place of prom-client's defaults, whose garbage-collection observer costs on each collection. */

import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, type Registry } from "prom-client";

/** How late the event loop was since the last look, in ms. */
export interface LoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** How long one window of the loop delay is at least, in ms; several readers within it see the same figures. */
const WINDOW_MS = 10_000;
const RESOLUTION_MS = 20;

/** Watches the event loop. The figures are of the last finished window and of the one under way, whichever is worse. */
export function watchLoopDelay(monotonicMs: () => number): { readonly read: () => LoopDelay; readonly stop: () => void } {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  let finished: LoopDelay = { p50Ms: 0, p99Ms: 0, maxMs: 0 };
  let begunAtMs = monotonicMs();
  const read = (): LoopDelay => {
    const current = { p50Ms: late(histogram.percentile(50)), p99Ms: late(histogram.percentile(99)), maxMs: late(histogram.max) };
    const worse = current.maxMs > finished.maxMs ? current : finished;
    if (monotonicMs() - begunAtMs >= WINDOW_MS) {
      finished = current;
      begunAtMs = monotonicMs();
      histogram.reset();
    }
    return worse;
  };
  return { read, stop: () => histogram.disable() };
}

/** The histogram holds the whole interval between two looks, in ns; what is above its resolution is the delay. */
function late(intervalNs: number): number {
  return Number.isFinite(intervalNs) ? Math.max(0, Math.round((intervalNs / 1e6 - RESOLUTION_MS) * 100) / 100) : 0;
}

/** Registers CPU, memory, uptime and loop delay under the names that dashboards for Node know. */
export function registerProcessMetrics(registry: Registry, loopDelay: () => LoopDelay): void {
  const registers = [registry];
  new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time of the process, user and system",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  new Gauge({ name: "process_resident_memory_bytes", help: "Resident memory", registers, collect: set(() => process.memoryUsage.rss()) });
  new Gauge({ name: "nodejs_heap_used_bytes", help: "Used heap", registers, collect: set(() => process.memoryUsage().heapUsed) });
  new Gauge({ name: "process_uptime_seconds", help: "Seconds since the process started", registers, collect: set(() => process.uptime()) });
  new Gauge({
    name: "nodejs_eventloop_delay_seconds",
    help: "How late the event loop was in the last 10 to 20 s",
    labelNames: ["quantile"],
    registers,
    collect() {
      const { p50Ms, p99Ms, maxMs } = loopDelay();
      this.set({ quantile: "0.5" }, p50Ms / 1000);
      this.set({ quantile: "0.99" }, p99Ms / 1000);
      this.set({ quantile: "1" }, maxMs / 1000);
    },
  });
}

function set(read: () => number): (this: Gauge) => void {
  return function collect() {
    this.set(read());
  };
}
