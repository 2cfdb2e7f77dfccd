/** POST /api/auth/login with the right password, against the hash alone. */

import { availableParallelism } from "node:os";
import { createPasswordHasher } from "#src/features/sign-in/public";
import type { HashPlan } from "../programs/floor-hash.ts";
import type { Bench, Database } from "../kit/bench.ts";
import { measureLoad, takeTurns, withCpu, type Measured } from "../kit/measure.ts";
import { rateOf, ratios } from "../kit/report.ts";
import type { RequestText } from "../kit/http-connection.ts";
import type { Scenario } from "../kit/scenario.ts";
import { seedPasswords } from "../kit/seed.ts";

/** bcrypt's, the service's default. */
export const COST = 12;
const PASSWORD = "securepass of the bench";
const PEOPLE = 500;
/** Logins at once: enough to keep every hash thread busy, few enough to stay in their queue. */
const AT_ONCE = availableParallelism() * 4;
/** A hash takes 200 ms of a core: a round must hold many. */
const PACE = { rounds: 4, roundMs: 4_500, warmUpMs: 1_000 };
const QUICK_PACE = { rounds: 1, roundMs: 1_000, warmUpMs: 200 };

/** People 1 to 500 with a password, and their logins as requests. */
export async function peopleWhoLogIn(database: Database): Promise<{ readonly stored: string; readonly requests: readonly RequestText[] }> {
  const hasher = createPasswordHasher({ cost: COST, threads: 1 });
  const stored = await hasher.hash(PASSWORD);
  await hasher.close();
  await seedPasswords(database.client, PEOPLE, stored);
  const requests = Array.from({ length: PEOPLE }, (_, number) => ({
    method: "POST",
    path: "/api/auth/login",
    body: JSON.stringify({ emailOrUsername: `person${number + 1}`, password: PASSWORD }),
  }));
  return { stored, requests };
}

export const login: Scenario = {
  name: "login",
  summary: `POST /api/auth/login, bcrypt at cost ${COST}, ${AT_ONCE} at once; floor: the hash alone in the same threads`,
  run: async (bench) => {
    const database = await bench.database();
    const { stored, requests } = await peopleWhoLogIn(database);
    await database.settle();
    const [api, load] = [await bench.api(database), await bench.load()];
    await load.learn({ name: "login", requests });
    const plan = { script: "login", port: api.port, connections: AT_ONCE };
    const floor = await hashFloor(bench, stored);
    const sides = await takeTurns(
      bench,
      { login: (durationMs: number) => measureLoad(bench, load, { pid: api.pid, plan: { ...plan, durationMs } }), floor },
      bench.pace.quick ? QUICK_PACE : PACE,
    );
    return {
      sides,
      figures: [
        {
          name: "login ÷ hash floor, rate",
          unit: "×",
          values: ratios(sides.login, sides.floor, rateOf),
          target: { is: "at least", bound: 0.93 },
        },
      ],
    };
  },
};

async function hashFloor(bench: Bench, stored: string): Promise<(durationMs: number) => Promise<Measured>> {
  const program = await bench.program("bench/programs/floor-hash.ts");
  return async (durationMs) => {
    const plan: HashPlan = { cost: COST, password: PASSWORD, stored, atOnce: AT_ONCE, durationMs };
    const { result, serviceMs } = await withCpu(bench, [program.pid], () => program.call<{ count: number; rate: number }>("run", plan));
    return { rate: result.rate, count: result.count, serviceCpuMs: serviceMs / result.count };
  };
}
