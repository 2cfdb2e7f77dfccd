/** `npm run bench [-- scenario… --quick]`: measures, prints a table a scenario, and writes `bench/results/<scenario>.json`. */

import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { leaveWithParent } from "#src/main/leave-with-parent";
import { Bench } from "./kit/bench.ts";
import { FULL, QUICK, openGround, type Ground } from "./kit/ground.ts";
import { machine } from "./kit/machine.ts";
import { resultOf, tableOf } from "./kit/report.ts";
import type { Scenario } from "./kit/scenario.ts";
import { ban } from "./scenarios/ban.ts";
import { follow } from "./scenarios/follow.ts";
import { loginIsolation } from "./scenarios/login-isolation.ts";
import { login } from "./scenarios/login.ts";
import { me } from "./scenarios/me.ts";
import { profile } from "./scenarios/profile.ts";
import { refresh } from "./scenarios/refresh.ts";
import { sockets } from "./scenarios/sockets.ts";

const SCENARIOS: readonly Scenario[] = [me, profile, login, loginIsolation, refresh, follow, ban, sockets];
const RESULTS = fileURLToPath(new URL("./results/", import.meta.url));

const { values, positionals } = parseArgs({ options: { quick: { type: "boolean", default: false } }, allowPositionals: true });
const chosen = positionals.length === 0 ? SCENARIOS : SCENARIOS.filter(({ name }) => positionals.includes(name));
const unknown = positionals.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
if (unknown.length > 0 || process.platform !== "linux") {
  const names = SCENARIOS.map(({ name, summary }) => `  ${name.padEnd(16)}${summary}`).join("\n");
  console.error(process.platform === "linux" ? `No scenario ${unknown.join(", ")}. There are:\n${names}` : "The bench reads CPU and memory from /proc: Linux only.");
  process.exit(2);
}

let ground: Ground | undefined;
leaveOnSignal();
await using opened = await openGround(values.quick ? QUICK : FULL);
ground = opened;
const on = { machine: machine(opened.postgresVersion), quick: values.quick };
console.log(`Node ${on.machine.node}, PostgreSQL ${on.machine.postgres}, ${on.machine.cores} × ${on.machine.cpu}, load ${on.machine.load.toFixed(2)}`);
await mkdir(RESULTS, { recursive: true });
for (const scenario of chosen) {
  await using bench = new Bench(opened);
  const outcome = await scenario.run(bench);
  console.log(tableOf(scenario, outcome));
  await writeFile(`${RESULTS}${scenario.name}.json`, `${JSON.stringify(resultOf(scenario, outcome, on), undefined, 2)}\n`);
}

/** Every program ends when its channel to us closes, PostgreSQL with its folder too; where it is up already that is waited for. */
function leaveOnSignal(): void {
  let isLeaving = false;
  const leave = (): void => {
    if (isLeaving) return;
    isLeaving = true;
    void Promise.resolve(ground?.[Symbol.asyncDispose]()).finally(() => process.exit(130));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, leave);
  leaveWithParent(leave);
}
