/** What daprd makes of a neighbour's publish: that an app which names nothing is understood as well as one that sends whole CloudEvents. */

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it } from "@jest/globals";
import { row, sql } from "#src/db/sql";
import type { DeliveryOutcome } from "#src/sidecar/port";
import { startDaprd } from "../../../test/kit/daprd.ts";
import { openInbox } from "../../../test/kit/inbox.ts";
import { people } from "../../../test/kit/people.ts";
import { describeWith } from "../../../test/kit/requires.ts";
import { until } from "../../../test/kit/until.ts";
import { neighboursConsumers } from "./neighbours.consumers.ts";

const component = `
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: pubsub }
spec: { type: pubsub.in-memory, version: v1, metadata: [] }
`;

interface App extends AsyncDisposable {
  readonly port: number;
}

/** Subscribes to `social.v1` and hands on what comes. */
async function startApp(deliver: (event: unknown) => Promise<DeliveryOutcome>): Promise<App> {
  const answer = async (path: string | undefined, body: string): Promise<unknown> => {
    if (path === "/dapr/subscribe") return [{ pubsubname: "pubsub", topic: "social.v1", route: "/social" }];
    return path === "/social" ? { status: await deliver(JSON.parse(body)) } : {};
  };
  const server = createServer((request, response) => {
    void text(request)
      .then((body) => answer(request.url, body))
      .then((reply) => response.setHeader("content-type", "application/json").end(JSON.stringify(reply)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

describeWith("daprd", "figures that the social service publishes through daprd", (path) => {
  it.each([
    [
      "as plain JSON, naming the type only",
      "?metadata.cloudevent.type=social.stats.updated.v1",
      "application/json",
      (stats: object) => stats,
    ],
    [
      "as a CloudEvent",
      "",
      "application/cloudevents+json",
      (stats: object) => ({
        specversion: "1.0",
        id: "s-1",
        source: "urn:videamozi:social-service",
        type: "social.stats.updated.v1",
        datacontenttype: "application/json",
        data: stats,
      }),
    ],
  ] as const)("arrive when it sends them %s", async (_how, query, type, wrap) => {
    await using inbox = await openInbox(neighboursConsumers);
    const { ann } = await people(inbox.db, { ann: {} });
    await using app = await startApp((event) => inbox.deliver(event, "social.v1"));
    await using daprd = await startDaprd(path, { appId: "social-service", appPort: app.port, resources: { "pubsub.yaml": component } });
    await daprd.ready();

    const body = JSON.stringify(wrap({ userId: ann.id, postsCount: 3, version: 1 }));
    await until(async () => {
      // Nobody keeps what is published before daprd has asked who subscribes; a repeat changes nothing.
      await fetch(`${daprd.url}/v1.0/publish/pubsub/social.v1${query}`, {
        method: "POST",
        headers: { "content-type": type, connection: "close" },
        body,
      });
      return await row(inbox.db, sql`select 1 as there from social_profiles where user_id = ${ann.id}::uuid`);
    });

    expect(await row(inbox.db, sql`select version, posts_count from social_profiles`)).toEqual({ version: 1, posts_count: 3 });
    expect(inbox.figures()).toMatchObject({ drop: 0, forged: 0, retry: 0 });
  });
});
