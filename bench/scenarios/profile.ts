/** GET /api/users/:id, the read that every page makes many times. */

import { selectPerson } from "#src/features/profiles/profiles.sql";
import { measureLoad, takeTurns } from "../kit/measure.ts";
import { cpuOf, rateOf, ratios } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { seedSessions, userIdOf } from "../kit/seed.ts";
import { statementOf } from "../kit/statement.ts";

const CONNECTIONS = 32;
const SESSIONS = 1_000;
const REQUESTS = 5_000;

export const profile: Scenario = {
  name: "profile",
  summary: "GET /api/users/:id of random people; floor: node:http, ES256 verify, the same statement on raw pg",
  run: async (bench) => {
    const database = await bench.database();
    await seedSessions(database.client, { from: 1, count: SESSIONS });
    await database.settle();
    const statement = await statementOf((db) => selectPerson(db, "viewer", { id: "path" }));
    const [api, floor, load] = [await bench.api(database), await bench.floorRead(database, statement), await bench.load()];
    const tokens = Array.from({ length: SESSIONS }, (_, number) => bench.token(number + 1));
    const requests = Array.from({ length: REQUESTS }, (_, number) => ({
      method: "GET",
      path: `/api/users/${userIdOf(1 + Math.floor(Math.random() * bench.pace.people))}`,
      token: tokens[number % SESSIONS] ?? "",
    }));
    await load.learn({ name: "profile", requests });
    const side = (server: { readonly pid: number; readonly port: number }) => (durationMs: number) =>
      measureLoad(bench, load, { pid: server.pid, plan: { script: "profile", port: server.port, connections: CONNECTIONS, durationMs } });
    const sides = await takeTurns(bench, { profile: side(api), floor: side(floor) });
    return {
      sides,
      figures: [
        { name: "profile ÷ floor, rate", unit: "×", values: ratios(sides.profile, sides.floor, rateOf) },
        { name: "profile ÷ floor, CPU", unit: "×", values: ratios(sides.profile, sides.floor, cpuOf) },
      ],
    };
  },
};
