/** The life of a process: configuration, start, an orderly end when it is told to leave. */

import { ConfigError, readConfig, type Config } from "#src/config/config";
import type { Setting } from "#src/config/cross-checks";
import { environment } from "#src/config/environment";
import type { Log } from "#src/kernel/log";
import { createLog } from "#src/telemetry/log";
import { startTracing, type TracingOptions } from "#src/telemetry/tracing";
import { leaveWithParent } from "./leave-with-parent.ts";
import type { Leaving } from "./leaving.ts";
import { version } from "./version.ts";
import type { Running } from "./work.ts";

/** What a process is made of. */
export interface ProcessSpec {
  readonly name: string;
  readonly setting: Setting;
  /** Starts it. What it opened before a failure it must close. `leaving` is aborted when it is told to end before it has started. */
  readonly start: (config: Config, log: Log, leaving: AbortSignal) => Promise<Running>;
}

/** Requests get 10 s to finish and sockets 2; then whatever is left is cut, in ms. */
const STOP_GRACE_MS = 15_000;

/** Runs until it is told to leave, or its parent is gone. Exits non-zero on bad configuration and on a start that failed. */
export async function runProcess(spec: ProcessSpec, told: Leaving): Promise<void> {
  const config = configOrExit(spec.setting);
  const log = createLog({ level: config.logLevel, fields: { process: spec.name } });
  process.on("unhandledRejection", (error) => log.error({ error }, "a rejection that nobody handled"));
  process.on("uncaughtException", (error) => {
    log.error({ error }, "an exception that nobody caught; the process ends");
    process.exit(70);
  });
  const leave = new AbortController();
  const left = new Promise<string>((resolve) => {
    const go = (why: string): void => {
      leave.abort(new Error(why));
      resolve(why);
    };
    told(go);
    leaveWithParent(() => go("the parent is gone"));
  });
  const tracing = await startTracing(tracingOptions(config, spec.name, log));
  const running = await spec.start(config, log, leave.signal).catch((error: unknown) => {
    if (leave.signal.aborted) log.info({ error }, `${spec.name} was stopped before it had started`);
    else log.error({ error }, `${spec.name} could not start`);
    process.exit(leave.signal.aborted ? 0 : 1);
  });
  log.info({ why: await left }, `${spec.name} stops`);
  await running.stop(AbortSignal.timeout(STOP_GRACE_MS));
  await tracing.stop();
  log.info({}, `${spec.name} has stopped`);
  process.exit(0);
}

function tracingOptions({ tracing }: Config, process: string, log: Log): TracingOptions | undefined {
  if (tracing === undefined) return undefined;
  return { ...tracing, serviceName: tracing.serviceName ?? `user-service-${process}`, serviceVersion: version, log };
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
