/**
 * Which publishes the broker has confirmed. daprd does not say: it answers 204 too when the connection broke before the
 * confirmation came (components-contrib, `publishSync`). What was sent then may be in one queue and not in another: RabbitMQ's
 * quorum queues drop what a channel sent last when the channel ends, each for itself (`out_of_sequence` in rabbit_fifo).
 *
 * But a component sends on one channel, one message at a time, and after a break waits for `reconnectWaitSeconds` before there
 * is another. So a message is confirmed when one that was sent after its answer was answered sooner than a new channel can be
 * there. Under load the next event is that one; where none follows, a probe is sent, which no queue is bound to. A probe takes the
 * channel as long as an event does, so while others are under way the next event is waited for longer: behind a slow broker a
 * probe for each event halved what got through.
 */

import type { Clock } from "#src/kernel/clock";
import type { Published } from "../port.ts";

/** Sends and tells, a little later, what became of it. */
export interface Confirmations {
  /** @throws what `send` throws */
  readonly sent: (send: () => Promise<void>) => Promise<Published>;
  /** Those that wait count as not confirmed, and no probe is sent any more. */
  readonly close: () => void;
}

export interface ConfirmationsOptions {
  readonly clock: Clock;
  /** Sends something that nobody receives, on the same channel. */
  readonly probe: () => Promise<void>;
}

/** Less than `reconnectWaitSeconds` of our component, 1 s (dapr/production/pubsub.yaml). */
const CONFIRMED_WITHIN_MS = 900;
/** How long the next event is waited for before a probe is sent, when nothing is under way; and when something is. */
const PROBE_AFTER_MS = 4;
const PROBE_AT_LATEST_AFTER_MS = 100;

/** One that was answered and is not confirmed yet. */
interface Answered {
  /** Before it was sent: no break that it fell into is earlier. */
  readonly beganMs: number;
  readonly tell: (confirmed: boolean) => void;
  readonly timer: NodeJS.Timeout;
}

/** For one component of one sidecar. */
export function createConfirmations({ clock, probe }: ConfirmationsOptions): Confirmations {
  const waiting = new Set<Answered>();
  let isClosed = false;
  let probing: NodeJS.Timeout | undefined;
  /** When the first was answered of those after which nothing has been sent: they have no witness under way. */
  let unseenMs: number | undefined;
  let underWay = 0;

  /** Sends, and takes the answer as the witness of those that were answered before. @returns when it began */
  async function send(it: () => Promise<void>): Promise<number> {
    const before = [...waiting];
    const beganMs = clock.monotonicMs();
    unseenMs = undefined;
    underWay += 1;
    await it()
      .catch((error: unknown) => {
        // No witness: those before it may have no other.
        seekWitness();
        throw error;
      })
      .finally(() => (underWay -= 1));
    for (const one of before) settle(one, clock.monotonicMs() - one.beganMs < CONFIRMED_WITHIN_MS);
    return beganMs;
  }

  function settle(one: Answered, confirmed: boolean): void {
    clearTimeout(one.timer);
    if (waiting.delete(one)) one.tell(confirmed);
  }

  /** A witness for those that wait: what is sent next, or a probe. */
  function seekWitness(): void {
    unseenMs ??= clock.monotonicMs();
    if (isClosed) return;
    probing ??= setTimeout(() => {
      probing = undefined;
      if (unseenMs === undefined || waiting.size === 0) return;
      // A probe that fails tells nothing: those that wait run out of time.
      if (underWay === 0 || clock.monotonicMs() - unseenMs >= PROBE_AT_LATEST_AFTER_MS) send(probe).catch(() => {});
      else seekWitness();
    }, PROBE_AFTER_MS);
  }

  return {
    sent: async (it) => {
      const beganMs = await send(it);
      const { promise: confirmed, resolve: tell } = Promise.withResolvers<boolean>();
      const one: Answered = { beganMs, tell, timer: setTimeout(() => settle(one, false), CONFIRMED_WITHIN_MS) };
      waiting.add(one);
      if (isClosed) settle(one, false);
      seekWitness();
      return { confirmed };
    },
    close: () => {
      isClosed = true;
      clearTimeout(probing);
      for (const one of waiting) settle(one, false);
    },
  };
}
