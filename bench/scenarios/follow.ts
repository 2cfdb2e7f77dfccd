/** Following and unfollowing: many who follow one, against many who follow one each. */

import { drained } from "../kit/events.ts";
import type { RequestText } from "../kit/http-connection.ts";
import { takeTurns, withCpu, type Measured } from "../kit/measure.ts";
import { cpuOf, rateOf, ratios } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { seedSessions, userIdOf } from "../kit/seed.ts";
import { rssBytes } from "../kit/usage.ts";

const CONNECTIONS = 32;
/** Each follows, and the next time round follows no more. */
const FOLLOWERS = 2_000;
const HOT = FOLLOWERS + 1;

/** With the worker, which folds the counters, and with the relay, which tells of each follow. What is left in the outbox is waited for, and its cost counted. */
export const follow: Scenario = {
  name: "follow",
  summary: `POST and DELETE /api/users/:id/follow by ${FOLLOWERS} people: all one followee (hot), or one each (spread)`,
  run: async (bench) => {
    const database = await bench.database();
    await seedSessions(database.client, { from: 1, count: FOLLOWERS });
    await database.client.query("delete from follows where followee_id = $1::uuid", [userIdOf(HOT)]);
    await database.settle();
    const [api, worker, load] = [await bench.api(database), await bench.worker(database), await bench.load()];
    const tokens = Array.from({ length: FOLLOWERS }, (_, number) => bench.token(number + 1));
    const each = (method: string, followee: (follower: number) => number): RequestText[] =>
      tokens.map((token, number) => ({ method, path: `/api/users/${userIdOf(followee(number + 1))}/follow`, token }));
    const bothWays = (followee: (follower: number) => number): RequestText[] => [...each("POST", followee), ...each("DELETE", followee)];
    await load.learn({ name: "hot", requests: bothWays(() => HOT) });
    await load.learn({ name: "spread", requests: bothWays((follower) => HOT + follower) });
    const side =
      (script: string) =>
      async (durationMs: number): Promise<Measured> => {
        const { result, serviceMs, postgresMs } = await withCpu(bench, [api.pid, worker.pid], async () => {
          const served = await load.served({ script, port: api.port, connections: CONNECTIONS, durationMs });
          await drained(database.client);
          return served;
        });
        const { rate, served: count, latency } = result;
        const rssMb = rssBytes(api.pid) / 2 ** 20;
        return { rate, count, latency, serviceCpuMs: serviceMs / count, postgresCpuMs: postgresMs / count, rssMb };
      };
    const sides = await takeTurns(bench, { hot: side("hot"), spread: side("spread") });
    return {
      sides,
      figures: [
        { name: "hot ÷ spread, rate", unit: "×", values: ratios(sides.hot, sides.spread, rateOf), target: { is: "at least", bound: 0.7 } },
        { name: "CPU of a follow, worker and PostgreSQL included", unit: "CPU-ms", values: sides.spread.map(cpuOf) },
      ],
    };
  },
};
