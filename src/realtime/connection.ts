/** What is kept of one connection beside Socket.IO's own: one object, no closure and no timer of its own. */

import type { Socket } from "socket.io";
import type { Access, Actor, Client, Gate } from "#src/kernel/actor";
import type { HowEnded, SocketHandle } from "./socket-event.ts";

/** The room of a user's connections. */
export function userRoom(userId: string): string {
  return `user:${userId}`;
}

/** A connection that the gate admitted, and the handle by which events touch it. */
export class Connection implements SocketHandle {
  readonly socket: Socket;
  readonly client: Client;
  accessToken: string;
  actor: Actor;
  /** Set once its end has been decided: nothing it sends is looked at any more. */
  isCut = false;
  howEnded: HowEnded = "left";
  /** The token it was last warned for. */
  warnedFor: string | undefined = undefined;
  /** Events not answered yet. They are handled one after another, so that what a client does in order happens in order. */
  waiting = 0;
  last: Promise<void> | undefined = undefined;

  constructor(socket: Socket, client: Client, admitted: { readonly accessToken: string; readonly actor: Actor }) {
    this.socket = socket;
    this.client = client;
    this.accessToken = admitted.accessToken;
    this.actor = admitted.actor;
  }

  get id(): string {
    return this.socket.id;
  }

  async join(room: string): Promise<void> {
    await this.socket.join(room);
  }

  async leave(room: string): Promise<void> {
    await this.socket.leave(room);
  }

  rooms(): ReadonlySet<string> {
    return this.socket.rooms;
  }
}

/** The connection of a socket; undefined until the gate admitted it. */
export function connectionOf(socket: Socket): Connection | undefined {
  return (socket.data as { connection?: Connection }).connection;
}

/** Keeps the connection with its socket. */
export function attachConnection(connection: Connection): void {
  (connection.socket.data as { connection?: Connection }).connection = connection;
}

/** Asks the gate about a connection anew. What it says of a token that has been exchanged meanwhile is not kept. @throws Problem as the gate */
export async function askAgain(gate: Gate, connection: Connection, access: Access): Promise<void> {
  const { accessToken } = connection;
  try {
    const actor = await gate(accessToken, access);
    if (actor !== undefined && accessToken === connection.accessToken) connection.actor = actor;
  } catch (error) {
    if (accessToken === connection.accessToken) throw error;
  }
}
