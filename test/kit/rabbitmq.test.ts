/** The broker of tests keeps what it was given, whatever is done to it. */

import { expect, it } from "@jest/globals";
import { Connection } from "rabbitmq-client";
import { startRabbit } from "./rabbitmq.ts";
import { describeWith } from "./requires.ts";
import { isAlive } from "./run-folder.ts";

const definitions = {
  exchanges: [{ name: "t", vhost: "/", type: "fanout", durable: true, auto_delete: false, internal: false, arguments: {} }],
  queues: [{ name: "q", vhost: "/", durable: true, auto_delete: false, arguments: {} }],
  bindings: [{ source: "t", vhost: "/", destination: "q", destination_type: "queue", routing_key: "", arguments: {} }],
};

describeWith("rabbitmq-server", "a RabbitMQ of a test's own", (path) => {
  it("keeps its messages when it is killed and comes back", async () => {
    await using rabbit = await startRabbit(path, { definitions });
    await publish(rabbit.url, "t", "hello");
    const { pid } = rabbit;
    await rabbit.kill();
    expect(isAlive(pid)).toBe(false);
    await rabbit.restart();
    expect(rabbit.pid).not.toBe(pid);
    expect(await take(rabbit.url, "q")).toBe("hello");
    rabbit.freeze();
    rabbit.wake();
    await rabbit.stop();
  }, 120_000);
});

async function publish(url: string, exchange: string, body: string): Promise<void> {
  const connection = new Connection(url);
  const publisher = connection.createPublisher({ confirm: true });
  await publisher.send({ exchange, durable: true }, body);
  await publisher.close();
  await connection.close();
}

async function take(url: string, queue: string): Promise<unknown> {
  const connection = new Connection(url);
  const message = await connection.basicGet({ queue, noAck: true });
  await connection.close();
  return message?.body;
}
