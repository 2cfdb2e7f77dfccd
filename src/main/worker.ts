/** `npm run worker`: jobs and sweeps. */

import { openCore, urlsOf } from "./deps.ts";
import { runProcess } from "./run.ts";
import { startWork } from "./work.ts";

await runProcess({
  name: "worker",
  setting: "service",
  start: (config, log) => {
    const core = openCore(config, log, urlsOf(config));
    const work = startWork(core);
    log.info({}, "worker is ready");
    return Promise.resolve({
      stop: async (signal: AbortSignal) => {
        await work.stop(signal);
        await core[Symbol.asyncDispose]();
      },
    });
  },
});
