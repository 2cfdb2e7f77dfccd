/** The process that holds the clients' ends of Socket.IO connections. */

import { delay } from "#src/kernel/clock";
import { answerCalls } from "../kit/rpc.ts";
import { SocketConnection } from "../kit/socket-connection.ts";

/** One connection each token, spread over the ports in turn. */
export interface Opening {
  readonly group: string;
  readonly ports: readonly number[];
  readonly tokens: readonly string[];
}

/** When the connections of a group had ended, in ns of the machine's monotonic clock. */
export interface Closings {
  readonly closed: number;
  readonly stillOpen: number;
  readonly lastClosedNs: string;
}

const groups = new Map<string, SocketConnection[]>();
const AT_ONCE = 50;

answerCalls({
  open: async ({ group, ports, tokens }: Opening): Promise<void> => {
    const opened: SocketConnection[] = [];
    groups.set(group, opened);
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let index = next++; index < tokens.length; index = next++) {
        opened.push(await SocketConnection.open(ports[index % ports.length] ?? 0, tokens[index] ?? ""));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  },
  /** Waits until all of a group are closed, at most `withinMs`. */
  closings: async ({ group, withinMs }: { readonly group: string; readonly withinMs: number }): Promise<Closings> => {
    const connections = groups.get(group) ?? [];
    const times: bigint[] = [];
    const all = Promise.all(connections.map(async (connection) => void times.push(await connection.closed)));
    await Promise.race([all, delay(withinMs)]);
    const last = times.reduce((latest, time) => (time > latest ? time : latest), 0n);
    return { closed: times.length, stillOpen: connections.length - times.length, lastClosedNs: String(last) };
  },
  drop: (group: string): void => {
    for (const connection of groups.get(group) ?? []) connection.destroy();
    groups.delete(group);
  },
});
