/** From a moderator's decision to the last socket closed and the last request served, over two API processes. */

import type { Api, Bench } from "../kit/bench.ts";
import type { LoadProcess } from "../kit/load-process.ts";
import type { LoadResult } from "../kit/load-plan.ts";
import type { Program } from "../kit/process.ts";
import type { Outcome } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { appoint, seedSessions, userIdOf } from "../kit/seed.ts";
import { quantile } from "../kit/statistics.ts";
import type { Closings } from "../programs/sockets.ts";

/** Requests a second to each process with the token of whom is banned: more than a client sends, and the two cores still have time. */
const HAMMER_RATE = 200;
const HAMMER_CONNECTIONS = 8;
const LEAD_MS = 200;
const HAMMER_MS = 1_300;
const CLOSED_WITHIN_MS = 5_000;

interface Stage {
  readonly bench: Bench;
  readonly apis: readonly Api[];
  readonly loads: readonly LoadProcess[];
  readonly clients: Program;
  readonly socketsEach: number;
  /** Of the moderator. */
  readonly token: string;
}

interface Ban {
  /** From sending the decision to its answer. */
  readonly answeredMs: number;
  /** From sending the decision to the end of the victim's last connection. */
  readonly lastClosedMs: number;
  /** From sending the decision to the last answer 2xx to the victim, on either process. */
  readonly lastServedMs: number;
}

export const ban: Scenario = {
  name: "ban",
  summary: "a ban through one of two API processes: all sockets of the user on both closed, no request served any more",
  run: async (bench) => {
    const { quick } = bench.pace;
    const [bans, socketsEach, idle] = quick ? [2, 100, 100] : [20, 1_000, 1_000];
    const moderator = bans + idle + 1;
    const database = await bench.database();
    await seedSessions(database.client, { from: 1, count: moderator });
    await appoint(database.client, moderator, "moderator");
    await database.settle();
    const apis = [await bench.api(database), await bench.api(database)];
    const loads = [await bench.load(), await bench.load()];
    const clients = await bench.program("bench/programs/sockets.ts");
    const stage: Stage = { bench, apis, loads, clients, socketsEach, token: bench.token(moderator, ["user", "moderator"]) };
    const bystanders = Array.from({ length: idle }, (_, number) => bench.token(bans + number + 1));
    await clients.call("open", { group: "bystanders", ports: apis.map(({ port }) => port), tokens: bystanders });
    const all: Ban[] = [];
    for (let victim = 1; victim <= bans; victim += 1) all.push(await banned(stage, victim));
    const spared = await clients.call<Closings>("closings", { group: "bystanders", withinMs: 0 });
    if (spared.closed > 0) throw new Error(`${spared.closed} connections of others were closed too`);
    return outcomeOf(all, { idle, socketsEach });
  },
};

async function banned(stage: Stage, victim: number): Promise<Ban> {
  const { bench, apis, loads, clients } = stage;
  const group = `victim ${victim}`;
  const token = bench.token(victim);
  const tokens = Array.from({ length: stage.socketsEach }, () => token);
  await clients.call("open", { group, ports: apis.map(({ port }) => port), tokens });
  const script = `me-${victim}`;
  const hammering = apis.map(async ({ port }, index): Promise<LoadResult> => {
    const load = loads[index] as LoadProcess;
    await load.learn({ name: script, requests: [{ method: "GET", path: "/api/users/me", token }] });
    return await load.run({ script, port, connections: HAMMER_CONNECTIONS, durationMs: LEAD_MS + HAMMER_MS, ratePerSecond: HAMMER_RATE });
  });
  await new Promise((resolve) => setTimeout(resolve, LEAD_MS));
  const decidedNs = process.hrtime.bigint();
  await decide(stage, victim);
  const answeredMs = msBetween(decidedNs, process.hrtime.bigint());
  const closings = await clients.call<Closings>("closings", { group, withinMs: CLOSED_WITHIN_MS });
  if (closings.stillOpen > 0) throw new Error(`${closings.stillOpen} connections were still open ${CLOSED_WITHIN_MS} ms after the ban`);
  const hammered = await Promise.all(hammering);
  for (const { statuses, broken } of hammered) {
    if (statuses["403"] === undefined || broken > 0)
      throw new Error(`the banned were not refused: ${JSON.stringify(statuses)}, ${broken} broken`);
  }
  return {
    answeredMs,
    lastClosedMs: msBetween(decidedNs, BigInt(closings.lastClosedNs)),
    lastServedMs: Math.max(...hammered.map(({ lastServedNs }) => msBetween(decidedNs, BigInt(lastServedNs)))),
  };
}

async function decide({ apis, token }: Stage, victim: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${apis[0]?.port}/api/moderation/users/${userIdOf(victim)}/restrictions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ kind: "ban", reason: "spam" }),
    signal: AbortSignal.timeout(CLOSED_WITHIN_MS),
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`the ban was answered ${response.status}: ${text}`);
}

function msBetween(fromNs: bigint, toNs: bigint): number {
  return Number(toNs - fromNs) / 1e6;
}

function outcomeOf(bans: readonly Ban[], { idle, socketsEach }: { readonly idle: number; readonly socketsEach: number }): Outcome {
  const p99 = (of: (one: Ban) => number): number[] => [quantile(bans.map(of), 0.99)];
  return {
    sides: {},
    figures: [
      { name: "decision answered", unit: "ms", values: bans.map(({ answeredMs }) => answeredMs) },
      { name: `decision → last of ${socketsEach} sockets closed`, unit: "ms", values: bans.map(({ lastClosedMs }) => lastClosedMs) },
      { name: "the same, p99", unit: "ms", values: p99(({ lastClosedMs }) => lastClosedMs), target: { is: "at most", bound: 250 } },
      { name: "decision → last request served", unit: "ms", values: bans.map(({ lastServedMs }) => lastServedMs) },
      { name: "the same, p99", unit: "ms", values: p99(({ lastServedMs }) => lastServedMs), target: { is: "at most", bound: 1_000 } },
    ],
    notes: [
      `${bans.length} bans; ${idle} sockets of others stay open; the banned token is sent ${HAMMER_RATE} times a second to each process; all times from sending the decision; p99 of so few is the worst`,
    ],
  };
}
