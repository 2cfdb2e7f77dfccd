/** What a storm of logins does to everybody else, and to the service's memory. */

import { availableParallelism } from "node:os";
import type { Api, Bench } from "../kit/bench.ts";
import type { LoadPlan, LoadResult } from "../kit/load-plan.ts";
import type { LoadProcess } from "../kit/load-process.ts";
import type { Measured } from "../kit/measure.ts";
import type { Outcome } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { seedSessions } from "../kit/seed.ts";
import { rssBytes } from "../kit/usage.ts";
import { peopleWhoLogIn } from "./login.ts";

const RATE = 200;
const SESSIONS = 200;
/** In the hash queue; the threads never rest. */
const STORM = availableParallelism() * 4;
/** Logins a second, far past what the threads can do and the queue can hold. */
const FLOOD_RATE = 300;

/** Those in the queue keep theirs for seconds. */
const FLOOD_CONNECTIONS = 150;

interface Stage {
  readonly bench: Bench;
  readonly api: Api;
  readonly reader: LoadProcess;
  readonly crowd: LoadProcess;
}

export const loginIsolation: Scenario = {
  name: "login-isolation",
  summary: `GET /api/users/me at a fixed ${RATE}/s, alone, beside ${STORM} logins at once, and beside ${FLOOD_RATE} logins a second`,
  run: async (bench) => {
    const database = await bench.database();
    await seedSessions(database.client, { from: 1, count: SESSIONS });
    const { requests } = await peopleWhoLogIn(database);
    await database.settle();
    const stage = { bench, api: await bench.api(database), reader: await bench.load(), crowd: await bench.load() };
    const reads = Array.from({ length: SESSIONS }, (_, number) => ({
      method: "GET",
      path: "/api/users/me",
      token: bench.token(number + 1),
    }));
    await stage.reader.learn({ name: "me", requests: reads });
    await stage.crowd.learn({ name: "login", requests });
    return await play(stage);
  },
};

async function play(stage: Stage): Promise<Outcome> {
  const { quick } = stage.bench.pace;
  const [rounds, roundMs] = quick ? [1, 700] : [3, 2_500];
  if (!quick) await readBeside(stage, { connections: FLOOD_CONNECTIONS, ratePerSecond: FLOOD_RATE }, 500);
  await read(stage, 500);
  const sides: Record<"idle" | "storm" | "flood", Measured[]> = { idle: [], storm: [], flood: [] };
  const floods: LoadResult[] = [];
  const growth: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    sides.idle.push(await read(stage, roundMs));
    sides.storm.push((await readBeside(stage, { connections: STORM }, roundMs)).measured);
    const before = rssBytes(stage.api.pid);
    const flood = await readBeside(stage, { connections: FLOOD_CONNECTIONS, ratePerSecond: FLOOD_RATE }, roundMs);
    growth.push((rssBytes(stage.api.pid) - before) / 2 ** 20);
    sides.flood.push(flood.measured);
    floods.push(flood.logins);
  }
  const worse = (than: readonly Measured[]): number[] =>
    than.map(({ latency }, round) => (latency?.p99 ?? 0) / (sides.idle[round]?.latency?.p99 ?? 0));
  const refused = floods.map(({ statuses }) => statuses["503"] ?? 0);
  return {
    sides,
    figures: [
      { name: "me p99, beside a storm ÷ idle", unit: "×", values: worse(sides.storm), target: { is: "at most", bound: 3 } },
      { name: "me p99, past the queue's bound ÷ idle", unit: "×", values: worse(sides.flood) },
      {
        name: "refusals 503 past the bound that name Retry-After",
        unit: "%",
        values: floods.map(({ withRetryAfter }, round) => (100 * withRetryAfter) / (refused[round] ?? 0)),
        target: { is: "at least", bound: 100 },
      },
      { name: "growth of RSS in a round past the bound", unit: "MB", values: growth },
    ],
    notes: floods.map(({ statuses, broken }) => `past the bound, logins by status: ${JSON.stringify(statuses)}, ${broken} without answer`),
  };
}

async function read({ api, reader }: Stage, durationMs: number): Promise<Measured> {
  const result = await reader.served({ script: "me", port: api.port, connections: 64, durationMs, ratePerSecond: RATE });
  return { rate: result.rate, count: result.served, latency: result.latency, rssMb: rssBytes(api.pid) / 2 ** 20 };
}

/** The logins begin before and end after what is measured. */
async function readBeside(
  stage: Stage,
  logins: Pick<LoadPlan, "connections" | "ratePerSecond">,
  durationMs: number,
): Promise<{ readonly measured: Measured; readonly logins: LoadResult }> {
  const lead = stage.bench.pace.quick ? 100 : 500;
  const crowd = stage.crowd.run({ script: "login", port: stage.api.port, ...logins, durationMs: durationMs + 2 * lead });
  await new Promise((resolve) => setTimeout(resolve, lead));
  const measured = await read(stage, durationMs);
  return { measured, logins: await crowd };
}
