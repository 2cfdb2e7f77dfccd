/**
 * Connections that came through another door of this process (GraphQL subscriptions). To Socket.IO each is a client like any
 * other, whose Engine.IO connection is memory in place of a wire. So admission, rooms, pushes of other processes, the sweep,
 * presence and every end of a session reach it by the code that sockets have, and by no copy of it.
 */

import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Server } from "socket.io";
import { Decoder, PacketType, type Packet } from "socket.io-parser";
import { newUuid } from "#src/kernel/ids";
import { systemClock } from "#src/kernel/clock";
import type { SocketHandle } from "./socket-event.ts";

/** Why a connection is closed from our side: the last thing that a socket would be told. */
export interface Farewell {
  readonly name: string;
  readonly payload: unknown;
}

/** The door's side of a connection. */
export interface InnerListener {
  /** Everything the server sends, whoever it was pushed by. */
  readonly told: (name: string, payload: unknown) => void;
  /** Once, at the end from our side. Without a farewell the process is going, or what waits to be sent grew too long. */
  readonly closed: (farewell: Farewell | undefined) => void;
  /** How many things wait to be sent to the client; the sweep ends who does not read. */
  readonly unsent: () => number;
}

/** What came of knocking. */
export type Entry =
  | { readonly socket: SocketHandle; readonly refusal?: undefined }
  /** Code and status of the problem that a socket would have got as `connect_error`. */
  | { readonly refusal: { readonly code: string; readonly status: number } };

/** A connection that has knocked. */
export interface InnerConnection {
  /** Resolves when it was let in or refused. */
  readonly entry: Promise<Entry>;
  /** The client has left. */
  readonly close: () => void;
}

const GONE: Entry = { refusal: { code: "service.busy", status: 503 } };

/** What Socket.IO knows of a connection, as far as it asks: a small part of Engine.IO's Socket. */
export class InnerConn extends EventEmitter {
  readonly id = newUuid(systemClock);
  readonly protocol = 4;
  readonly transport = { name: "inner", writable: true };
  readonly request: IncomingMessage;
  readonly remoteAddress: string;
  readyState: "open" | "closed" = "open";
  readonly #listener: InnerListener;
  readonly #decoder = new Decoder();
  readonly #answered: (sid: string | undefined, error: unknown) => void;

  constructor(request: IncomingMessage, listener: InnerListener, answered: (sid: string | undefined, error: unknown) => void) {
    super();
    this.request = request;
    this.remoteAddress = request.socket.remoteAddress ?? "";
    this.#listener = listener;
    this.#answered = answered;
    this.#decoder.on("decoded", (packet: Packet) => this.#take(packet));
  }

  /** For the sweep, which looks at nothing but its length. */
  get writeBuffer(): { readonly length: number } {
    return { length: this.#listener.unsent() };
  }

  write(packet: string): void {
    this.#decoder.add(packet);
  }

  close(): void {
    this.end(undefined);
  }

  /** Says why and closes. */
  end(farewell: Farewell | undefined): void {
    if (this.#leave("forced close")) this.#listener.closed(farewell);
  }

  /** The client has left by itself. */
  left(): void {
    this.#leave("transport close");
  }

  #leave(reason: string): boolean {
    if (this.readyState === "closed") return false;
    this.readyState = "closed";
    this.emit("close", reason);
    // Where nobody has answered yet, nobody will.
    this.#answered(undefined, undefined);
    return true;
  }

  #take({ type, data }: Packet): void {
    if (type === PacketType.CONNECT) this.#answered((data as { sid: string }).sid, undefined);
    else if (type === PacketType.CONNECT_ERROR) this.#answered(undefined, (data as { data?: unknown }).data);
    else if (type === PacketType.EVENT) this.#listener.told(...(data as [string, unknown]));
  }
}

/**
 * Has Socket.IO take a connection that is no socket.
 * @param handleOf finds what the kit keeps of the connection with this id
 */
export function connectInner(
  io: Server,
  knocking: { readonly request: IncomingMessage; readonly accessToken: string | undefined; readonly listener: InnerListener },
  handleOf: (sid: string) => SocketHandle | undefined,
): InnerConnection {
  const { promise, resolve } = Promise.withResolvers<Entry>();
  const conn = new InnerConn(knocking.request, knocking.listener, (sid, error) => {
    if (error !== undefined) {
      resolve({ refusal: error as { code: string; status: number } });
      return conn.left();
    }
    // What the kit keeps is there already: admission made it.
    const socket = sid === undefined ? undefined : handleOf(sid);
    resolve(socket === undefined ? GONE : { socket });
  });
  io.engine.emit("connection", conn);
  conn.emit("data", `0${JSON.stringify({ token: knocking.accessToken })}`);
  return { entry: promise, close: () => conn.left() };
}
