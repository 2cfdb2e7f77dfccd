/** Events from the outbox through relay, daprd and RabbitMQ to a neighbour, against the same events POSTed to the same daprd. */

import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Api, Bench, Database } from "../kit/bench.ts";
import { drained, fillOutbox, writeBodies, type Filling } from "../kit/events.ts";
import { HttpConnection, httpRequest } from "../kit/http-connection.ts";
import { takeTurns, withCpu, type Measured } from "../kit/measure.ts";
import { API_TOKEN, openMesh, type Beside, type Mesh } from "../kit/mesh.ts";
import type { Program } from "../kit/process.ts";
import { ratios, rateOf, type Figure } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { seedSessions, userIdOf } from "../kit/seed.ts";
import { quantile, spreadOf } from "../kit/statistics.ts";
import { cpuMs } from "../kit/usage.ts";
import type { Published } from "../programs/publisher.ts";
import type { Arrivals } from "../programs/subscriber.ts";

/** The relay's `maxInFlight`: what is POSTed directly has as many in flight. */
const AT_ONCE = 64;
/** Events of each person in one filling: of a person one is in flight at a time. */
const EACH = 2;
/** Of one round for each ms it should take. */
const EVENTS_PER_MS = 1;
const SLOWEST_RATE = 100;
const ARRIVES_WITHIN_MS = 20_000;
/** Between lone events: no multiple of the relay's poll, and then some by chance. */
const PAUSE_MS = 60;
/** Where the API gets what was published. */
const OWN_QUEUE = "user-service-users.v1";

interface Stage {
  readonly bench: Bench;
  readonly database: Database;
  readonly mesh: Mesh;
  readonly api: Beside<Api>;
  readonly worker: Beside<Program>;
  readonly subscriber: Program;
  readonly publisher: Program;
  readonly neighbourPid: number;
}

export const publish: Scenario = {
  name: "publish",
  summary: `outbox → relay → daprd → RabbitMQ → a neighbour's daprd; floor: the same events POSTed to that daprd, ${AT_ONCE} in flight`,
  run: async (bench) => {
    const opened = await openMesh(bench);
    if ("missing" in opened) return { sides: {}, figures: [], notes: [opened.missing] };
    const stage = await openStage(bench, opened.mesh);
    const idle = await loneEvents(stage);
    const sides = await takeTurns(bench, {
      outbox: (durationMs) => relayed(stage, eventsOf(durationMs)),
      direct: (durationMs) => posted(stage, eventsOf(durationMs)),
    });
    const backlog = await drainBacklog(stage, spreadOf(sides.outbox.map(rateOf)).median);
    const raw = await sendRaw(stage);
    await requireNoTrouble(stage);
    return {
      sides,
      figures: [
        {
          name: "outbox ÷ direct, rate",
          unit: "×",
          values: ratios(sides.outbox, sides.direct, rateOf),
          target: { is: "at least", bound: 0.7 },
        },
        ...idle,
        ...backlog.figures,
        ...raw,
      ],
      notes: [
        "rates are of the neighbour's first arrivals or of the receipts in the outbox, whichever is less; CPU-ms service is worker and API",
        "of direct events the outbox has rows that are done: the API takes them for genuine, calls its consumers, and has nothing to mark",
        backlog.note,
      ],
    };
  },
};

async function openStage(bench: Bench, mesh: Mesh): Promise<Stage> {
  const database = await bench.database();
  const tries = triesOf(bench);
  await seedSessions(database.client, { from: 1, count: tries });
  await database.client.query("delete from follows where followee_id = $1::uuid", [userIdOf(bench.pace.people)]);
  await database.settle();
  const subscriber = await bench.program("bench/programs/subscriber.ts");
  const neighbour = await mesh.neighbour(await subscriber.call<number>("port"));
  const api = await mesh.api(database);
  const worker = await mesh.worker(database);
  const publisher = await bench.program("bench/programs/publisher.ts");
  return { bench, database, mesh, api, worker, subscriber, publisher, neighbourPid: neighbour.program.pid };
}

function eventsOf(durationMs: number): number {
  return Math.round((durationMs * EVENTS_PER_MS) / EACH) * EACH;
}

