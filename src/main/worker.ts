/** `npm run worker`: jobs and sweeps, and the relay of the outbox where daprd is the sidecar. */

import { openCore, urlsOf } from "./deps.ts";
import { startOutflow } from "./event-flow.ts";
import { coreChecks } from "./checks.ts";
import { openHealthDoor } from "./health-door.ts";
import { runProcess } from "./run.ts";
import { openSidecarDoor } from "./sidecar-door.ts";
import { startWork } from "./work.ts";

await runProcess({
  name: "worker",
  setting: "worker",
  start: async (config, log) => {
    const core = await openCore(config, log, urlsOf(config));
    // The in-process sidecar delivers in its own process only: there the API relays.
    const outflow = config.sidecar === "dapr" ? startOutflow(core) : undefined;
    const work = await startWork(core);
    const health = await openHealthDoor(core, { checks: [...coreChecks(core), ...work.checks] });
    const door = await openSidecarDoor(core, []);
    log.info({}, "worker is ready");
    return {
      stop: async (signal: AbortSignal) => {
        await Promise.all([work.stop(signal), outflow?.stop(signal)]);
        await door?.stop(signal);
        await health?.stop(signal);
        await core[Symbol.asyncDispose]();
      },
    };
  },
});
