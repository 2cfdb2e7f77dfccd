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
    query_timeout: options.timeoutMs,
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
    await client.query(`listen ${client.escapeIdentifier(options.channel)}`);
  } catch (error) {
    close();
    throw error;
  }
  return {
    query: async (statement) => (await client.query({ ...statement, values: [...(statement.values ?? [])] })).rows as never[],
    isAlive: () => alive,
    [Symbol.asyncDispose]: async () => {
      close();
      await Promise.resolve();
    },
  };
}
