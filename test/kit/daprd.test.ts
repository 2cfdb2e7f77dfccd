/** Sidecars of tests find each other in their own mesh, keep their ports, and end at once. */

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "@jest/globals";
import type { Daprd } from "./daprd.ts";
import { createMesh, startDaprd } from "./daprd.ts";
import { describeWith } from "./requires.ts";
import { until } from "./until.ts";

describeWith("daprd", "a sidecar of a test's own", (path) => {
  it("is ready, asks for its token, hands the app its own, and comes back on its port", async () => {
    await using app = await startApp();
    await using one = await startDaprd(path, { appId: "one", resources: {}, apiToken: "in", blockShutdownSeconds: 60 });
    await using two = await startDaprd(path, { appId: "two", appPort: app.port, resources: {}, appToken: "out" });
    await Promise.all([one.ready(), two.ready()]);
    expect((await invoke(one, "two", {})).status).toBe(401);
    expect(await until(() => heard(one, "two"), { what: "a call through both sidecars" })).toBe("out");
    await one.restart();
    await one.ready();
    expect(await until(() => heard(one, "two"), { what: "a call after the restart" })).toBe("out");
  });

  it("does not find an app of another mesh", async () => {
    await using app = await startApp();
    await using one = await startDaprd(path, { appId: "three", resources: {} });
    await using two = await startDaprd(path, { appId: "four", appPort: app.port, resources: {}, mesh: await createMesh() });
    await Promise.all([one.ready(), two.ready()]);
    const answer = await invoke(one, "four", {});
    expect(answer.status).toBe(500);
  });

  it("ends a start that cannot succeed by what daprd said", async () => {
    await using broken = await startDaprd(path, { appId: "broken", resources: { "a.yaml": component("state.nonsense") } });
    await expect(broken.ready()).rejects.toThrow(/state\.nonsense/);
  });
});

function component(type: string): string {
  return `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: a}\nspec: {type: ${type}, version: v1, metadata: []}\n`;
}

/** Answers with the token that it was sent. */
async function startApp(): Promise<AsyncDisposable & { readonly port: number }> {
  const server: Server = createServer((request, response) => response.end(String(request.headers["dapr-api-token"])));
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

function invoke(from: Daprd, appId: string, headers: Record<string, string>): Promise<Response> {
  return fetch(`${from.url}/v1.0/invoke/${appId}/method/hello`, { headers: { connection: "close", ...headers } });
}

async function heard(from: Daprd, appId: string): Promise<string | undefined> {
  const answer = await invoke(from, appId, { "dapr-api-token": from.apiToken ?? "" });
  const text = await answer.text();
  return answer.ok ? text : undefined;
}
