/** Which sidecar this process has: daprd, or the one of a single machine. */

import type { Config } from "#src/config/config";
import { environment } from "#src/config/environment";
import type { Db } from "#src/db/pool";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { createDaprSidecar, type DaprSidecar } from "#src/sidecar/dapr/dapr-sidecar";
import type { Sidecar } from "#src/sidecar/port";

interface Needs {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly db: Db;
}

/** The sidecar by its port, and once more as daprd where it is that. */
export interface OpenSidecar {
  readonly sidecar: Sidecar;
  readonly dapr: DaprSidecar | undefined;
  /** Waits for deliveries that run in this process. */
  readonly close: () => Promise<void>;
}

/** Makes the adapter that the configuration names. daprd need not be there yet. */
export async function openSidecar({ config, clock, log, db }: Needs): Promise<OpenSidecar> {
  if (config.sidecar === "dapr") {
    const dapr = createDaprSidecar({ ...config.dapr, clock });
    return { sidecar: dapr, dapr, close: dapr.close };
  }
  // Here only: what is for one machine is not in the image.
  const { createLocalSidecar } = await import("#src/sidecar/local/local-sidecar");
  const { production, dataDir } = config;
  const local = createLocalSidecar({ db, log, production, dataDir, environment });
  return { sidecar: local, dapr: undefined, close: local.close };
}
