/** Socket events as data: what clients may send, and what the server sends. */

import type { z } from "zod";
import type { Access, Action, Actor, Client } from "#src/kernel/actor";
import type { ProblemType } from "#src/kernel/problem";

/** The connection an event came over, as far as handlers may touch it. */
export interface SocketHandle {
  readonly id: string;
  readonly actor: Actor;
  readonly client: Client;
  /** Rooms are named by their kind, e.g. `watch:<userId>`. */
  readonly join: (room: string) => Promise<void>;
  readonly leave: (room: string) => Promise<void>;
  readonly rooms: () => ReadonlySet<string>;
}

/** An event a client may send. Every one is gated, throttled, parsed and acknowledged with `{ok: true, data}` or `{ok: false, error: problem}`. */
export interface SocketEvent<Deps> {
  readonly name: string;
  readonly summary: string;
  readonly payload: z.ZodType;
  readonly answer: z.ZodType;
  readonly needs: Access & { readonly kind: "account" };
  readonly throttle: Action;
  readonly problems: readonly ProblemType[];
  readonly handle: (deps: Deps, socket: SocketHandle, payload: never) => Promise<unknown>;
}

/** An event the server sends. */
export interface ServerEvent<Data> {
  readonly name: string;
  readonly summary: string;
  readonly payload: z.ZodType<Data>;
}

/** How consumers reach connected clients: one user's sockets, or a room. Across processes when an adapter is configured. */
export interface Pushes {
  readonly toUser: <Data>(userId: string, event: ServerEvent<Data>, payload: Data) => void;
  readonly toRoom: <Data>(room: string, event: ServerEvent<Data>, payload: Data) => void;
}

/** Pushes with what only this process can know: which rooms have sockets here. */
export interface LocalPushes extends Pushes {
  /** To the sockets of this process alone, for news that each process finds out by itself. */
  readonly toRoomHere: <Data>(room: string, event: ServerEvent<Data>, payload: Data) => void;
  readonly hasRoomHere: (room: string) => boolean;
  /** Names of this process's rooms that begin so. */
  readonly roomsHere: (prefix: string) => string[];
  /** Takes a user's connections out of a room, on every process that can be reached at this moment. */
  readonly leave: (userId: string, room: string) => void;
  /** The connections of this process in a room, so that one can be taken out of it. */
  readonly connectionsHere: (room: string) => SocketHandle[];
}

/** How a connection ended: `session_over` when the gate or a revocation ended it for good, `left` else. */
export type HowEnded = "left" | "session_over";

/** Told by the kit of each admitted connection and of its end (its rooms still readable), so that presence need not be known here. */
export interface ConnectionListener<Deps> {
  readonly connected: (deps: Deps, socket: SocketHandle) => void;
  readonly disconnected: (deps: Deps, socket: SocketHandle, how: HowEnded) => void;
}

const events: ServerEvent<unknown>[] = [];

/** Declares an event the server sends, for pushes and for the AsyncAPI document. */
export function serverEvent<Data>(name: string, summary: string, payload: z.ZodType<Data>): ServerEvent<Data> {
  const made = { name, summary, payload };
  events.push(made as ServerEvent<unknown>);
  return made;
}

/** Every event the server may send. */
export function serverEvents(): readonly ServerEvent<unknown>[] {
  return events;
}

/** Declares an event clients may send; the payload's type follows from its schema. */
export function socketEvent<Deps, Payload extends z.ZodType>(
  spec: Omit<SocketEvent<Deps>, "payload" | "handle"> & {
    readonly payload: Payload;
    readonly handle: (deps: Deps, socket: SocketHandle, payload: z.infer<Payload>) => Promise<unknown>;
  },
): SocketEvent<Deps> {
  return spec as unknown as SocketEvent<Deps>;
}
