/** The connection to a mail server, by the system's resolver as all our connections: the library's own asks DNS before it looks into the hosts file. */

import { connect, isIPv4, type Socket } from "node:net";

export interface SocketOptions {
  readonly host: string;
  readonly port: number;
  /** To anywhere else it is not kept: what will be said on it is for this machine only. */
  readonly loopbackOnly: boolean;
  readonly withinMs: number;
}

/** An error has the system's code, or ETIMEDOUT, or EPLAINTEXT: not to this machine, and should have been. */
export type Connected = (error: Error | null, socket?: Socket) => void;

/** Connects, and calls back once. */
export function connectToServer({ host, port, loopbackOnly, withinMs }: SocketOptions, done: Connected): void {
  const socket = connect({ host, port });
  const timer = setTimeout(() => socket.destroy(coded("ETIMEDOUT", `not connected after ${withinMs} ms`)), withinMs);
  const failed = (error: Error): void => {
    clearTimeout(timer);
    done(error);
  };
  socket.once("error", failed);
  socket.once("connect", () => {
    if (loopbackOnly && !isLoopback(socket.remoteAddress)) {
      socket.destroy(coded("EPLAINTEXT", "the server is not on this machine, and a password would go to it in plain text"));
      return;
    }
    clearTimeout(timer);
    socket.off("error", failed);
    done(null, socket);
  });
}

/** Whether a connected peer is this machine. */
export function isLoopback(address: string | undefined): boolean {
  const plain = address?.replace(/^::ffff:/, "") ?? "";
  return plain === "::1" || (isIPv4(plain) && plain.startsWith("127."));
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
