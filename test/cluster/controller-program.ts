/**
 * A controller and nothing else, as a process of its own, for test/cluster/ to kill and to freeze.
 * KUBECONFIG, APP_URL (a declared app) or DAPR_HTTP_PORT with DAPR_API_TOKEN (the service itself), IDENTITY, LEASE_TIMES (ms: duration,
 * renew deadline, retry), RESYNC_MS; DIE_AT and STOP_AT: at the n-th write about the namespace WATCHED, to the API server or the service,
 * it kills or stops itself; counted from 1, `n` before it is sent, `n+` after its answer.
 */

import { systemClock } from "#src/kernel/clock";
import { Secret } from "#src/kernel/secret";
import { createDaprSidecar } from "#src/sidecar/dapr/dapr-sidecar";
import { createLog } from "#src/telemetry/log";
import { startController } from "#src/controller/controller";
import { findKubeAccess } from "#src/controller/kube-access";
import { httpInvoke } from "../kit/declared-app.ts";

const {
  APP_URL = "",
  DAPR_HTTP_PORT,
  DAPR_API_TOKEN = "",
  IDENTITY = "one",
  WATCHED = "",
  LEASE_TIMES = "15000,10000,2000",
  RESYNC_MS = "600000",
  DIE_AT,
  STOP_AT,
} = process.env;
const log = createLog({ level: "debug", pretty: false });
let sent = 0;
let answered = 0;

function at(point: string): void {
  if (DIE_AT === point) process.kill(process.pid, "SIGKILL");
  if (STOP_AT === point) process.kill(process.pid, "SIGSTOP");
}

function isCounted(method: string, path: string): boolean {
  return method !== "GET" && (path.includes(`/${WATCHED}/`) || path.includes(`:${WATCHED}:`));
}

function sending(method: string, path: string): void {
  if (!isCounted(method, path)) return;
  sent += 1;
  log.info({ n: sent, method, path }, "write");
  at(String(sent));
}

function arrived(method: string, path: string, status: number): void {
  if (!isCounted(method, path)) return;
  answered += 1;
  log.info({ n: answered, method, path, status }, "answer");
  at(`${answered}+`);
}

const invoke =
  DAPR_HTTP_PORT === undefined
    ? httpInvoke(APP_URL)
    : createDaprSidecar({ httpPort: Number(DAPR_HTTP_PORT), apiToken: new Secret(DAPR_API_TOKEN), clock: systemClock }).invoke;
const [durationMs = 0, renewDeadlineMs = 0, retryMs = 0] = LEASE_TIMES.split(",").map(Number);
const controller = startController({
  access: await findKubeAccess(process.env),
  invoke: async (appId, request, signal) => {
    sending(request.method, request.path);
    const answer = await invoke(appId, request, signal);
    arrived(request.method, request.path, answer.status);
    return answer;
  },
  clock: systemClock,
  log,
  clusterName: "test",
  namespace: "default",
  identity: IDENTITY,
  leaseTimes: { durationMs, renewDeadlineMs, retryMs },
  resyncMs: Number(RESYNC_MS),
  observer: { sending, answered: arrived },
});
process.once("SIGTERM", () => {
  void controller.stop(AbortSignal.timeout(5_000)).then(() => process.exit(0));
});
