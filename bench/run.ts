/** `npm run bench [-- scenario… --quick --users=N]`: measures, prints a table a scenario, and writes `bench/results/<scenario>.json`. */

import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { leaveWithParent } from "#src/main/leave-with-parent";
import { Bench } from "./kit/bench.ts";
import { FULL, QUICK, openGround, type Pace } from "./kit/ground.ts";
import { machine } from "./kit/machine.ts";
import { resultOf, tableOf } from "./kit/report.ts";
import type { Scenario } from "./kit/scenario.ts";
import { ban } from "./scenarios/ban.ts";
import { enumeration } from "./scenarios/enumeration.ts";
import { follow } from "./scenarios/follow.ts";
import { invoke } from "./scenarios/invoke.ts";
import { loginIsolation } from "./scenarios/login-isolation.ts";
import { login } from "./scenarios/login.ts";
import { me } from "./scenarios/me.ts";
import { million } from "./scenarios/million.ts";
import { passkey } from "./scenarios/passkey.ts";
import { people } from "./scenarios/people.ts";
import { profile } from "./scenarios/profile.ts";
import { publish } from "./scenarios/publish.ts";
import { refresh } from "./scenarios/refresh.ts";
import { sockets } from "./scenarios/sockets.ts";
import { totp } from "./scenarios/totp.ts";
import { userban } from "./scenarios/userban.ts";

const SCENARIOS: readonly Scenario[] = [
  me,
  profile,
  login,
  loginIsolation,
  totp,
  passkey,
  enumeration,
  refresh,
  million,
  people,
  follow,
  ban,
  sockets,
  publish,
  invoke,
  userban,
];
const RESULTS = fileURLToPath(new URL("./results/", import.meta.url));

const { values, positionals } = parseArgs({
  options: { quick: { type: "boolean", default: false }, users: { type: "string" } },
  allowPositionals: true,
});
const chosen = positionals.length === 0 ? SCENARIOS : SCENARIOS.filter(({ name }) => positionals.includes(name));
const unknown = positionals.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
if (unknown.length > 0 || process.platform !== "linux") {
  const names = SCENARIOS.map(({ name, summary }) => `  ${name.padEnd(16)}${summary}`).join("\n");
  console.error(
    process.platform === "linux"
      ? `No scenario ${unknown.join(", ")}. There are:\n${names}`
      : "The bench reads CPU and memory from /proc: Linux only.",
  );
  process.exit(2);
}

const running = new AsyncDisposableStack();
const leaving = leaveOnSignal();
try {
  await measureAll(chosen, paceOf(values));
  await running.disposeAsync();
  // It was listened to, which keeps a process that has nothing left to do.
  process.channel?.unref();
} catch (error) {
  // What breaks because it is being ended is no news.
  if (leaving.hasBegun()) await new Promise(() => {});
  await running.disposeAsync();
  throw error;
}

function paceOf({ quick, users }: { readonly quick: boolean; readonly users?: string }): Pace {
  const pace = quick ? QUICK : FULL;
  return users === undefined ? pace : { ...pace, users: Number(users) };
}

async function measureAll(scenarios: readonly Scenario[], pace: Pace): Promise<void> {
  const ground = running.use(await openGround(pace));
  const on = { machine: machine(ground.postgresVersion), quick: pace.quick };
  console.log(
    `Node ${on.machine.node}, PostgreSQL ${on.machine.postgres}, ${on.machine.cores} × ${on.machine.cpu}, load ${on.machine.load.toFixed(2)}`,
  );
  await mkdir(RESULTS, { recursive: true });
  for (const scenario of scenarios) {
    const bench = running.use(new Bench(ground));
    const outcome = await scenario.run(bench);
    await bench[Symbol.asyncDispose]();
    console.log(tableOf(scenario, outcome));
    await writeFile(`${RESULTS}${scenario.name}.json`, `${JSON.stringify(resultOf(scenario, outcome, on), undefined, 2)}\n`);
  }
}

/** Ends what runs, in order. Killed, we cannot; then each program sees its channel to us close and ends by itself. */
function leaveOnSignal(): { readonly hasBegun: () => boolean } {
  let hasBegun = false;
  const leave = (): void => {
    if (hasBegun) return;
    hasBegun = true;
    void running.disposeAsync().finally(() => process.exit(130));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, leave);
  leaveWithParent(leave);
  return { hasBegun: () => hasBegun };
}
