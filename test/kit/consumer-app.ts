/** Another app that subscribes to our events through its own daprd: it applies them as a neighbour should, and notes what came. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { CloudEvent, DeliveryOutcome } from "#src/sidecar/port";

/** What a neighbour's app noted. */
export interface ConsumerApp extends AsyncDisposable {
  readonly port: number;
  /** Every delivery, repeats included, in the order of arrival. */
  readonly seen: readonly CloudEvent[];
  /** Headers of the deliveries, in the same order. */
  readonly traceparents: readonly (string | undefined)[];
  /** Of each subject the versions that were applied: what a replica went through. A repeat is not applied again. */
  readonly applied: ReadonlyMap<string, readonly number[]>;
  /** Versions that came before the one they follow: what must never be. */
  readonly gaps: readonly string[];
  /** Ids that came with different bodies: what must never be. */
  readonly renamed: readonly string[];
  /** Decides instead of SUCCESS, before the event is applied. */
  answer: ((event: CloudEvent) => DeliveryOutcome | Promise<DeliveryOutcome>) | undefined;
  /** What its health check says. */
  isHealthy: boolean;
  /** The next delivery is not answered: its connection is reset, as when a server closes it at the wrong moment. */
  resetNext: () => void;
}

/** Starts it on a free port of 127.0.0.1. Its subscription is declared beside its daprd (dapr/neighbour). */
export async function startConsumerApp(): Promise<ConsumerApp> {
  const app = new Neighbour();
  await app.listen();
  return app;
}

class Neighbour implements ConsumerApp {
  readonly seen: CloudEvent[] = [];
  readonly traceparents: (string | undefined)[] = [];
  readonly applied = new Map<string, number[]>();
  readonly gaps: string[] = [];
  readonly renamed: string[] = [];
  answer: ConsumerApp["answer"];
  isHealthy = true;
  #resetsNext = false;
  readonly #ids = new Map<string, string>();
  readonly #server: Server = createServer((request, response) => void this.#serve(request, response));

  readonly resetNext = (): void => {
    this.#resetsNext = true;
  };

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = `${request.method} ${request.url}`;
    if (path === "GET /healthz") return end(response, this.isHealthy ? 200 : 503, {});
    if (path === "GET /dapr/subscribe") return end(response, 200, []);
    if (path === "GET /dapr/config") return end(response, 200, {});
    if (!path.startsWith("POST /events/")) return end(response, 404, {});
    if (this.#resetsNext) {
      this.#resetsNext = false;
      request.socket.resetAndDestroy();
      return;
    }
    const event = JSON.parse((await request.toArray()).join("")) as CloudEvent;
    this.traceparents.push(request.headers["traceparent"] as string | undefined);
    const status = (await this.answer?.(event)) ?? "SUCCESS";
    this.#note(event, status);
    end(response, 200, { status });
  }

  #note(event: CloudEvent, status: DeliveryOutcome): void {
    this.seen.push(event);
    const key = `${event.subject} ${event.userversion}`;
    const known = this.#ids.get(key);
    if (known !== undefined && known !== event.id) this.renamed.push(key);
    this.#ids.set(key, event.id);
    if (status !== "SUCCESS") return;
    const versions = this.applied.get(event.subject) ?? [];
    this.applied.set(event.subject, versions);
    const last = versions.at(-1) ?? event.userversion - 1;
    if (event.userversion <= last) return;
    if (event.userversion !== last + 1) this.gaps.push(`${key} after ${last}`);
    versions.push(event.userversion);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

function end(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
