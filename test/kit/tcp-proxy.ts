/** A man in the middle of TCP connections, whatever they speak: cuts them, refuses them, swallows or holds back what they say. */

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { serverPort } from "./ports.ts";

/** Between clients and one server. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Accepted so far. */
  readonly connections: number;
  /** Open just now. */
  readonly open: number;
  /** Destroys all connections; new ones are as good as ever. */
  readonly cut: () => void;
  /** While on, nobody listens on the port. Open connections are left alone. */
  readonly refuse: (on: boolean) => Promise<void>;
  /** While on, what either side says is lost, its end too, and new connections are accepted and never answered. A connection that was stalled once stays so: half of it is missing. */
  readonly stall: (on: boolean) => void;
  /** While on, nothing passes; afterwards all of it does, in order. */
  readonly hold: (on: boolean) => void;
  /** The same for what the server says only. */
  readonly holdAnswers: (on: boolean) => void;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  deaf: boolean;
}

/** Listens on a free port of 127.0.0.1 and passes on to `target`. */
export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  const port = await serverPort();
  const pairs = new Set<Pair>();
  const state = { stalls: false, holds: false, holdsAnswers: false, connections: 0 };
  const accept = (client: Socket): void => {
    state.connections += 1;
    const pair = { client, server: connect({ ...target, noDelay: true, allowHalfOpen: true }), deaf: false };
    pairs.add(pair);
    join(pair, () => pairs.delete(pair));
    flow(pair, state);
  };
  const flowAll = (): void => {
    for (const pair of pairs) flow(pair, state);
  };
  let listener: Server | undefined = await listen(port, accept);
  const cut = (): void => {
    for (const { client, server } of pairs) {
      client.destroy();
      server.destroy();
    }
    pairs.clear();
  };
  return {
    port,
    get connections() {
      return state.connections;
    },
    get open() {
      return pairs.size;
    },
    cut,
    refuse: async (on) => {
      if (on) listener = void listener?.close();
      else listener ??= await listen(port, accept);
    },
    stall: (on) => {
      state.stalls = on;
      flowAll();
    },
    hold: (on) => {
      state.holds = on;
      flowAll();
    },
    holdAnswers: (on) => {
      state.holdsAnswers = on;
      flowAll();
    },
    [Symbol.asyncDispose]: async () => {
      const closed = listener === undefined ? undefined : once(listener, "close");
      listener?.close();
      cut();
      await closed;
    },
  };
}

async function listen(port: number, accept: (client: Socket) => void): Promise<Server> {
  const listener = createServer({ noDelay: true, allowHalfOpen: true }, accept);
  listener.listen(port, "127.0.0.1");
  await once(listener, "listening");
  return listener;
}

/** The end of one side is the other's, unless a stalled connection has no way to say so. */
function join(pair: Pair, gone: () => void): void {
  for (const [from, to] of [[pair.client, pair.server] as const, [pair.server, pair.client] as const]) {
    // 'close' follows, and there it is dealt with.
    from.on("error", () => {});
    from.on("close", () => {
      if (!pair.deaf) to.destroy();
      if (from.destroyed && to.destroyed) gone();
    });
  }
}

interface Flow {
  readonly stalls: boolean;
  readonly holds: boolean;
  readonly holdsAnswers: boolean;
}

function flow(pair: Pair, { stalls, holds, holdsAnswers }: Flow): void {
  pair.deaf ||= stalls;
  for (const [from, to] of [[pair.client, pair.server] as const, [pair.server, pair.client] as const]) {
    from.unpipe(to);
    if (pair.deaf) from.resume();
    else if (holds || (holdsAnswers && from === pair.server)) from.pause();
    else from.pipe(to);
  }
}
