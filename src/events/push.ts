/** Consumers whose effect does not last: told of each receipt, failures logged and not tried again. */

import type { Log } from "#src/kernel/log";
import type { Consumer, NeighbourEvent } from "./consumer.ts";
import { inTime } from "./in-time.ts";

interface PushingOptions<Deps> {
  readonly deps: Deps;
  readonly log: Log;
  /** 5 s when left out. */
  readonly consumerTimeoutMs?: number;
  readonly onFailure: () => void;
}

/** Pushes an event once while it is tried again, and again when it comes again later. */
export interface Pushing<Deps> {
  readonly push: (consumers: readonly Consumer<Deps>[], message: NeighbourEvent<unknown>) => Promise<void>;
  /** The event is settled. */
  readonly forget: (eventId: string) => void;
}

const MOST_REMEMBERED = 10_000;

export function createPushing<Deps>(options: PushingOptions<Deps>): Pushing<Deps> {
  /** Events that are being tried again and have been pushed. */
  const pushed = new Set<string>();
  return {
    push: async (consumers, message) => {
      if (pushed.has(message.id)) return;
      if (pushed.size >= MOST_REMEMBERED) pushed.clear();
      pushed.add(message.id);
      await Promise.all(consumers.filter((one) => one.delivery === "push").map((one) => pushTo(options, one, message)));
    },
    forget: (eventId) => void pushed.delete(eventId),
  };
}

async function pushTo<Deps>(options: PushingOptions<Deps>, consumer: Consumer<Deps>, message: NeighbourEvent<unknown>): Promise<void> {
  const { deps, log, consumerTimeoutMs } = options;
  try {
    // A push has no transaction, and its type does not let it have one.
    const verdict = await inTime(consumer.handle(deps, message as never, undefined as never), consumerTimeoutMs);
    if (verdict.outcome === "SUCCESS") return;
    log.warn({ consumer: consumer.name, eventId: message.id, reason: verdict.reason }, "a push was refused; it is not tried again");
  } catch (error) {
    log.warn({ error, consumer: consumer.name, eventId: message.id }, "a push failed; it is not tried again");
  }
  options.onFailure();
}
