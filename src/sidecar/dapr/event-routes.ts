/** The subscription table as daprd is told of it, and the way back from a path to the row. */

import { createHmac } from "node:crypto";
import type { Subscription } from "../port.ts";

/** One row of what `GET /dapr/subscribe` answers. */
export interface DaprSubscription {
  readonly pubsubname: string;
  readonly topic: string;
  readonly route: string;
  readonly deadLetterTopic?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * daprd declares a subscription's queue, and as a classic one unless it is told here: the component's metadata has no say.
 * A classic queue hands an event on before it is on disk. So our receipt may come while a neighbour's queue does not hold the
 * event yet, and a broker killed at that moment loses it there though the outbox says done (RabbitMQ 3.10: 2 of 12 kills). A
 * quorum queue delivers what is on disk only: 0 of 19.
 */
const ON_QUORUM_QUEUES = { queueType: "quorum" };

/** Paths of the sidecar listener and what takes the events that come there. */
export type Deliveries = ReadonlyMap<string, Subscription["deliver"]>;

/**
 * The component that subscribes to a topic: `pubsub-users-v1` for `users.v1`. One each, since subscriptions that share a
 * component share a channel, which after a restart of RabbitMQ leaves some of them stuck (dapr/components-contrib#4540).
 */
export function subscribingComponent(topic: string): string {
  return `pubsub-${topic.replaceAll(".", "-")}`;
}

/**
 * The path that events of a topic come to. It has a part that only daprd is told: an app of the mesh can invoke any path and,
 * by naming `dapr-caller-app-id` in its `Connection` header, make our own daprd drop the header that would give it away
 * (1.18.1: what comes then is like a delivery, byte for byte). The part follows from the app token, so it is the same after a
 * restart: daprd does not ask again, and what it delivers to a path that is gone would be lost.
 */
export function eventRoute(appToken: string, topic: string): string {
  const hidden = createHmac("sha256", appToken).update("event routes").digest("hex").slice(0, 32);
  return `/events/${hidden}/${topic}`;
}

/** Where subscriptions go. `pubsub`: one component for all of them, where there is no broker to be careful of. */
export interface RouteOptions {
  readonly appToken: string;
  readonly pubsub?: string | undefined;
}

/** What daprd is told of the table. */
export function describeSubscriptions(table: readonly Subscription[], { appToken, pubsub }: RouteOptions): DaprSubscription[] {
  return table.map(({ topic, deadLetterTopic }) => ({
    pubsubname: pubsub ?? subscribingComponent(topic),
    topic,
    route: eventRoute(appToken, topic),
    ...(deadLetterTopic === undefined ? {} : { deadLetterTopic }),
    ...(pubsub === undefined ? { metadata: ON_QUORUM_QUEUES } : {}),
  }));
}

/** @throws Error when two rows have one topic: daprd keeps one subscription a topic */
export function deliveriesOf(table: readonly Subscription[], { appToken }: RouteOptions): Deliveries {
  const deliveries = new Map(table.map(({ topic, deliver }) => [eventRoute(appToken, topic), deliver]));
  if (deliveries.size !== table.length) throw new Error("two subscriptions have the same topic");
  return deliveries;
}
