import { expect, it } from "@jest/globals";
import { readConfig } from "#src/config/config";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { Secret } from "#src/kernel/secret";
import { createDaprSidecar } from "#src/sidecar/dapr/dapr-sidecar";
import { Metrics } from "#src/telemetry/metrics";
import { serverPort } from "../../test/kit/ports.ts";
import { openSidecarDoor } from "./sidecar-door.ts";

const TOKEN = "what-daprd-shows-the-app";

it("keeps idle connections longer than daprd does, which else sends into one that is being closed", async () => {
  const port = await serverPort();
  const env = { SIDECAR: "dapr", SIDECAR_PORT: String(port), DAPR_HTTP_PORT: "1", APP_API_TOKEN: TOKEN, DAPR_API_TOKEN: TOKEN };
  await using dapr = createDaprSidecar({ httpPort: 1, appToken: new Secret(TOKEN), clock: systemClock });
  const config = readConfig(env, "standalone");
  const door = await openSidecarDoor({ config, dapr, clock: systemClock, log: silentLog, metrics: new Metrics(systemClock) }, []);
  const { headers } = await fetch(`http://127.0.0.1:${port}/healthz`);
  const [, seconds] = /^timeout=(\d+)$/.exec(headers.get("keep-alive") ?? "") ?? [];
  expect(Number(seconds)).toBeGreaterThan(90);
  await door?.stop(AbortSignal.timeout(1_000));
});
