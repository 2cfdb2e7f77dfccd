/** The span of one delivery, in the trace of whoever published the event: that is how a trace goes from process to process. */

import { withRemoteTrace } from "#src/kernel/trace";
import type { DeliveryOutcome } from "#src/sidecar/port";

/**
 * Handles what came over the wire, which may be anything, in the trace that it names. Without a tracer an event that is
 * appended meanwhile still joins that trace.
 */
export function inDeliveryTrace(topic: string, received: unknown, handle: () => Promise<DeliveryOutcome>): Promise<DeliveryOutcome> {
  const { traceparent, id, type } = membersOf(received);
  const attributes = {
    "messaging.system": "dapr",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.destination.name": topic,
    ...(isShort(id) ? { "messaging.message.id": id } : {}),
    ...(isShort(type) ? { "cloudevents.event_type": type } : {}),
  };
  return withRemoteTrace(traceparent, { name: `process ${topic}`, kind: "consumer", attributes }, async (span) => {
    const outcome = await handle();
    span?.set({ "messaging.dapr.outcome": outcome });
    if (outcome !== "SUCCESS") span?.fail(outcome);
    return outcome;
  });
}

function membersOf(received: unknown): { readonly traceparent?: unknown; readonly id?: unknown; readonly type?: unknown } {
  return typeof received === "object" && received !== null ? received : {};
}

function isShort(text: unknown): text is string {
  return typeof text === "string" && text.length <= 256;
}
