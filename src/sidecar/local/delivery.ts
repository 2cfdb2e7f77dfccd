/** Topics inside one process: each event goes to the subscriptions of its topic, is tried again, and ends as a dead letter. */

import { backoffMs } from "#src/kernel/backoff";
import { delay } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import type { CloudEvent, DeliveryOutcome, Subscription } from "../port.ts";
import { createSlots } from "./slots.ts";

export interface DeliveryOptions {
  readonly log: Log;
  /** Tries of one delivery before it becomes a dead letter. */
  readonly maxAttempts: number;
  readonly retry: { readonly firstMs: number; readonly mostMs: number };
  /** Handlers that run at once; `publish` waits while all are taken. */
  readonly maxConcurrent: number;
}

/** Delivery within the process. `close` waits for handlers that run and forgets what waits for another try. */
export interface LocalDelivery {
  readonly subscribe: (subscriptions: readonly Subscription[]) => void;
  readonly publish: (topic: string, event: CloudEvent, signal: AbortSignal) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Makes the topics of one process. Nothing is stored here: what a crash loses comes again from the outbox. */
export function createLocalDelivery(options: DeliveryOptions): LocalDelivery {
  return new Deliveries(options);
}

class Deliveries implements LocalDelivery {
  readonly #options: DeliveryOptions;
  readonly #closing = new AbortController();
  readonly #slots: ReturnType<typeof createSlots>;
  readonly #running = new Set<Promise<void>>();
  #table: readonly Subscription[] = [];

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#slots = createSlots(options.maxConcurrent);
  }

  readonly subscribe = (subscriptions: readonly Subscription[]): void => {
    this.#table = subscriptions;
  };

  readonly publish = async (topic: string, event: CloudEvent, signal: AbortSignal): Promise<void> => {
    this.#closing.signal.throwIfAborted();
    const wire = JSON.stringify(event);
    for (const subscription of this.#to(topic)) {
      await this.#slots.take(AbortSignal.any([signal, this.#closing.signal]));
      this.#start(subscription, wire);
    }
  };

  readonly close = async (): Promise<void> => {
    this.#closing.abort(new Error("the sidecar is closed"));
    await Promise.all(this.#running);
  };

  #to(topic: string | undefined): readonly Subscription[] {
    return this.#table.filter((row) => row.topic === topic);
  }

  #start(subscription: Subscription, wire: string): void {
    const run = this.#deliver(subscription, wire).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Begins with a slot taken and gives it back between tries, so that failing events do not hold up others. */
  async #deliver(subscription: Subscription, wire: string): Promise<void> {
    const { maxAttempts, retry } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#try(subscription, wire);
      this.#slots.release();
      if (outcome === "SUCCESS") return;
      if (outcome === "DROP" || attempt === maxAttempts) return await this.#bury(subscription, wire);
      if (!(await this.#tookSlot(backoffMs(attempt, retry)))) return;
    }
  }

  async #try(subscription: Subscription, wire: string): Promise<DeliveryOutcome> {
    try {
      // Parsed anew each time: a handler gets what would have come over a wire, and cannot change it for the next.
      return await subscription.deliver(JSON.parse(wire));
    } catch (error) {
      this.#options.log.warn({ topic: subscription.topic, error }, "a delivery failed and is tried again");
      return "RETRY";
    }
  }

  async #bury(subscription: Subscription, wire: string): Promise<void> {
    const graves = this.#to(subscription.deadLetterTopic);
    // A dead letter that cannot be kept is not lost: without a receipt the outbox sends the event again.
    if (graves.length === 0)
      this.#options.log.error({ topic: subscription.topic }, "an event was given up and nobody takes its dead letter");
    for (const grave of graves) {
      if (!(await this.#tookSlot())) return;
      this.#start(grave, wire);
    }
  }

  /** Takes a slot, after a pause; false when closing, which is the only way either ends early. */
  async #tookSlot(afterMs = 0): Promise<boolean> {
    const { signal } = this.#closing;
    try {
      if (afterMs > 0) await delay(afterMs, signal);
      await this.#slots.take(signal);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      throw error;
    }
  }
}
