/** COPY … FROM STDIN, which pg leaves to a query of one's own: rows as fast as the server takes them. */

import type { Writable } from "node:stream";
import type pg from "pg";

/** What pg's connection does beside its types. */
interface CopyConnection {
  readonly stream: Writable;
  readonly query: (text: string) => void;
  readonly sendCopyFromChunk: (chunk: Buffer) => void;
  readonly endCopyFrom: () => void;
  readonly sendCopyFail: (reason: string) => void;
}

/**
 * Sends the chunks, of whatever size, and gives the number of rows. No more of them wait in memory than the socket holds.
 * @param statement `copy … from stdin`
 */
export async function copyIn(client: pg.Client, statement: string, chunks: Iterable<Buffer>): Promise<number> {
  return await new Promise<number>((resolve, reject) => {
    let rowCount = 0;
    let refused = false;
    const query = {
      submit: (connection: unknown): void => (connection as CopyConnection).query(statement),
      handleCopyInResponse: (connection: CopyConnection): void =>
        void sendAll(connection, chunks, () => refused).catch((error: unknown) => connection.sendCopyFail(String(error))),
      handleCommandComplete: ({ text }: { readonly text: string }): void => void (rowCount = Number(text.split(" ")[1])),
      handleReadyForQuery: (): void => resolve(rowCount),
      handleError: (error: Error): void => {
        refused = true;
        reject(error);
      },
    };
    client.query(query);
  });
}

async function sendAll(connection: CopyConnection, chunks: Iterable<Buffer>, isOver: () => boolean): Promise<void> {
  const { stream } = connection;
  for (const chunk of chunks) {
    if (isOver()) return;
    connection.sendCopyFromChunk(chunk);
    if (stream.writableNeedDrain) await flushed(stream);
  }
  connection.endCopyFrom();
}

function flushed(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      stream.off("drain", go).off("close", go);
      resolve();
    };
    stream.on("drain", go).on("close", go);
  });
}

/** Strings in chunks that are worth a system call each. */
export function* linesInChunks(lines: Iterable<string>): Generator<Buffer> {
  let text = "";
  for (const line of lines) {
    text += line;
    if (text.length < 128 * 1024) continue;
    yield Buffer.from(text);
    text = "";
  }
  yield Buffer.from(text);
}
