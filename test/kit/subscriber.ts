/** A client of GraphQL subscriptions that keeps what it was told: the library's own, over the sockets of `ws`. */

import { createClient, type Client } from "graphql-ws";
import { WebSocket } from "ws";
import type { GraphqlBody } from "./http-client.ts";
import { until } from "./until.ts";

/** How a connection ended. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
  /** `performance.now()`. */
  readonly atMs: number;
}

/** One subscription, from its beginning to its end. */
export class Subscription<Data = Record<string, unknown>> {
  readonly told: Data[] = [];
  /** Codes of what it was refused with. */
  refused: readonly string[] | undefined;
  isOver = false;
  /** Tells the server that no more is wanted. */
  stop: () => void = () => {};

  /** The first that fits, when it has been told. */
  tells(wanted: (data: Data) => boolean = () => true, withinMs = 30_000): Promise<Data> {
    return until(() => this.told.find(wanted), { withinMs, what: "an event of a subscription" }) as Promise<Data>;
  }

  /** When it was refused: the first code. */
  async refusal(): Promise<string> {
    const codes = await until(() => this.refused, { what: "a subscription to be refused" });
    return codes[0] ?? "";
  }
}

export interface SubscriberOptions {
  /** Whole payload of `connection_init`, in place of the token. */
  readonly init?: Record<string, unknown>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Times to come back by itself. */
  readonly retries?: number;
}

/** A connection of whoever has this token. Errors of connecting end up in `closed`. */
export class Subscriber implements Disposable {
  readonly client: Client;
  connections = 0;
  closed: Closed | undefined;

  constructor(url: string, token?: string, options: SubscriberOptions = {}) {
    class Socket extends WebSocket {
      constructor(address: string, protocols: string | string[]) {
        super(address, protocols, { headers: options.headers });
      }
    }
    this.client = createClient({
      url: `${url.replace(/^http/, "ws")}/graphql`,
      webSocketImpl: Socket,
      connectionParams: options.init ?? (token === undefined ? {} : { accessToken: token }),
      lazy: false,
      retryAttempts: options.retries ?? 0,
      retryWait: () => new Promise((resolve) => setTimeout(resolve, 20)),
      onNonLazyError: () => {},
      on: {
        connected: () => void (this.connections += 1),
        closed: (event) => {
          const { code, reason } = event as { code: number; reason: string };
          this.closed = { code, reason, atMs: performance.now() };
        },
      },
    });
  }

  /** When it was let in. @throws Error naming the close code when it was not */
  async enters(): Promise<this> {
    await until(() => this.connections > 0 || this.closed !== undefined, { what: "a subscriber to be let in or refused" });
    if (this.connections === 0) throw new Error(`refused: ${this.closed?.code} ${this.closed?.reason}`);
    return this;
  }

  subscribe<Data = Record<string, unknown>>(query: string, variables?: Record<string, unknown>): Subscription<Data> {
    const subscription = new Subscription<Data>();
    const codesOf = (errors: unknown): string[] =>
      Array.isArray(errors)
        ? (errors as NonNullable<GraphqlBody["errors"]>).map(({ extensions }) => extensions.code)
        : [String((errors as { readonly code?: number }).code ?? errors)];
    subscription.stop = this.client.subscribe<Data>(variables === undefined ? { query } : { query, variables }, {
      next: ({ data, errors }) => {
        if (errors !== undefined) subscription.refused = codesOf(errors);
        else subscription.told.push(data as Data);
      },
      error: (error) => {
        subscription.refused = codesOf(error);
        subscription.isOver = true;
      },
      complete: () => (subscription.isOver = true),
    });
    return subscription;
  }

  /** When the server or the client has closed it. */
  closes(withinMs = 30_000): Promise<Closed> {
    return until(() => this.closed, { withinMs, what: "a subscriber to be closed" });
  }

  [Symbol.dispose](): void {
    void this.client.dispose();
  }
}

/** A websocket by hand, for what no honest client sends. */
export class RawSubscriber implements Disposable {
  readonly socket: WebSocket;
  readonly texts: string[] = [];
  closed: Pick<Closed, "code" | "reason"> | undefined;

  constructor(url: string, protocol = "graphql-transport-ws", headers: Readonly<Record<string, string>> = {}) {
    this.socket = new WebSocket(`${url.replace(/^http/, "ws")}/graphql`, protocol, { headers });
    this.socket.on("message", (data) => this.texts.push((data as Buffer).toString("utf8")));
    this.socket.on("error", () => {});
    this.socket.on("close", (code, reason) => (this.closed = { code, reason: reason.toString() }));
  }

  /** Open, and let in when a token is given. */
  static async open(url: string, token?: string): Promise<RawSubscriber> {
    const raw = new RawSubscriber(url);
    await until(() => raw.socket.readyState !== WebSocket.CONNECTING);
    if (token === undefined) return raw;
    raw.send({ type: "connection_init", payload: { accessToken: token } });
    await until(() => raw.texts.includes(`{"type":"connection_ack"}`), { what: "an acknowledgement" });
    return raw;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** When it has closed: code and reason. */
  async closes(withinMs = 30_000): Promise<string> {
    const { code, reason } = await until(() => this.closed, { withinMs, what: "a websocket to be closed" });
    return `${code} ${reason}`;
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}