function triesOf({ pace }: Bench): number {
  return pace.quick ? 30 : 150;
}

/** People of whom the next `count` are; round and round, but for those whose lone events are waited for. */
function peopleFor(stage: Stage, count: number): Filling {
  const people = count / EACH;
  const { people: all } = stage.bench.pace;
  return { from: 1 + Math.floor(Math.random() * (all - people)), people, each: EACH };
}

async function relayed(stage: Stage, count: number): Promise<Measured> {
  const { subscriber, database } = stage;
  await subscriber.call("forget");
  const filled = await fillOutbox(database.client, peopleFor(stage, count));
  return await measured(stage, count, async () => {
    const arrivals = await arrived(subscriber, count);
    await drained(database.client);
    const { rows } = await database.client.query<{ seconds: number }>(
      "select extract(epoch from max(done_at) - min(done_at))::float8 as seconds from outbox where id = any ($1::uuid[])",
      [filled.map(({ id }) => id)],
    );
    return Math.min(rateFrom(arrivals.atMs), (count - 1) / (rows[0]?.seconds ?? Number.NaN));
  });
}

async function posted(stage: Stage, count: number): Promise<Measured> {
  const { bench, subscriber, publisher, database, worker } = stage;
  await subscriber.call("forget");
  const file = join(bench.folder, "direct.jsonl");
  await writeBodies(file, await fillOutbox(database.client, { ...peopleFor(stage, count), isDone: true }));
  const headers = { "content-type": "application/cloudevents+json", "dapr-api-token": API_TOKEN };
  const posting = { file, port: worker.daprd.httpPort, path: "/v1.0/publish/pubsub/users.v1", headers, atOnce: AT_ONCE };
  return await measured(stage, count, async () => {
    const [arrivals] = await Promise.all([arrived(subscriber, count), publisher.call<Published>("post", posting)]);
    await taken(stage.mesh);
    return rateFrom(arrivals.atMs);
  });
}

/** What the API has not taken yet of a direct round would fall on the next one: the relay stands still while receipts are behind. */
async function taken({ rabbit }: Mesh): Promise<void> {
  while ((await rabbit.waitingIn(OWN_QUEUE)) > 0) await setTimeout(50);
  // And what is under way to it, at most as much as its prefetch count.
  await setTimeout(300);
}

async function measured(stage: Stage, count: number, work: () => Promise<number>): Promise<Measured> {
  const { bench, api, worker } = stage;
  const { result, serviceMs, postgresMs } = await withCpu(bench, [api.process.pid, worker.process.pid], work);
  return { rate: result, count, serviceCpuMs: serviceMs / count, postgresCpuMs: postgresMs / count };
}

function arrived(subscriber: Program, count: number): Promise<Arrivals> {
  return subscriber.call<Arrivals>("arrivals", { count, withinMs: ARRIVES_WITHIN_MS + (count / SLOWEST_RATE) * 1_000 });
}

function rateFrom(atMs: readonly number[]): number {
  const lastMs = atMs.at(-1) ?? 0;
  return (atMs.length - 1) / ((lastMs - (atMs[0] ?? 0)) / 1_000);
}

