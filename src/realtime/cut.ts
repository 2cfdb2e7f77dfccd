/** Ending connections: told why, then closed, in pieces that leave the loop free. */

import type { Socket } from "socket.io";
import { accountOrLook, type Gate } from "#src/kernel/actor";
import { delay } from "#src/kernel/clock";
import { Problem } from "#src/kernel/problem";
import type { Connection } from "./connection.ts";
import { InnerConn, type Farewell } from "./inner-connection.ts";
import { sessionRevoked, tokenExpiring } from "./server-events.ts";

/** The reason that stands for a suspension or ban; also the code the gate refuses with. */
export const RESTRICTED = "account.restricted";

export function restrictedFarewell(notice: unknown): Farewell {
  return { name: "account:restricted", payload: notice };
}

export function expiredFarewell(connection: Connection): Farewell {
  return { name: tokenExpiring.name, payload: { expiresAt: connection.actor.tokenExpiresAt.toISOString(), secondsLeft: 0 } };
}

export function revokedFarewell(connection: Connection, reason: string): Farewell {
  return { name: sessionRevoked.name, payload: { sessionId: connection.actor.sessionId, reason } };
}

/** What follows from the gate's refusal. */
export function farewellOf(connection: Connection, problem: Problem): Farewell {
  const notice = problem.code === RESTRICTED ? problem.details.extensions?.["restriction"] : undefined;
  return notice === undefined || notice === null ? revokedFarewell(connection, problem.code) : restrictedFarewell(notice);
}

/**
 * How long the gate may take to say what the notice is; the connection is cut in any case, and well within the second that a ban has. A
 * process that has just started, on cores that have much to do, took more than 100.
 */
const NOTICE_WAIT_MS = 250;

/** The notice of an account that was just restricted, from the refusal the gate has for one of its tokens. */
export async function noticeFromGate(gate: Gate, connection: Connection): Promise<unknown> {
  const refusal = gate(connection.accessToken, accountOrLook).then(
    () => undefined,
    (error: unknown) => error,
  );
  const answer = await Promise.race([refusal, delay(NOTICE_WAIT_MS)]);
  return answer instanceof Problem && answer.code === RESTRICTED ? answer.details.extensions?.["restriction"] : undefined;
}

/** Connections closed in one piece: closing takes more of the loop than writing. */
const PIECE = 100;
/** A client that does not read keeps what was written to it waiting; after this its connection is dropped. */
const LINGER_MS = 2_000;

/** Says farewell and closes. Marks all of them first, so that nothing they send from now on is looked at. */
export async function closeAll(connections: readonly Connection[], farewell: (connection: Connection) => Farewell): Promise<void> {
  for (const connection of connections) connection.isCut = true;
  const conns = connections.map(({ socket }) => socket.conn);
  await inPieces(connections, (connection) => closeOne(connection, farewell(connection)));
  dropLingering(conns);
}

type Conn = Socket["conn"];

/** What is below a connection by websocket; not in Engine.IO's types. */
interface Wire {
  readonly send: (text: string) => void;
  readonly close: () => void;
  readonly terminate: () => void;
  readonly _socket: { readonly cork: () => void; readonly uncork: () => void } | null;
}

function wireOf(conn: Conn): Wire | undefined {
  return conn.transport.name === "websocket" ? (conn.transport as unknown as { readonly socket: Wire }).socket : undefined;
}

// By Engine.IO the farewell, the disconnect packet and the close frame are three writes, each waiting for the one before.
// In one write 1,000 connections take 165 ms of CPU instead of 215 (2 cores, Node 24.21), and the last is closed sooner.
function closeOne({ socket }: Connection, farewell: Farewell): void {
  const conn: unknown = socket.conn;
  if (conn instanceof InnerConn) return conn.end(farewell);
  const { name, payload } = farewell;
  const wire = wireOf(socket.conn);
  if (wire?._socket === undefined || wire._socket === null) {
    socket.emit(name, payload);
    socket.disconnect(true);
    return;
  }
  const tcp = wire._socket;
  tcp.cork();
  wire.send(`42${JSON.stringify([name, payload])}`);
  wire.send("41");
  wire.close();
  tcp.uncork();
  socket.conn.close(true);
}

/** Calls `act` for each item with a loop turn after every `PIECE`. */
export async function inPieces<Item>(items: readonly Item[], act: (item: Item) => void): Promise<void> {
  for (let start = 0; start < items.length; start += PIECE) {
    if (start > 0) await new Promise((resolve) => setImmediate(resolve));
    items.slice(start, start + PIECE).forEach(act);
  }
}

/** Drops those that are still there after a while. */
export function dropLingering(conns: readonly Conn[]): void {
  const wires = conns.map(wireOf);
  const timer = setTimeout(() => {
    for (const conn of conns) conn.close(true);
    for (const wire of wires) wire?.terminate();
  }, LINGER_MS);
  timer.unref();
}
