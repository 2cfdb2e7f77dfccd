/** Events out and in: the relay, and the subscriptions with their receipts. One process may run both, or each its own. */

import { createInbox, type Inbox } from "#src/events/inbox";
import { outboxFigures } from "#src/events/outbox.sql";
import { createMarks } from "#src/events/marks";
import { createRelay, type Relay } from "#src/events/relay";
import type { ApiDeps, CoreDeps } from "./deps.ts";
import { features } from "./features.ts";
import type { Running } from "./work.ts";

/** The relay of a process, publishing. */
export interface Outflow extends Running {
  readonly relay: Relay;
}

/** Starts to take events from the outbox to the sidecar. Any number of processes may. */
export function startOutflow(core: CoreDeps): Outflow {
  const { db, log, clock, sidecar, metrics } = core;
  const relay = createRelay({ db, sidecar, clock, log });
  metrics.gauge("relay_published", "Events published since the start", () => relay.figures().published);
  metrics.gauge("relay_repeated", "Events published again since the start, for want of a receipt", () => relay.figures().repeated);
  metrics.gauge("relay_unconfirmed", "Publishes since the start that the broker did not confirm", () => relay.figures().unconfirmed);
  observeOutbox(core);
  relay.start();
  return { relay, stop: (signal) => relay.stop(signal) };
}

/** The inbox of a process, subscribed. */
export interface Inflow {
  readonly inbox: Inbox;
  /** Marks what was received; after the last delivery. */
  readonly stop: () => Promise<void>;
}

/** Subscribes our own consumers; what they got is marked done in the outbox. @param onFreed wakes a relay of this process */
export function startInflow(deps: ApiDeps, onFreed?: () => void): Inflow {
  const { db, log, sidecar, metrics } = deps;
  const receipts = createMarks({ db, log, ...(onFreed === undefined ? {} : { onFreed }) });
  const inbox = createInbox({ db, log, deps, receipts, consumers: features.flatMap((feature) => feature.consumers ?? []) });
  sidecar.subscribe(inbox.subscriptions);
  metrics.gauge("inbox_dropped", "Deliveries dropped since the start", () => inbox.figures().drop);
  metrics.gauge("inbox_forged", "Deliveries that were not what they said, since the start", () => inbox.figures().forged);
  metrics.gauge("inbox_ignored", "Deliveries of a kind that nobody here consumes, since the start", () => inbox.figures().ignored);
  return { inbox, stop: () => receipts.close() };
}

/** What an alert on events that do not arrive looks at; the same figures from whichever process is asked. */
export function observeOutbox({ db, metrics }: CoreDeps): void {
  metrics.gauge(
    "outbox_lag_seconds",
    "Age of the oldest event whose receipt has not come",
    async () => (await outboxFigures(db)).lagSeconds,
  );
  metrics.gauge("outbox_waiting", "Events whose receipt has not come", async () => (await outboxFigures(db)).waiting);
  metrics.gauge(
    "outbox_unconfirmed",
    "Events published more than once and still without receipt",
    async () => (await outboxFigures(db)).unconfirmed,
  );
}
