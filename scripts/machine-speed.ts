/** How fast this machine is just now, all its cores at once: what runs beside other work depends on it. */

import { once } from "node:events";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

const ROUNDS = 400;
const SAMPLE = Array.from({ length: 400 }, (_, index) => ({ id: `user-${index}`, seen: index * 1_000, tags: ["a", "b", String(index)] }));

/** Text and memory, as programs have it. */
function work(): number {
  let sum = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const rows = JSON.parse(JSON.stringify(SAMPLE)) as typeof SAMPLE;
    for (const { id, tags } of rows.toSorted((one, other) => (one.id < other.id ? -1 : 1))) sum += id.length + tags.join().length;
  }
  return sum;
}

/** Milliseconds that a fixed piece of work takes when every core does it at once; the best of three, so that a moment's noise is not taken for slowness. */
export async function fixedWorkMs(): Promise<number> {
  const times: number[] = [];
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const workers = Array.from({ length: availableParallelism() }, () => new Worker(fileURLToPath(import.meta.url)));
    const took = await Promise.all(workers.map(async (worker) => ((await once(worker, "message")) as [number])[0]));
    times.push(Math.max(...took));
  }
  return Math.min(...times);
}

if (!isMainThread) {
  const startMs = performance.now();
  work();
  parentPort?.postMessage(performance.now() - startMs);
}
