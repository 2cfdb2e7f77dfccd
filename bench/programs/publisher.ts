/** Publishes events without an outbox: through a daprd, and straight to RabbitMQ with confirms. */

import { readFile } from "node:fs/promises";
import { Connection } from "rabbitmq-client";
import { HttpConnection, httpRequest } from "../kit/http-connection.ts";
import { answerCalls } from "../kit/rpc.ts";

/** Events of a file, one JSON text a line, each POSTed to `path`; on as many connections as there are to be in flight. */
export interface Posting {
  readonly file: string;
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly atOnce: number;
}

/** The same file, sent to a durable queue of its own. */
export interface Sending {
  readonly file: string;
  readonly url: string;
  readonly atOnce: number;
}

/** Of all, from the first that was sent to the last that was answered. */
export interface Published {
  readonly count: number;
  readonly rate: number;
}

answerCalls({
  post: async ({ file, port, path, headers, atOnce }: Posting): Promise<Published> => {
    const requests = (await linesOf(file)).map((body) => httpRequest({ method: "POST", path, headers, body }));
    const free = await Promise.all(Array.from({ length: atOnce }, () => HttpConnection.open(port)));
    try {
      return await timed(requests, free, async (connection, request) => {
        const { status, body } = await connection.send(request);
        if (status !== 204) throw new Error(`an event was answered ${status}: ${body()}`);
      });
    } finally {
      for (const connection of free) connection[Symbol.dispose]();
    }
  },
  send: async ({ file, url, atOnce }: Sending): Promise<Published> => {
    const bodies = await linesOf(file);
    const connection = new Connection(url);
    try {
      const queue = "bench-raw";
      await connection.queueDeclare({ queue, durable: true });
      const publisher = connection.createPublisher({ confirm: true });
      const published = await timed(bodies, Array<undefined>(atOnce).fill(undefined), (_, body) =>
        publisher.send({ routingKey: queue, durable: true, contentType: "application/cloudevents+json" }, Buffer.from(body)),
      );
      await publisher.close();
      await connection.queueDelete({ queue });
      return published;
    } finally {
      await connection.close();
    }
  },
});

async function linesOf(file: string): Promise<string[]> {
  return (await readFile(file, "utf8")).trimEnd().split("\n");
}

/** Each lane sends its next one when its last was answered. */
async function timed<Lane, Item>(
  items: readonly Item[],
  lanes: readonly Lane[],
  send: (lane: Lane, item: Item) => Promise<void>,
): Promise<Published> {
  let next = 0;
  const startMs = performance.now();
  const run = async (lane: Lane): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) await send(lane, items[index] as Item);
  };
  await Promise.all(lanes.map(run));
  return { count: items.length, rate: items.length / ((performance.now() - startMs) / 1_000) };
}
