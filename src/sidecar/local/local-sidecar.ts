/** The sidecar of one machine: everything in this process and its database. Not for production, and refuses to be. */

import { join } from "node:path";
import type { Db } from "#src/db/pool";
import { delay } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import type { Published, Sidecar } from "../port.ts";
import { createLocalDelivery } from "./delivery.ts";
import { createLocalInvoke } from "./local-invoke.ts";
import { readLocalSecret } from "./local-secrets.ts";
import { localState, sweepState } from "./local-state.sql.ts";

export interface LocalSidecarOptions {
  readonly db: Db;
  readonly log: Log;
  /** NODE_ENV=production. */
  readonly production: boolean;
  readonly dataDir: string;
  /** Where `SECRET_…` variables and the addresses of other apps, `APP_…_URL`, are looked for. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Tries of one delivery before it becomes a dead letter: 8, about 11 s, when left out. */
  readonly maxAttempts?: number;
  /** Pauses between tries: 100 ms to 5 s when left out. */
  readonly retry?: { readonly firstMs: number; readonly mostMs: number };
}

/** `close` waits for handlers that run; events that wait for another try come again from the outbox. */
export interface LocalSidecar extends Sidecar, AsyncDisposable {
  readonly close: () => Promise<void>;
}

/** Nothing is between. */
const TAKEN: Published = { confirmed: Promise.resolve(true) };
const MAX_CONCURRENT = 16;
const SWEEP_EVERY_MS = 60_000;

/** Starts the in-process sidecar. @throws Error under NODE_ENV=production */
export function createLocalSidecar(options: LocalSidecarOptions): LocalSidecar {
  if (options.production) throw new Error("the in-process sidecar refuses to run under NODE_ENV=production");
  const delivery = createLocalDelivery({
    log: options.log,
    maxAttempts: options.maxAttempts ?? 8,
    retry: options.retry ?? { firstMs: 100, mostMs: 5_000 },
    maxConcurrent: MAX_CONCURRENT,
  });
  const places = { environment: options.environment, folder: join(options.dataDir, "secrets") };
  const apps = createLocalInvoke(options.environment);
  const closing = new AbortController();
  const sweeping = keepSweeping(options, closing.signal);
  const close = async (): Promise<void> => {
    closing.abort();
    await Promise.all([delivery.close(), sweeping, apps.close()]);
  };
  return {
    publish: async (topic, event, signal) => {
      await delivery.publish(topic, event, signal);
      return TAKEN;
    },
    confirms: false,
    subscribe: delivery.subscribe,
    state: localState(options.db),
    secret: async (name, signal) => {
      signal.throwIfAborted();
      return await readLocalSecret(places, name);
    },
    invoke: apps.invoke,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function keepSweeping({ db, log }: LocalSidecarOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await delay(SWEEP_EVERY_MS, signal);
      await sweepState(db);
    } catch (error) {
      if (!signal.aborted) log.warn({ error }, "sweeping the sidecar's state failed; it is tried again");
    }
  }
}
