/** The signing keys of a process: from the secret store of its sidecar, followed while it runs. */

import type { Config } from "#src/config/config";
import { KeyRingRefused } from "#src/features/sessions/key-ring";
import type { KeyRingSource } from "#src/features/sessions/key-ring-source";
import { KeyRingWatch } from "#src/features/sessions/key-watch";
import { backoffMs } from "#src/kernel/backoff";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import type { Secret } from "#src/kernel/secret";
import type { Metrics } from "#src/telemetry/metrics";
import type { OpenSidecar } from "./open-sidecar.ts";

interface Needs extends Pick<OpenSidecar, "sidecar" | "dapr"> {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Reads the stored keys by other means than the sidecar. */
export type ReadKeys = (signal: AbortSignal) => Promise<Secret<string> | undefined>;

/** Nothing is read before keys are wanted. */
export function watchSigningKeys({ config, clock, log, metrics, sidecar }: Needs, read?: ReadKeys): KeyRingWatch {
  const watch = new KeyRingWatch({
    read: read ?? ((signal) => sidecar.secret("signing-keys", signal)),
    place: placeOfKeys(config),
    rereadMs: config.keysRereadSeconds * 1000,
    clock,
    log,
  });
  metrics.gauge("signing_keys_age_seconds", "Since the key that signs access tokens was made", () => watch.ageSeconds());
  metrics.gauge("signing_keys_trouble", "1 while the stored signing keys cannot be read or are refused", () =>
    watch.trouble() === undefined ? 0 : 1,
  );
  return watch;
}

interface AwaitNeeds extends Pick<Needs, "log"> {
  readonly signingKeys: KeyRingWatch;
  readonly keysThrough: Needs["dapr"];
}

/**
 * Until the sidecar answers, whatever its answer is: processes start in any order.
 * @throws KeyRingRefused when there are no keys (only standalone makes them by itself) or they are damaged; the reason of `leaving`
 */
export async function awaitSigningKeys({ keysThrough: dapr, log, signingKeys }: AwaitNeeds, leaving: AbortSignal): Promise<KeyRingSource> {
  await dapr?.ready(leaving);
  for (let failures = 0; ; failures += 1) {
    try {
      return await signingKeys.open(leaving);
    } catch (error) {
      leaving.throwIfAborted();
      if (dapr === undefined || error instanceof KeyRingRefused) throw error;
      if (failures === 0) log.warn({ error }, "the sidecar does not give the signing keys yet; it is asked again");
      await delay(backoffMs(failures + 1, { firstMs: 200, mostMs: 5_000 }), leaving);
    }
  }
}

function placeOfKeys(config: Config): string {
  return config.sidecar === "dapr"
    ? "the secret `signing-keys` of the sidecar's secret store `secrets`"
    : `${config.dataDir}/secrets/signing-keys or SECRET_SIGNING_KEYS; \`npm start\` makes them on first use`;
}
