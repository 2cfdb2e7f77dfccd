/** GET /api/users/me, the session check of every client, against the least that a server could do. */

import { measureLoad, takeTurns } from "../kit/measure.ts";
import { cpuOf, rateOf, ratios } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { seedSessions } from "../kit/seed.ts";

const CONNECTIONS = 32;
const SESSIONS = 1_000;
/** A process remembers the last 50,000 tokens it verified: whoever goes round more than that finds each forgotten again. */
const FRESH_TOKENS = 60_000;
/** Of one row by primary key, as any service would have it. */
const FLOOR = {
  text: "select id, username, email, display_name, avatar_url, bio, roles, status, created_at, updated_at from users where id = $1",
  values: ["viewer"],
};

/** The floor verifies every token and asks the database once; of ours, once a token was seen, neither token nor session is looked up again. */
export const me: Scenario = {
  name: "me",
  summary: "GET /api/users/me by 1,000 sessions; floor: node:http, ES256 verify, one named statement",
  run: async (bench) => {
    const database = await bench.database();
    await seedSessions(database.client, { from: 1, count: SESSIONS });
    await database.settle();
    const [api, floor, load] = [await bench.api(database), await bench.floorRead(database, FLOOR), await bench.load()];
    const request = (number: number): { method: string; path: string; token: string } => ({
      method: "GET",
      path: "/api/users/me",
      token: bench.token(1 + (number % SESSIONS)),
    });
    await load.learn({ name: "cached", requests: Array.from({ length: SESSIONS }, (_, number) => request(number)) });
    const fresh = bench.pace.quick ? 10_000 : FRESH_TOKENS;
    await load.learn({ name: "fresh", requests: Array.from({ length: fresh }, (_, number) => request(number)) });
    const side = (server: { readonly pid: number; readonly port: number }, script: string) => (durationMs: number) =>
      measureLoad(bench, load, { pid: server.pid, plan: { script, port: server.port, connections: CONNECTIONS, durationMs } });
    const sides = await takeTurns(bench, { cached: side(api, "cached"), floor: side(floor, "cached"), fresh: side(api, "fresh") });
    return {
      sides,
      figures: [
        {
          name: "cached token ÷ floor, rate",
          unit: "×",
          values: ratios(sides.cached, sides.floor, rateOf),
          target: { is: "at least", bound: 1.2 },
        },
        {
          name: "fresh token ÷ floor, rate",
          unit: "×",
          values: ratios(sides.fresh, sides.floor, rateOf),
          target: { is: "at least", bound: 0.7 },
        },
        { name: "cached token ÷ floor, CPU", unit: "×", values: ratios(sides.cached, sides.floor, cpuOf) },
        { name: "fresh token ÷ floor, CPU", unit: "×", values: ratios(sides.fresh, sides.floor, cpuOf) },
      ],
    };
  },
};
