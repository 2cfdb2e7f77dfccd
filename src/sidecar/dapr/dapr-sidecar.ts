/** The sidecar that is daprd, by its HTTP API. Events come the other way: to the sidecar listener, by the table kept here. */

import { delay } from "#src/kernel/clock";
import type { Clock } from "#src/kernel/clock";
import type { Secret } from "#src/kernel/secret";
import type { CloudEvent, Published, Sidecar, Subscription } from "../port.ts";
import { createConfirmations } from "./confirmations.ts";
import { createDaprClient, type DaprClient } from "./dapr-client.ts";
import { DaprError } from "./dapr-errors.ts";
import { invokeThroughDapr } from "./dapr-invoke.ts";
import { readDaprSecret } from "./dapr-secrets.ts";
import { daprState } from "./dapr-state.ts";
import { deliveriesOf, describeSubscriptions, type DaprSubscription, type Deliveries } from "./event-routes.ts";

export interface DaprSidecarOptions {
  /** DAPR_HTTP_PORT, on 127.0.0.1. */
  readonly httpPort: number;
  /** DAPR_API_TOKEN: what daprd wants of us. */
  readonly apiToken?: Secret<string> | undefined;
  /** APP_API_TOKEN: what daprd sends us. Needed to subscribe to anything. */
  readonly appToken?: Secret<string> | undefined;
  /** One pub/sub component for everything; left out: `pubsub` to publish, and one component for each subscribed topic. */
  readonly pubsub?: string | undefined;
  /** A topic that no queue is bound to, to learn by what was sent before (`confirmations.ts`); left out or empty: a 204 is believed. */
  readonly probeTopic?: string | undefined;
  readonly clock: Clock;
}

/** How daprd is. `down`: it does not answer, or its components are not up. */
export interface DaprHealth {
  readonly state: "up" | "down";
  readonly latencyMs: number;
}

export interface DaprSidecar extends Sidecar, AsyncDisposable {
  /** What `GET /dapr/subscribe` answers; empty before `subscribe`. */
  readonly subscriptionDocument: () => readonly DaprSubscription[];
  /** What takes the events that daprd posts, by path; empty before `subscribe`. */
  readonly deliveries: () => Deliveries;
  /** Waits until daprd and its components take calls. @throws the signal's reason */
  readonly ready: (signal: AbortSignal) => Promise<void>;
  /** Asks daprd once. Never rejects but for the signal. */
  readonly health: (signal: AbortSignal) => Promise<DaprHealth>;
  /** Rejects what is under way. Deliveries end with the listener, not here. */
  readonly close: () => Promise<void>;
}

const READY_EVERY_MS = 100;

/** Makes the adapter; daprd need not be there yet. */
export function createDaprSidecar(options: DaprSidecarOptions): DaprSidecar {
  const client = createDaprClient(options);
  const component = encodeURIComponent(options.pubsub ?? "pubsub");
  const pathOf = (topic: string): string => `/v1.0/publish/${component}/${encodeURIComponent(topic)}`;
  const { probeTopic = "" } = options;
  const confirmations =
    probeTopic === "" ? undefined : createConfirmations({ clock: options.clock, probe: () => probe(client, pathOf(probeTopic)) });
  let table: { readonly document: readonly DaprSubscription[]; readonly deliveries: Deliveries } = { document: [], deliveries: new Map() };
  const subscribe = (subscriptions: readonly Subscription[]): void => {
    const appToken = options.appToken?.reveal();
    if (appToken === undefined && subscriptions.length > 0) throw new Error("subscriptions need APP_API_TOKEN: daprd proves itself by it");
    const routes = { appToken: appToken ?? "", pubsub: options.pubsub };
    table = { document: describeSubscriptions(subscriptions, routes), deliveries: deliveriesOf(subscriptions, routes) };
  };
  const close = async (): Promise<void> => {
    confirmations?.close();
    await client.close();
  };
  return {
    publish: async (topic, event, signal) => {
      const send = (): Promise<void> => publish(client, pathOf(topic), event, signal);
      return (await confirmations?.sent(send)) ?? (await send().then(() => BELIEVED));
    },
    confirms: confirmations !== undefined,
    subscribe,
    subscriptionDocument: () => table.document,
    deliveries: () => table.deliveries,
    state: daprState(client),
    secret: (name, signal) => readDaprSecret(client, name, signal),
    invoke: (appId, request, signal) => invokeThroughDapr(client, appId, request, signal),
    ready: async (signal) => {
      while ((await askHealth(client, options.clock, signal)).state === "down") await delay(READY_EVERY_MS, signal);
    },
    health: (signal) => askHealth(client, options.clock, signal),
    close,
    [Symbol.asyncDispose]: close,
  };
}

const BELIEVED: Published = { confirmed: Promise.resolve(true) };
/** It is one round trip to a broker that is well. */
const PROBE_TIMEOUT_MS = 2_000;

/** As small as it gets: raw, so that daprd makes no event of it. */
async function probe(client: DaprClient, path: string): Promise<void> {
  const call = { method: "POST", path: `${path}?metadata.rawPayload=true`, headers: { "content-type": "text/plain" }, body: "." } as const;
  const answer = await client.call(call, AbortSignal.timeout(PROBE_TIMEOUT_MS));
  if (answer.status < 200 || answer.status > 299) throw new DaprError("probing the broker", answer);
}

/** daprd takes the trace from the header only, and empties what the event says of it. */
async function publish(client: DaprClient, path: string, event: CloudEvent, signal: AbortSignal): Promise<void> {
  const { traceparent, ...rest } = event;
  const headers = { "content-type": "application/cloudevents+json", ...(traceparent === undefined ? {} : { traceparent }) };
  const answer = await client.call({ method: "POST", path, headers, body: JSON.stringify(rest) }, signal);
  if (answer.status < 200 || answer.status > 299) throw new DaprError("publishing an event", answer);
}

async function askHealth(client: DaprClient, clock: Clock, signal: AbortSignal): Promise<DaprHealth> {
  const startedMs = clock.monotonicMs();
  const state = await client.call({ method: "GET", path: "/v1.0/healthz/outbound" }, signal).then(
    ({ status }) => (status === 204 ? "up" : "down"),
    (): "down" => "down",
  );
  signal.throwIfAborted();
  return { state, latencyMs: clock.monotonicMs() - startedMs };
}
