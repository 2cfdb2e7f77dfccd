/** Consumers whose effect lasts: each is asked once for an event, in the transaction that remembers it. */

import type { Db } from "#src/db/pool";
import { inTx } from "#src/db/tx";
import type { Log } from "#src/kernel/log";
import type { DeliveryOutcome } from "#src/sidecar/port";
import type { Consumer, NeighbourEvent, Verdict } from "./consumer.ts";
import { inTime } from "./in-time.ts";
import { claimOnce, type InboxEvent } from "./inbox.sql.ts";

/** What is said of a verdict that is not SUCCESS. */
interface Trouble {
  readonly consumer: string;
  readonly verdict: "RETRY" | "DROP";
  readonly reason: string;
}

interface Handling<Deps> {
  readonly db: Db;
  readonly deps: Deps;
  readonly log: Log;
  /** 5 s when left out. */
  readonly consumerTimeoutMs?: number;
  readonly event: InboxEvent;
  readonly message: NeighbourEvent<unknown>;
  readonly consumers: readonly Consumer<Deps>[];
  readonly onTrouble: (trouble: Trouble) => Promise<void>;
  /** The id was heard before with another body: nothing was done. */
  readonly onOtherBody: () => void;
}

/** Every consumer is asked, whatever another said; one that has handled the event is not asked again. */
export async function handleOnce<Deps>(handling: Handling<Deps>): Promise<DeliveryOutcome> {
  const outcomes = new Set<DeliveryOutcome>();
  for (const consumer of handling.consumers.filter((one) => one.delivery === "once")) {
    const verdict = await handleInTx(handling, consumer);
    outcomes.add(verdict.outcome);
    if (verdict.outcome === "SUCCESS") continue;
    await handling.onTrouble({ consumer: consumer.name, verdict: verdict.outcome, reason: verdict.reason });
  }
  if (outcomes.has("RETRY")) return "RETRY";
  return outcomes.has("DROP") ? "DROP" : "SUCCESS";
}

/** Carries a verdict out of a transaction that must not commit. */
class Refused extends Error {
  readonly verdict: Verdict;

  constructor(verdict: Verdict) {
    super("the handler's writes are rolled back");
    this.verdict = verdict;
  }
}

async function handleInTx<Deps>(handling: Handling<Deps>, consumer: Consumer<Deps>): Promise<Verdict> {
  const { db, deps, event, log } = handling;
  try {
    return await inTx(db, async (tx) => {
      const claim = await claimOnce(tx, consumer.name, event);
      if (claim === "another-body") handling.onOtherBody();
      if (claim !== "claimed") return { outcome: "SUCCESS" };
      const verdict = await inTime(consumer.handle(deps, handling.message as never, tx), handling.consumerTimeoutMs);
      if (verdict.outcome !== "SUCCESS") throw new Refused(verdict);
      return verdict;
    });
  } catch (error) {
    if (error instanceof Refused) return error.verdict;
    log.warn({ error, consumer: consumer.name, eventId: event.id }, "a consumer failed; the event is tried again");
    return { outcome: "RETRY", reason: String(error) };
  }
}
