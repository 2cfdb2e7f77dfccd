/** An internal route called through two sidecars, as the controller does it, against the same route without them. */

import type { RequestText } from "../kit/http-connection.ts";
import { measureLoad, takeTurns, type Measured } from "../kit/measure.ts";
import { API_TOKEN, APP_TOKEN, openMesh } from "../kit/mesh.ts";
import { rateOf, ratios, type Figure } from "../kit/report.ts";
import type { Scenario } from "../kit/scenario.ts";
import { cpuMs } from "../kit/usage.ts";

const CALLER = "user-service-controller";
const PATH = "/internal/restrictions/kubernetes?limit=1";
/** Calls at once: the controller's workers. */
const AT_ONCE = 8;

/** The floor sends what the API's daprd sends: its token, and the name of the caller. */
const THROUGH: RequestText = {
  method: "GET",
  path: `/v1.0/invoke/user-service/method${PATH}`,
  headers: { "dapr-api-token": API_TOKEN },
};
const PLAIN: RequestText = { method: "GET", path: PATH, headers: { "dapr-api-token": APP_TOKEN, "dapr-caller-app-id": CALLER } };

export const invoke: Scenario = {
  name: "invoke",
  summary: `GET ${PATH}: controller's daprd → API's daprd → API, ${AT_ONCE} at once and alone; floor: the same request to the API's sidecar listener`,
  run: async (bench) => {
    const opened = await openMesh(bench);
    if ("missing" in opened) return { sides: {}, figures: [], notes: [opened.missing] };
    const { mesh } = opened;
    const database = await bench.database();
    await database.settle();
    const api = await mesh.api(database);
    const caller = await mesh.sidecarOf(CALLER);
    const load = await bench.load();
    await load.learn({ name: "invoked", requests: [THROUGH] });
    await load.learn({ name: "direct", requests: [PLAIN] });
    const { pid } = api.process;
    const daprds = [caller.program.pid, api.daprd.program.pid];
    const daprdMs: number[] = [];
    const side =
      (script: string, port: number, connections: number) =>
      async (durationMs: number): Promise<Measured> => {
        const before = sumOf(daprds);
        const measured = await measureLoad(bench, load, { pid, plan: { script, port, connections, durationMs } });
        if (script === "invoked" && connections > 1) daprdMs.push((sumOf(daprds) - before) / measured.count);
        return measured;
      };
    const sides = await takeTurns(bench, {
      invoked: side("invoked", caller.httpPort, AT_ONCE),
      direct: side("direct", api.sidecarPort, AT_ONCE),
      "invoked, alone": side("invoked", caller.httpPort, 1),
      "direct, alone": side("direct", api.sidecarPort, 1),
    });
    return {
      sides,
      figures: [
        { name: "invoked ÷ direct, rate", unit: "×", values: ratios(sides.invoked, sides.direct, rateOf) },
        added("two sidecars add, alone, p50", sides["invoked, alone"], sides["direct, alone"], "p50"),
        added("the same, p99", sides["invoked, alone"], sides["direct, alone"], "p99"),
        // The first was to warm up.
        { name: "CPU of both sidecars, a call", unit: "CPU-ms", values: daprdMs.slice(1) },
      ],
    };
  },
};

function added(name: string, through: readonly Measured[], plain: readonly Measured[], which: "p50" | "p99"): Figure {
  const of = (measured: Measured | undefined): number => measured?.latency?.[which] ?? Number.NaN;
  return { name, unit: "ms", values: through.map((measured, round) => of(measured) - of(plain[round])) };
}

function sumOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
}
