/** One trace over processes, daprd and RabbitMQ: what a request causes in another process, and in another app, hangs below it. */

import { expect, it } from "@jest/globals";
import { MESH_TOOLS, startMesh } from "../kit/mesh.ts";
import { startOtlpCollector } from "../kit/otlp-collector.ts";
import type { CollectedSpan } from "../kit/otlp-spans.ts";
import { describeWithAll } from "../kit/requires.ts";
import { registerPeople } from "../kit/service.ts";
import { until } from "../kit/until.ts";

const STARTS_WITHIN_MS = 90_000;
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` };
const FOLLOWED = "videamozi.user.followed.v1";

/** Process and name of this span and of those above it that are ours. */
function upwards(spans: readonly CollectedSpan[], from: CollectedSpan): string[] {
  const parent = spans.find((span) => span.spanId === from.parentSpanId);
  return [`${from.service}: ${from.name}`, ...(parent === undefined ? [] : upwards(spans, parent))];
}

describeWithAll(MESH_TOOLS, "one trace, beside daprd", (paths) => {
  it(
    "goes from the API through the worker and the broker back to the API, and to another app",
    async () => {
      await using collector = await startOtlpCollector();
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: "20" };
      await using mesh = await startMesh(paths, { neighbours: ["social-service"], env });
      const [api, , neighbour] = await Promise.all([mesh.startApi(), mesh.startWorker(), mesh.startConsumer("social-service")]);
      const { ann, bob } = await registerPeople(api.process.http, ["ann", "bob"]);
      const follow = await api.process.http.send("POST", `/api/users/${bob.id}/follow`, { token: ann.accessToken, headers: CALLER });
      expect(follow.status).toBe(200);

      const inTrace = (span: CollectedSpan): boolean => span.traceId === TRACE;
      const consumed = await collector.span("the consumer", (span) => inTrace(span) && span.kind === "consumer");
      await collector.span("the request", (span) => inTrace(span) && span.kind === "server");
      const published = await collector.span("the publish", (span) => inTrace(span) && span.kind === "producer");
      expect(upwards(collector.spans, consumed)).toEqual([
        "user-service-api: process users.v1",
        "user-service-worker: publish users.v1",
        "user-service-api: transaction",
        "user-service-api: POST /api/users/:id/follow",
      ]);
      const heard = await until(() => neighbour.app.seen.find((event) => event.type === FOLLOWED), { what: "the neighbour to hear" });
      expect(heard.traceparent).toBe(`00-${TRACE}-${published.spanId}-01`);
      expect(collector.spans.filter((span) => /\/(?:healthz|events|dapr)/.test(span.name))).toEqual([]);
    },
    STARTS_WITHIN_MS,
  );
});
