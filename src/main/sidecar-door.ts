/** The listener that only daprd reaches: its questions, events, and calls of other apps. On loopback, whatever BIND_ADDRESS says. */

import type { InternalRoute } from "#src/http/internal-route";
import { createServer } from "#src/http/server";
import { createSidecarApp } from "#src/http/sidecar-app";
import type { Config } from "#src/config/config";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import type { DaprSidecar } from "#src/sidecar/dapr/dapr-sidecar";
import type { Metrics } from "#src/telemetry/metrics";
import type { Running } from "./work.ts";

/** Longer than daprd keeps an idle connection (90 s, Go's default): who ends it first is not sent anything on it any more. */
const KEPT_IDLE_MS = 100_000;
/** How long deliveries and calls in flight get, in ms. */
const GRACE_MS = 5_000;

/** What the listener itself needs; its routes may need more. */
export interface DoorDeps {
  readonly config: Config;
  readonly dapr: DaprSidecar | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/**
 * Opens it where daprd is the sidecar and has a token for us. It is closed last: while its health route answers, daprd that
 * was told to end keeps its API open for what is still to be published.
 * @throws Error when SIDECAR_PORT is taken
 */
export async function openSidecarDoor<Deps extends DoorDeps>(
  deps: Deps,
  routes: readonly InternalRoute<Deps>[],
): Promise<Running | undefined> {
  const { config, dapr, clock, log, metrics } = deps;
  const { appToken } = config.dapr;
  if (dapr === undefined || appToken === undefined) return undefined;
  const { production } = config;
  const { callerNamespace } = config.dapr;
  const app = createSidecarApp({ appToken, events: dapr, routes, deps, callerNamespace, clock, log, metrics, production });
  const server = createServer(app.listener, { keepAliveTimeoutMs: KEPT_IDLE_MS });
  const port = await server.listen(config.sidecarPort, "127.0.0.1");
  log.info({ port }, "daprd is expected here");
  return { stop: () => server.drain(GRACE_MS) };
}
