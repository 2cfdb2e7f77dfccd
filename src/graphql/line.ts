/** One websocket of a client that subscribes: what it may send and how much may wait for it; its subscriptions and their rooms. */

import type { IncomingMessage } from "node:http";
import type { WebSocket } from "ws";
import { Problem } from "#src/kernel/problem";
import type { Farewell, InnerConnection, InnerListener } from "#src/realtime/inner-connection";
import { serverDraining, tokenExpiring } from "#src/realtime/server-events";
import type { Realtime } from "#src/realtime/realtime";
import type { SocketHandle } from "#src/realtime/socket-event";
import type { Source } from "./context.ts";
import { tooManySubscriptions } from "./graphql.errors.ts";
import type { GraphqlContext, SubscriptionField } from "./part.ts";
import { Stream } from "./stream.ts";

/** Close codes of the protocol, and of websockets (RFC 6455). With 1012, 1013 and 4403 clients try again by themselves. */
export const CLOSE = {
  restart: 1012,
  tryAgainLater: 1013,
  internalError: 1011,
  badRequest: 4400,
  unauthorized: 4401,
  forbidden: 4403,
} as const;

/** Subscriptions of one connection at once. */
const MOST_SUBSCRIPTIONS = 20;
/** Bytes that may wait for a client that does not read. A subscription waits for its last event to be gone, so honest ones stay far below. */
const MOST_BUFFERED_BYTES = 1024 * 1024;
/** How long a client may take to close in good order. */
const LINGER_MS = 2_000;
/** Of UTF-16, which is at most 123 bytes, the room a close frame has. */
const LONGEST_REASON = 41;

/** What is known once it was let in. */
interface Entered {
  readonly socket: SocketHandle;
  readonly accessToken: string | undefined;
}

/** To the rooms it is a connection like a socket (`inner-connection.ts`); this is what listens there. */
export class Line<Deps> implements InnerListener, Source<Deps> {
  readonly request: IncomingMessage;
  readonly #socket: WebSocket;
  readonly #streams = new Map<Stream, Set<string>>();
  #inner: InnerConnection | undefined;
  #entered: Entered | undefined;
  #isHeard = true;

  constructor(socket: WebSocket, request: IncomingMessage) {
    this.#socket = socket;
    this.request = request;
  }

  /** @throws Error before it was let in */
  get entered(): Entered {
    if (this.#entered === undefined) throw new Error("a subscription came past its admission");
    return this.#entered;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** Whether it was let in; else it is closed with the problem's code. */
  async enter(realtime: Pick<Realtime, "connect">, accessToken: string | undefined): Promise<boolean> {
    this.#inner = realtime.connect(this.request, accessToken, this);
    const entry = await this.#inner.entry;
    if (entry.refusal === undefined) this.#entered = { socket: entry.socket, accessToken };
    else this.close(closeCodeOf(entry.refusal), entry.refusal.code);
    return this.isOpen;
  }

  readonly open: Source<Deps>["open"] = async (field, context, args) => {
    const { socket } = this.entered;
    if (this.#streams.size >= MOST_SUBSCRIPTIONS) throw new Problem(tooManySubscriptions, { extensions: { limit: MOST_SUBSCRIPTIONS } });
    const rooms = new Set<string>();
    const stream = new Stream(field.event.name, () => this.#release(stream, rooms));
    this.#streams.set(stream, rooms);
    try {
      stream.begin(await this.#begin(field, { context, args, socket, rooms }));
      return stream;
    } catch (error) {
      await stream.return();
      throw error;
    }
  };

  #begin(
    field: SubscriptionField<Deps>,
    { context, args, socket, rooms }: { context: GraphqlContext<Deps>; args: unknown; socket: SocketHandle; rooms: Set<string> },
  ): ReturnType<SubscriptionField<Deps>["begin"]> {
    const subscriber = {
      actor: socket.actor,
      rooms: () => socket.rooms(),
      join: async (room: string) => {
        rooms.add(room);
        await socket.join(room);
      },
      // Whoever may not be in it may not for any subscription: the viewer is the same.
      leave: async (room: string) => await socket.leave(room),
    };
    return field.begin(context, subscriber, args as never);
  }

  /** Leaves those rooms that no other subscription wants. */
  #release(stream: Stream, rooms: Set<string>): void {
    this.#streams.delete(stream);
    const wanted = [...this.#streams.values()];
    for (const room of rooms) if (!wanted.some((others) => others.has(room))) void this.entered.socket.leave(room);
    rooms.clear();
  }

  readonly told: InnerListener["told"] = (name, payload) => {
    if (name === serverDraining.name) this.close(CLOSE.restart, "server.draining");
    else for (const stream of this.#streams.keys()) if (stream.eventName === name) stream.push(payload);
  };

  readonly closed: InnerListener["closed"] = (farewell) => {
    if (farewell !== undefined) this.close(...endOf(farewell));
    else if (this.unsent() > 0) this.close(CLOSE.tryAgainLater, "connection.slow");
    else this.close(CLOSE.restart, "server.draining");
  };

  readonly unsent = (): number => [...this.#streams.keys()].reduce((sum, { unsent }) => sum + unsent, 0);

  /** Resolves when it was handed to the system, so that what comes next waits for a client that reads. Never rejects. */
  send(text: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.#mayWrite()) this.#socket.send(text, () => resolve());
      else resolve();
    });
  }

  pong(data: Buffer): void {
    if (this.#mayWrite()) this.#socket.pong(data);
  }

  #mayWrite(): boolean {
    if (this.isOpen && this.#socket.bufferedAmount > MOST_BUFFERED_BYTES) this.close(CLOSE.tryAgainLater, "connection.slow");
    return this.isOpen;
  }

  /** Something came from the client. */
  heard(): void {
    this.#isHeard = true;
  }

  /** Asks whether the client is there; drops it when it has said nothing since it was asked last. */
  beat(): void {
    if (!this.#isHeard) return this.#socket.terminate();
    this.#isHeard = false;
    if (this.#mayWrite()) this.#socket.ping();
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.#socket.close(code, reason.slice(0, LONGEST_REASON));
    setTimeout(() => this.#socket.terminate(), LINGER_MS).unref();
  }

  /** The websocket is closed, whoever closed it: out of every room, for subscriptions too that the library lost sight of by an id used twice. */
  gone(): void {
    this.#inner?.close();
  }
}

/**
 * 4401: come back only after signing in anew. 4403: not like this, and clients that ask for a token at each try may try again, so
 * that an ended token is one of these.
 */
function closeCodeOf({ code, status }: { readonly code: string; readonly status: number }): number {
  if (status === 429 || status === 503) return CLOSE.tryAgainLater;
  if (status >= 500) return CLOSE.internalError;
  return status === 401 && code !== "token.expired" ? CLOSE.unauthorized : CLOSE.forbidden;
}

/** The code that the gate has from now on for whoever was cut, where what sockets are told is a reason of its own. */
function endOf({ name, payload }: Farewell): [code: number, reason: string] {
  if (name === tokenExpiring.name) return [CLOSE.forbidden, "token.expired"];
  if (name === "account:restricted") return [CLOSE.forbidden, "account.restricted"];
  const { reason } = payload as { readonly reason: string };
  if (reason === "account.restricted") return [CLOSE.forbidden, reason];
  return [CLOSE.unauthorized, reason.startsWith("token.") ? reason : "session.revoked"];
}
