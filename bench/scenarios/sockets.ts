/** What an idle Socket.IO connection costs in memory, against a Socket.IO server that does nothing. */

import { freePort } from "#src/embedded/free-port";
import type { Bench, Database } from "../kit/bench.ts";
import type { Program } from "../kit/process.ts";
import type { Scenario } from "../kit/scenario.ts";
import { seedSessions } from "../kit/seed.ts";
import { rssBytes } from "../kit/usage.ts";

/** RSS is taken once it has not changed by more than this for so long. */
const STEADY = { bytes: 256 * 1024, forMs: 400, withinMs: 5_000 } as const;
const COLLECTS = ["--expose-gc", "--import", new URL("../programs/collect-on-signal.ts", import.meta.url).href];

interface Server {
  readonly pid: number;
  readonly port: number;
  readonly program: Program;
}

export const sockets: Scenario = {
  name: "sockets",
  summary: "RSS of an idle socket of a user of its own; floor: bare Socket.IO with the same options",
  run: async (bench) => {
    const { quick } = bench.pace;
    const [rounds, first, count] = quick ? [1, 100, 400] : [3, 500, 2_500];
    const database = await bench.database();
    await seedSessions(database.client, { from: 1, count: first + count });
    await database.settle();
    const tokens = Array.from({ length: first + count }, (_, number) => bench.token(number + 1));
    const clients = await bench.program("bench/programs/sockets.ts");
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      ours.push(await kbEach(clients, await service(bench, database), { tokens, first }));
      bare.push(await kbEach(clients, await bareServer(bench), { tokens, first }));
    }
    return {
      sides: {},
      figures: [
        { name: "memory of a socket", unit: "KB", values: ours },
        { name: "memory of a bare socket", unit: "KB", values: bare },
        {
          name: "ours ÷ bare",
          unit: "×",
          values: ours.map((kb, round) => kb / (bare[round] ?? kb)),
          target: { is: "at most", bound: 1.25 },
        },
      ],
      notes: [
        `growth of RSS from ${first} to ${first + count} sockets, each round in a new process, garbage collected before both readings`,
      ],
    };
  },
};

/**
 * The first sockets warm the process up; what the others add is counted. Of what is kept: before each reading the garbage is
 * collected, or a heap that has just grown would count, which it does once and not for each socket.
 */
async function kbEach(
  clients: Program,
  server: Server,
  given: { readonly tokens: readonly string[]; readonly first: number },
): Promise<number> {
  const ports = [server.port];
  await using _ = server.program;
  await clients.call("open", { group: "first", ports, tokens: given.tokens.slice(0, given.first) });
  const before = await collectedRss(server.pid);
  await clients.call("open", { group: "others", ports, tokens: given.tokens.slice(given.first) });
  const after = await collectedRss(server.pid);
  for (const group of ["first", "others"]) await clients.call("drop", group);
  return (after - before) / (given.tokens.length - given.first) / 1024;
}

async function collectedRss(pid: number): Promise<number> {
  await steadyRss(pid);
  process.kill(pid, "SIGUSR2");
  return await steadyRss(pid);
}

async function steadyRss(pid: number): Promise<number> {
  let [seen, sinceMs] = [rssBytes(pid), performance.now()];
  const startMs = sinceMs;
  while (performance.now() - sinceMs < STEADY.forMs && performance.now() - startMs < STEADY.withinMs) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = rssBytes(pid);
    if (Math.abs(now - seen) > STEADY.bytes) [seen, sinceMs] = [now, performance.now()];
  }
  return rssBytes(pid);
}

function service(bench: Bench, database: Database): Promise<Server> {
  return bench.api(database, { NODE_OPTIONS: COLLECTS.join(" ") });
}

async function bareServer(bench: Bench): Promise<Server> {
  const port = await freePort();
  const program = await bench.program("bench/programs/bare-sockets.ts", {
    args: [String(port)],
    env: { NODE_OPTIONS: COLLECTS.join(" ") },
  });
  await program.ready(`http://127.0.0.1:${port}/`);
  return { program, pid: program.pid, port };
}
