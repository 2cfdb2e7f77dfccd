/** Health and figures of processes that serve nothing else: worker and controller. */

import type { Config } from "#src/config/config";
import type { Check } from "#src/http/health-board";
import { healthRoutes } from "#src/http/health";
import { createPublicApp } from "#src/http/public-app";
import { createServer } from "#src/http/server";
import { createThrottle } from "#src/http/throttle";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { Problem, internalError } from "#src/kernel/problem";
import type { Metrics } from "#src/telemetry/metrics";
import { version } from "./version.ts";
import type { Running } from "./work.ts";

interface Needs {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** How long a probe in flight gets at the end, in ms. */
const GRACE_MS = 500;

/** Listens on PORT where it is given; undefined where it is not. @throws Error when the port is taken */
export async function openHealthDoor(
  needs: Needs,
  { checks, isStarted = () => true }: { readonly checks: readonly Check[]; readonly isStarted?: () => boolean },
): Promise<Running | undefined> {
  const { config, clock, log, metrics } = needs;
  if (config.healthPort === undefined) return undefined;
  const server = createServer((request, response) => app.listener(request, response));
  const app = createPublicApp({
    ...config,
    routes: healthRoutes({
      checks,
      vitalCheck: "database",
      clock,
      log,
      isStarted,
      isDraining: server.isDraining,
      summary: metrics.summary,
      prometheus: metrics.prometheus,
      prometheusContentType: metrics.contentType,
    }),
    deps: {},
    // Health routes are for anyone; nothing else is here for a gate to guard.
    gate: () => Promise.reject(new Problem(internalError)),
    accountProblems: [],
    throttle: createThrottle({ clock, enabled: false, onLimited: () => {} }),
    clock,
    log,
    metrics,
    version,
  });
  const port = await server.listen(config.healthPort, config.bindAddress);
  log.info({ port }, "health is told here");
  return { stop: () => server.drain(GRACE_MS) };
}
