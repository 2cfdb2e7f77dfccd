/** Events out and in, where the sidecar is in this process: relay, subscription, receipts. */

import { createInbox } from "#src/events/inbox";
import { outboxFigures } from "#src/events/outbox.sql";
import { createReceipts } from "#src/events/receipts";
import { createRelay } from "#src/events/relay";
import type { ApiDeps } from "./deps.ts";
import { features } from "./features.ts";
import type { Running } from "./work.ts";

/** Starts the relay and subscribes our own consumers; their receipts wake the relay. */
export function startEventFlow(deps: ApiDeps): Running {
  const { db, log, clock, sidecar, metrics } = deps;
  const relay = createRelay({ db, sidecar, clock, log });
  const receipts = createReceipts({ db, log, onFreed: relay.nudge });
  const inbox = createInbox({ db, log, deps, receipts, consumers: features.flatMap((feature) => feature.consumers ?? []) });
  sidecar.subscribe(inbox.subscriptions);
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
  metrics.gauge("relay_published", "Events published since the start", () => relay.figures().published);
  metrics.gauge("inbox_dropped", "Deliveries dropped since the start", () => inbox.figures().drop);
  relay.start();
  return {
    stop: async (signal) => {
      await relay.stop(signal);
      // Deliveries that run may still bring receipts.
      await sidecar.close();
      await receipts.close();
    },
  };
}
