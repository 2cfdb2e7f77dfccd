/** A Socket.IO client that keeps what it was told and when. */

import { io, type Socket } from "socket.io-client";
import type { ProblemBody } from "./http-client.ts";
import { until } from "./until.ts";

/** One event from the server. */
export interface Told {
  readonly name: string;
  readonly payload: unknown;
  /** `performance.now()`. */
  readonly atMs: number;
}

/** How an event was answered. */
export type Ack<Data = unknown> = { readonly ok: true; readonly data: Data } | { readonly ok: false; readonly error: ProblemBody };

/** The server's refusal to connect. */
export class ConnectRefused extends Error {
  readonly data: ProblemBody | undefined;

  constructor(error: Error & { readonly data?: ProblemBody }) {
    super(error.message);
    this.data = error.data;
  }
}

/** An open connection; it does not come back by itself once closed. */
export class SocketClient implements Disposable {
  readonly socket: Socket;
  readonly told: Told[] = [];
  /** Set when it has closed. */
  closed: { readonly reason: string; readonly atMs: number } | undefined;

  private constructor(url: string, token: string | undefined) {
    this.socket = io(url, {
      transports: ["websocket"],
      reconnection: false,
      forceNew: true,
      ...(token === undefined ? {} : { auth: { token } }),
    });
    this.socket.onAny((name: string, payload: unknown) => this.told.push({ name, payload, atMs: performance.now() }));
    this.socket.on("disconnect", (reason) => (this.closed = { reason, atMs: performance.now() }));
  }

  /** @throws ConnectRefused with the problem document */
  static open(url: string, token?: string): Promise<SocketClient> {
    const client = new SocketClient(url, token);
    return new Promise((resolve, reject) => {
      client.socket.once("connect", () => resolve(client));
      client.socket.once("connect_error", (error) => {
        client.socket.close();
        reject(new ConnectRefused(error));
      });
    });
  }

  /** Sends an event and gives its answer. @throws Error when none came */
  async ask<Data = unknown>(name: string, ...payload: unknown[]): Promise<Ack<Data>> {
    return (await this.socket.timeout(5_000).emitWithAck(name, ...payload)) as Ack<Data>;
  }

  /** The first event of that name, when it has come. */
  async tells<Payload = unknown>(name: string, withinMs = 30_000): Promise<Payload> {
    const told = await until(() => this.told.find((one) => one.name === name), { withinMs, what: `${name} on a socket` });
    return told.payload as Payload;
  }

  /** When it has closed: the reason. */
  async closes(withinMs = 30_000): Promise<{ readonly reason: string; readonly atMs: number }> {
    return await until(() => this.closed, { withinMs, what: "a socket to be closed" });
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }
}
