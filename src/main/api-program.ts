/** The API's process, from its configuration on. */

import type { Config } from "#src/config/config";
import type { Log } from "#src/kernel/log";
import { openCore, urlsOf } from "./deps.ts";
import type { Leaving } from "./leaving.ts";
import { runProcess } from "./run.ts";
import { startApi } from "./serve.ts";
import type { Running } from "./work.ts";

/** Runs until it is told to leave. */
export function runApi(told: Leaving): Promise<void> {
  return runProcess({ name: "api", setting: "api", start: startApiProcess }, told);
}

async function startApiProcess(config: Config, log: Log, leaving: AbortSignal): Promise<Running> {
  const core = await openCore(config, log, urlsOf(config));
  const api = await startApi(core, { relaysHere: config.sidecar === "local", leaving });
  log.info({ address: config.bindAddress, port: api.port }, "api is ready");
  return {
    stop: async (signal) => {
      await api.stop(signal);
      await core[Symbol.asyncDispose]();
    },
  };
}
