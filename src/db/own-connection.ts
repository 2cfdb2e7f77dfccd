/** A connection outside the pool, for one reader that must never wait behind others and hears NOTIFY. */

import pg from "pg";

/** What may be asked of it. Every call fails within its time-out when the server or the way to it is gone. */
export interface OwnConnection extends AsyncDisposable {
  readonly query: <Row extends object>(statement: {
    readonly name?: string;
    readonly text: string;
    readonly values?: readonly unknown[];
  }) => Promise<Row[]>;
  /** False from the moment at which the connection was seen to be lost. */
  readonly isAlive: () => boolean;
}

export interface OwnConnectionOptions {
  /** A direct connection: poolers lose LISTEN. */
  readonly url: string;
  readonly applicationName: string;
  readonly timeoutMs: number;
  readonly channel: string;
  /** Called at each NOTIFY on the channel. A hint only: those may be lost. */
  readonly onNotify: () => void;
  readonly onLost: () => void;
}

/** Connects and listens. @throws Error when that does not work within the time-out */
export async function openOwnConnection(options: OwnConnectionOptions): Promise<OwnConnection> {
  const client = new pg.Client({
    connectionString: options.url,
    application_name: options.applicationName,
    connectionTimeoutMillis: options.timeoutMs,
    keepAlive: true,
  });
  let alive = true;
  const lost = (): void => {
    alive = false;
    options.onLost();
  };
  client.on("error", lost);
  client.on("end", lost);
  client.on("notification", options.onNotify);
  // Not awaited: on a half-open connection the goodbye would never be answered.
  const close = (): void => void client.end().catch(() => {});
  try {
    await client.connect();
    await within(options.timeoutMs, client.query(`listen ${client.escapeIdentifier(options.channel)}`));
  } catch (error) {
    close();
    throw error;
  }
  return {
    query: async (statement) => {
      const asked = client.query({ ...statement, values: [...(statement.values ?? [])] });
      return (await within(options.timeoutMs, asked)).rows as never[];
    },
    isAlive: () => alive,
    [Symbol.asyncDispose]: async () => {
      close();
      await Promise.resolve();
    },
  };
}

/**
 * Not the driver's own time-out: of a process that stood still, timers are looked at before sockets, and a connection whose answer had
 * come long ago would be given up for a pause of ours.
 */
function within<Answer>(timeoutMs: number, asked: Promise<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error(`no answer within ${timeoutMs} ms`));
    const timer = setTimeout(() => setImmediate(late), timeoutMs);
    asked.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