/** One at a time, from the answer to the commit, and from sending a request that makes one. */
async function loneEvents(stage: Stage): Promise<Figure[]> {
  const { bench, database, subscriber, api } = stage;
  const tries = triesOf(bench);
  const followee = userIdOf(bench.pace.people);
  const [committed, requested]: [number[], number[]] = [[], []];
  using connection = await HttpConnection.open(api.process.port);
  const lone = async (person: number, make: () => Promise<bigint>): Promise<number> => {
    await setTimeout(PAUSE_MS + Math.random() * PAUSE_MS);
    const fromNs = await make();
    const atNs = await subscriber.call<string>("arrivalOf", { subject: userIdOf(person), withinMs: ARRIVES_WITHIN_MS });
    return Number(BigInt(atNs) - fromNs) / 1e6;
  };
  await subscriber.call("forget");
  // daprd subscribes once the API's health is known to it, up to a second after its start.
  await lone(2 * tries + 1, () => fillOutbox(database.client, { from: 2 * tries + 1, people: 1, each: 1 }).then(() => 0n));
  await drained(database.client);
  for (let person = 1; person <= tries; person += 1) {
    requested.push(
      await lone(person, async () => {
        const fromNs = process.hrtime.bigint();
        const request = httpRequest({ method: "POST", path: `/api/users/${followee}/follow`, token: bench.token(person) });
        const { status, body } = await connection.send(request);
        if (status >= 300) throw new Error(`a follow was answered ${status}: ${body()}`);
        return fromNs;
      }),
    );
    committed.push(
      await lone(tries + person, async () => {
        await fillOutbox(database.client, { from: tries + person, people: 1, each: 1 });
        return process.hrtime.bigint();
      }),
    );
  }
  return [
    { name: "commit → consumer, idle, p50", unit: "ms", values: [quantile(committed, 0.5)], target: { is: "at most", bound: 25 } },
    { name: "the same, p99", unit: "ms", values: [quantile(committed, 0.99)] },
    { name: "request sent → consumer, idle, p50", unit: "ms", values: [quantile(requested, 0.5)] },
    { name: "the same, p99", unit: "ms", values: [quantile(requested, 0.99)] },
  ];
}

/** The rate of a large backlog, window by window; the last one is cut short and left out. */
async function drainBacklog(stage: Stage, steadyRate: number): Promise<{ readonly figures: Figure[]; readonly note: string }> {
  const { bench, database, subscriber } = stage;
  const window = eventsOf(bench.pace.roundMs);
  const waiting = bench.pace.quick ? 10_000 : 100_000;
  await subscriber.call("forget");
  await fillOutbox(database.client, { from: 1, people: waiting / EACH, each: EACH });
  const before = publishingCpu(stage);
  const { atMs, repeats } = await arrived(subscriber, waiting);
  const after = publishingCpu(stage);
  await drained(database.client);
  const windows = Array.from({ length: Math.floor(waiting / window) }, (_, index) => atMs.slice(index * window, (index + 1) * window));
  const cpu = Object.entries(after).map(([name, ms]) => `${name} ${((ms - (before[name] ?? 0)) / waiting).toFixed(2)}`);
  return {
    figures: [
      {
        name: `${waiting} waiting ÷ steady, rate, windows of ${window}`,
        unit: "×",
        values: windows.map((times) => rateFrom(times) / steadyRate),
        target: { is: "at least", bound: 0.9 },
      },
    ],
    note: `${waiting} waiting events in ${((atMs.at(-1) ?? 0) / 1_000).toFixed(1)} s, ${repeats} came twice; CPU-ms an event: ${cpu.join(", ")}`,
  };
}

/** Of every process an event goes through, in ms so far. */
function publishingCpu({ api, worker, mesh, neighbourPid }: Stage): Readonly<Record<string, number>> {
  return {
    worker: cpuMs(worker.process.pid),
    "its daprd": cpuMs(worker.daprd.program.pid),
    RabbitMQ: cpuMs(mesh.rabbit.pid),
    api: cpuMs(api.process.pid),
    "api's daprd": cpuMs(api.daprd.program.pid),
    "neighbour's daprd": cpuMs(neighbourPid),
  };
}

/** What the broker takes from a client of its own: one at a time, as daprd's component does it, and as many as the relay has in flight. */
async function sendRaw({ bench, publisher, mesh }: Stage): Promise<Figure[]> {
  const file = join(bench.folder, "direct.jsonl");
  const send = async (atOnce: number): Promise<number> =>
    (await publisher.call<Published>("send", { file, url: mesh.rabbit.url, atOnce })).rate;
  return [
    { name: "raw confirmed publishes, 1 in flight", unit: "/s", values: [await send(1)] },
    { name: `raw confirmed publishes, ${AT_ONCE} in flight`, unit: "/s", values: [await send(AT_ONCE)] },
  ];
}

/** Figures of events that were refused would be a lie. */
async function requireNoTrouble({ database }: Stage): Promise<void> {
  const { rows } = await database.client.query<{ reason: string }>("select reason from inbox where verdict <> 'SUCCESS' limit 1");
  if (rows[0] !== undefined) throw new Error(`an event was not taken by the API: ${rows[0].reason}`);
}
