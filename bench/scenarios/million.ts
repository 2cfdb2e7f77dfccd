/** Whether a session check or a refresh takes longer where there are a million people than where there are a thousand. */

import { holdKeyRing } from "#src/features/sessions/key-ring-source";
import { createRefreshTokens } from "#src/features/sessions/refresh-token";
import { systemClock } from "#src/kernel/clock";
import type { Api, Bench, Database } from "../kit/bench.ts";
import type { LoadResult } from "../kit/load-plan.ts";
import type { LoadProcess } from "../kit/load-process.ts";
import { measureLoad, takeTurns, type Measured } from "../kit/measure.ts";
import { ratios } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { seedCrowd, sessionIdOf } from "../kit/seed.ts";

const SMALL = 1_000;
const LARGE = 1_000_000;
const QUICK_LARGE = 100_000;
/** Whose sessions are in use, in both databases, and then of others of the large one. */
const ACTIVE = 1_000;
const MANY_ACTIVE = 20_000;
/** A second, far below what a machine can do: asked is how long one takes, not how many there can be. */
const RATE = 300;
const CONNECTIONS = 64;
/** A p95 wants some hundreds of answers a round. */
const PACE = { rounds: 5, roundMs: 3_000, warmUpMs: 2_000 };
const QUICK_PACE = { rounds: 2, roundMs: 700, warmUpMs: 300 };
/** For the first request of each session, without a pause between them. */
const FIRST_PASS_MS = 60_000;

/** Some people of a database, whose sessions are in use. */
interface Active {
  readonly name: string;
  readonly database: Database;
  readonly numbers: readonly number[];
}

export const million: Scenario = {
  name: "million",
  summary: `GET /api/users/me and POST /api/auth/refresh at ${RATE}/s by ${ACTIVE} sessions: p95 among a million people ÷ among a thousand`,
  run: async (bench) => {
    const people = bench.pace.quick ? QUICK_LARGE : LARGE;
    const startMs = systemClock.monotonicMs();
    const [small, large] = [await crowd(bench, SMALL), await crowd(bench, people)];
    const seededSeconds = (systemClock.monotonicMs() - startMs) / 1000;
    const [smallApi, largeApi, load] = [await bench.api(small), await bench.api(large), await bench.load()];
    await learn(bench, load, { name: "small", database: small, numbers: spread(SMALL, ACTIVE) });
    await learn(bench, load, { name: "large", database: large, numbers: spread(people, ACTIVE) });
    await learn(bench, load, { name: "many", database: large, numbers: spread(people, MANY_ACTIVE) });
    for (const database of [small, large]) await database.settle();
    const askAll = ({ port }: Api, name: string): Promise<LoadResult> =>
      load.served({ script: `first ${name}`, port, connections: CONNECTIONS, durationMs: FIRST_PASS_MS });
    await askAll(smallApi, "small");
    for (const name of ["large", "many"]) await askAll(largeApi, name);
    const side =
      ({ pid, port }: Api, script: string) =>
      (durationMs: number) =>
        measureLoad(bench, load, { pid, plan: { script, port, connections: CONNECTIONS, durationMs, ratePerSecond: RATE } });
    const sides = await takeTurns(
      bench,
      {
        "me small": side(smallApi, "me small"),
        "me large": side(largeApi, "me large"),
        "me many": side(largeApi, "me many"),
        "refresh small": side(smallApi, "refresh small"),
        "refresh large": side(largeApi, "refresh large"),
        "refresh many": side(largeApi, "refresh many"),
      },
      bench.pace.quick ? QUICK_PACE : PACE,
    );
    const { rows } = await large.client.query<{ size: string }>("select pg_size_pretty(pg_database_size(current_database())) as size");
    const target = { is: "at most", bound: 1.5 } as const;
    const many = `${MANY_ACTIVE} sessions in use`;
    return {
      sides,
      figures: [
        { name: "me p95, large ÷ small", unit: "×", values: ratios(sides["me large"], sides["me small"], p95Of), target },
        { name: "refresh p95, large ÷ small", unit: "×", values: ratios(sides["refresh large"], sides["refresh small"], p95Of), target },
        { name: `me p95, large with ${many} ÷ small`, unit: "×", values: ratios(sides["me many"], sides["me small"], p95Of) },
        {
          name: `refresh p95, large with ${many} ÷ small`,
          unit: "×",
          values: ratios(sides["refresh many"], sides["refresh small"], p95Of),
        },
      ],
      notes: [
        ...(bench.pace.quick ? [`quick: the large one has ${people} people, not ${LARGE}`] : []),
        `both made in ${seededSeconds.toFixed(0)} s; the large one is of ${rows[0]?.size}`,
      ],
    };
  },
};

function p95Of({ latency }: Measured): number {
  return latency?.p95 ?? 0;
}

async function crowd(bench: Bench, people: number): Promise<Database> {
  return (await bench.filledDatabase((admin) => seedCrowd(admin, people))).database;
}

/** So many of them, evenly over all ids, each from the middle of its share: the few are none of the many. */
function spread(people: number, count: number): number[] {
  const share = people / count;
  return Array.from({ length: count }, (_, place) => 1 + Math.floor((place + 0.5) * share));
}

/** Gives their sessions refresh tokens that the load process has, and teaches it what they ask. */
async function learn(bench: Bench, load: LoadProcess, active: Active): Promise<void> {
  const refreshTokens = createRefreshTokens(holdKeyRing(bench.ground.keyRing, systemClock));
  const tokens = active.numbers.map((number) => refreshTokens.make(sessionIdOf(number), 0));
  await active.database.client.query(
    `update refresh_tokens r set token_hash = given.hash
     from unnest($1::uuid[], $2::bytea[]) as given (session_id, hash) where r.session_id = given.session_id`,
    [tokens.map(({ sessionId }) => sessionId), tokens.map(({ hash }) => hash)],
  );
  const reads = active.numbers.map((number) => ({ method: "GET", path: "/api/users/me", token: bench.token(number) }));
  const refreshes = tokens.map(({ text }) => ({
    method: "POST",
    path: "/api/auth/refresh",
    body: JSON.stringify({ refreshToken: text }),
  }));
  await load.learn({ name: `first ${active.name}`, requests: reads, once: true });
  await load.learn({ name: `me ${active.name}`, requests: reads });
  await load.learn({ name: `refresh ${active.name}`, requests: refreshes, refreshes: true });
}
