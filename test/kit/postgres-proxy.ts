/** A man in the middle of connections to PostgreSQL: loses notifications, goes deaf, counts what is asked. */

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** Between clients and a server, speaking protocol version 3 without TLS. */
export interface PostgresProxy extends AsyncDisposable {
  /** The database behind the proxy. */
  readonly urlOf: (databaseUrl: string) => string;
  /** NotificationResponse messages are lost while this is true. */
  losesNotifications: boolean;
  /** From now on nothing passes through connections that are open; they stay open. New ones are as good as ever. */
  readonly halfOpen: () => void;
  /** As `halfOpen`, and new ones are accepted and never answered, until `heal`. */
  readonly goDeaf: () => void;
  readonly heal: () => void;
  /** `performance.now()` of each statement that clients have sent. */
  readonly statements: readonly number[];
  /** The text of each of them, where clients have given it. */
  readonly texts: readonly string[];
  readonly notificationsLost: () => number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  deaf: boolean;
}

const QUERY = 0x51;
const PARSE = 0x50;
const BIND = 0x42;
const EXECUTE = 0x45;
const NOTIFICATION = 0x41;

/** Listens on a free port of this machine and passes on to the server of `databaseUrl`. */
export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  const { hostname, port } = new URL(databaseUrl);
  const pairs = new Set<Pair>();
  const statements: number[] = [];
  const texts: string[] = [];
  const state = { isDeaf: false, lost: 0 };
  const proxy = createServer({ noDelay: true }, (client) => {
    const pair: Pair = { client, server: connect({ port: Number(port), host: hostname, noDelay: true }), deaf: state.isDeaf };
    pairs.add(pair);
    const named = new Map<string, string>();
    const asked = messages(true, ({ type, bytes }) => {
      if (type === PARSE) named.set(...parsedOf(bytes));
      if (type === QUERY) texts.push(textAt(bytes, 5).text);
      // pg executes what it binds, once.
      if (type === BIND) texts.push(named.get(textAt(bytes, textAt(bytes, 5).end).text) ?? "");
      if (type === QUERY || type === EXECUTE) statements.push(performance.now());
      if (!pair.deaf) pair.server.write(bytes);
    });
    const answered = messages(false, ({ type, bytes }) => {
      if (type === NOTIFICATION && handle.losesNotifications) state.lost += 1;
      else if (!pair.deaf) client.write(bytes);
    });
    const end = (): void => {
      // A deaf one has no way to say that the other side is gone.
      if (pair.deaf && !client.destroyed) return;
      pairs.delete(pair);
      client.destroy();
      pair.server.destroy();
    };
    client.on("data", atOnce(pair.server, asked)).on("close", end).on("error", end);
    pair.server.on("data", atOnce(client, answered)).on("close", end).on("error", end);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const handle: PostgresProxy = {
    urlOf: (url) => Object.assign(new URL(url), { hostname: "127.0.0.1", port: String((proxy.address() as AddressInfo).port) }).href,
    losesNotifications: false,
    halfOpen: () => {
      for (const pair of pairs) pair.deaf = true;
    },
    goDeaf: () => {
      state.isDeaf = true;
      for (const pair of pairs) pair.deaf = true;
    },
    heal: () => {
      state.isDeaf = false;
    },
    statements,
    texts,
    notificationsLost: () => state.lost,
    [Symbol.asyncDispose]: async () => {
      proxy.close();
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
      await once(proxy, "close");
    },
  };
  return handle;
}

/** A text that ends with NUL, and where the next one begins. */
function textAt(bytes: Buffer, from: number): { readonly text: string; readonly end: number } {
  const end = bytes.indexOf(0, from);
  return { text: bytes.toString("utf8", from, end), end: end + 1 };
}

/** The name and the text of a statement that is prepared. */
function parsedOf(bytes: Buffer): [string, string] {
  const name = textAt(bytes, 5);
  return [name.text, textAt(bytes, name.end).text];
}

/** What came together leaves together. */
function atOnce(to: Socket, pass: (chunk: Buffer) => void): (chunk: Buffer) => void {
  return (chunk) => {
    to.cork();
    pass(chunk);
    to.uncork();
  };
}

interface Message {
  /** Undefined for the first message of a client, which has none. */
  readonly type: number | undefined;
  readonly bytes: Buffer;
}

/** Cuts a stream into protocol messages. */
function messages(isClient: boolean, onMessage: (message: Message) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let isFirst = isClient;
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const head = isFirst ? 0 : 1;
      if (rest.length < head + 4) return;
      const length = head + rest.readUInt32BE(head);
      if (rest.length < length) return;
      onMessage({ type: isFirst ? undefined : rest[0], bytes: rest.subarray(0, length) });
      rest = rest.subarray(length);
      isFirst = false;
    }
  };
}
