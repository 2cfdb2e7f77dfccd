/**
 * Pushes across processes by Redis Streams. Redis is a convenience here, never a need: when it is gone every process
 * still serves its own sockets, and nothing waits for it.
 */

import { createAdapter } from "@socket.io/redis-streams-adapter";
import { Redis } from "ioredis";
import { delay } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";

/** What the rest of the kit needs of it. */
export interface RedisLink {
  /** Makes the adapter of a namespace, for `io.adapter(…)`. */
  readonly adapter: ReturnType<typeof createAdapter>;
  readonly isUp: () => boolean;
  /** Messages that could not be handed to other processes. */
  readonly missed: () => number;
  readonly ping: () => Promise<void>;
  readonly close: () => void;
}

const RETRY_MOST_MS = 2_000;
/** A frozen Redis is given up on after this. */
const COMMAND_TIMEOUT_MS = 1_000;

/** Connects in the background. */
export function linkRedis(url: string, log: Log): RedisLink {
  const closing = new AbortController();
  const readers = new Set<Redis>();
  let missed = 0;
  const common = {
    retryStrategy: (attempt: number) => Math.min(attempt * 100, RETRY_MOST_MS),
    connectTimeout: 2_000,
    disconnectTimeout: 500,
    keepAlive: 10_000,
  };
  // Without an offline queue: a push that is minutes late is worse than none.
  const publisher = new Redis(url, { ...common, enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: COMMAND_TIMEOUT_MS });
  publisher.duplicate = () => patientReader(url, common, { readers, signal: closing.signal });
  tell(publisher, log);
  const make = createAdapter(publisher, { onlyPlaintext: true });
  // A function and no arrow: Socket.IO calls it with `new`.
  const adapter = function reaching(namespace: unknown): unknown {
    const made = make(namespace) as unknown as { publishAndReturnOffset: (message: unknown) => Promise<string> };
    const publish = made.publishAndReturnOffset.bind(made);
    // The adapter would deliver to its own sockets only after Redis has answered.
    made.publishAndReturnOffset = (message) => {
      publish(message).catch(() => (missed += 1));
      return Promise.resolve("");
    };
    return made;
  } as unknown as RedisLink["adapter"];
  return {
    adapter,
    isUp: () => publisher.status === "ready",
    missed: () => missed,
    ping: async () => {
      await publisher.ping();
    },
    close: () => {
      closing.abort(new Error("realtime is closed"));
      publisher.disconnect();
      for (const reader of readers) reader.disconnect();
    },
  };
}

/**
 * A connection for the adapter's endless reads. The adapter (0.3.1) reads again at once when a read failed and leaves
 * rejected subscriptions unhandled; here a failed read waits, and a failed subscription is made again on reconnecting.
 */
function patientReader(url: string, common: object, life: { readonly readers: Set<Redis>; readonly signal: AbortSignal }): Redis {
  const reader = new Redis(url, { ...common, maxRetriesPerRequest: null });
  life.readers.add(reader);
  const xread = reader.xread.bind(reader) as (...args: unknown[]) => Promise<unknown>;
  const subscribe = reader.subscribe.bind(reader) as (...args: unknown[]) => Promise<unknown>;
  const patient = {
    xread: (...args: unknown[]) =>
      xread(...args).catch(async (error: unknown) => {
        await delay(1_000, life.signal).catch(() => {});
        // Never answering is what ends the adapter's loop.
        if (life.signal.aborted) return await new Promise<never>(() => {});
        throw error;
      }),
    subscribe: (...args: unknown[]) => subscribe(...args).catch(() => 0),
  };
  return Object.assign(reader, patient);
}

function tell(publisher: Redis, log: Log): void {
  let wasTold = false;
  publisher.on("error", (error: Error) => {
    if (wasTold) return;
    wasTold = true;
    log.warn({ error: error.message }, "Redis cannot be reached; sockets of other processes get no pushes");
  });
  publisher.on("ready", () => {
    if (wasTold) log.info({}, "Redis is back");
    wasTold = false;
  });
}
