/** The life of a process: configuration, start, signals, an orderly end. */

import { ConfigError, readConfig, type Config, type Setting } from "#src/config/config";
import { environment } from "#src/config/environment";
import type { Log } from "#src/kernel/log";
import { createLog } from "#src/telemetry/log";
import { leaveWithParent } from "./leave-with-parent.ts";
import type { Running } from "./work.ts";

/** What a process is made of. */
export interface ProcessSpec {
  readonly name: string;
  readonly setting: Setting;
  /** Starts it. What it opened before a failure it must close. */
  readonly start: (config: Config, log: Log) => Promise<Running>;
}

/** Requests get 10 s to finish and sockets 2; then whatever is left is cut, in ms. */
const STOP_GRACE_MS = 15_000;

/** Runs until a signal or the end of its parent. Exits non-zero on bad configuration and on a start that failed. */
export async function runProcess(spec: ProcessSpec): Promise<void> {
  const config = configOrExit(spec.setting);
  const log = createLog({ level: config.logLevel, fields: { process: spec.name } });
  process.on("unhandledRejection", (error) => log.error({ error }, "a rejection that nobody handled"));
  process.on("uncaughtException", (error) => {
    log.error({ error }, "an exception that nobody caught; the process ends");
    process.exit(70);
  });
  const leaving = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => resolve(signal));
    leaveWithParent(() => resolve("the parent is gone"));
  });
  const running = await spec.start(config, log).catch((error: unknown) => {
    log.error({ error }, `${spec.name} could not start`);
    process.exit(1);
  });
  log.info({ why: await leaving }, `${spec.name} stops`);
  await running.stop(AbortSignal.timeout(STOP_GRACE_MS));
  log.info({}, `${spec.name} has stopped`);
  process.exit(0);
}

function configOrExit(setting: Setting): Config {
  try {
    return readConfig(environment, setting);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(78);
  }
}
