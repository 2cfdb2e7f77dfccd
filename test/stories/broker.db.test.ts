/** Processes apart, each with its daprd: what one says reaches another service through RabbitMQ. */

import { expect, it } from "@jest/globals";
import { deadLettersOf } from "../kit/dapr-resources.ts";
import { MESH_TOOLS, startMesh } from "../kit/mesh.ts";
import { describeWithAll } from "../kit/requires.ts";
import { registerPeople } from "../kit/service.ts";
import { until } from "../kit/until.ts";

const STARTS_WITHIN_MS = 90_000;

describeWithAll(MESH_TOOLS, "the service beside daprd", (paths) => {
  it(
    "brings an event of the API, relayed by the worker, to another app and to its own sockets",
    async () => {
      await using mesh = await startMesh(paths, { neighbours: ["social-service"] });
      const [api, , consumer] = await Promise.all([mesh.startApi(), mesh.startWorker(), mesh.startConsumer("social-service")]);
      const { ann, bob } = await registerPeople(api.process.http, ["ann", "bob"]);
      using socket = await api.process.socket(bob.accessToken);
      await api.process.http.post(`/api/users/${bob.id}/follow`, {}, ann.accessToken);
      await until(() => consumer.app.seen.some((event) => event.type === "videamozi.user.followed.v1"), { what: "the neighbour to hear" });
      expect(consumer.app.applied.get(ann.id)).toEqual([1, 2]);
      expect(consumer.app.gaps).toEqual([]);
      await socket.tells("user:followed");
      const health = await api.process.http.get<{ status: string }>("/health/services");
      expect(health.body).toMatchObject({ status: "up", services: { sidecar: { state: "up" }, events: { state: "up" } } });
      expect(api.process.errors()).toEqual([]);
    },
    STARTS_WITHIN_MS,
  );

  it(
    "brings an event again when a neighbour's connection breaks under it",
    async () => {
      await using mesh = await startMesh(paths, { neighbours: ["social-service"] });
      const [api, , { app }] = await Promise.all([mesh.startApi(), mesh.startWorker(), mesh.startConsumer("social-service")]);
      app.resetNext();
      const { ann } = await registerPeople(api.process.http, ["ann", "bob"]);
      await until(() => app.seen.length === 2, { what: "the neighbour to hear of both" });
      expect([app.applied.get(ann.id), app.gaps]).toEqual([[1], []]);
      expect(await mesh.rabbit.waitingIn(deadLettersOf("social-service"))).toBe(0);
    },
    STARTS_WITHIN_MS,
  );
});
