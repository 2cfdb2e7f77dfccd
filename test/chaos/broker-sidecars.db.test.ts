/** Sidecars and processes are killed, frozen and late under load: no event is lost. Short here; SOAK=1 breaks for longer. */

import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { delay } from "#src/kernel/clock";
import type { Daprd } from "../kit/daprd.ts";
import { MESH_TOOLS, startMesh, type Beside, type Consumer, type Mesh } from "../kit/mesh.ts";
import { describeWithAll } from "../kit/requires.ts";
import type { ApiProcess, ServiceProcess } from "../kit/service.ts";
import { expectNothingLost, outbox, report, SOAK, underLoad, untilDelivered, untilHealth, untilWritten } from "./broker-load.ts";

const DOWN_MS = SOAK ? 60_000 : 1_000;
const FROZEN_MS = SOAK ? 30_000 : 3_000;
const LATE_MS = SOAK ? 60_000 : 4_000;
const UNWELL_MS = SOAK ? 20_000 : 5_000;
/** A claim holds for 10 s. */
const PAST_THE_LEASE_MS = 11_000;
const TEST_MS = SOAK ? 400_000 : 120_000;

describeWithAll(MESH_TOOLS, "no event is lost when", (paths) => {
  const stack = new AsyncDisposableStack();
  let mesh: Mesh;
  let api: Beside<ApiProcess>;
  let worker: Beside<ServiceProcess>;
  let neighbour: Consumer;

  beforeAll(async () => {
    mesh = stack.use(await startMesh(paths, { neighbours: ["social-service"] }));
    [api, worker, neighbour] = await Promise.all([
      mesh.startApi(),
      mesh.startWorker(),
      mesh.startConsumer("social-service", { healthChecked: true }),
    ]);
  }, 90_000);
  afterAll(() => stack.disposeAsync(), 60_000);

  /** Those that a fault befalls in turn. Of our own, health tells the API's. */
  const sidecars = (): readonly (readonly [string, Daprd, RegExp])[] => [
    ["of the worker", worker.daprd, /^(up|events degraded)/],
    ["of the API", api.daprd, /^sidecar down/],
    ["of the neighbour", neighbour.daprd, /^(up|events degraded)/],
  ];

  it(
    "a daprd is killed and comes back",
    async () => {
      const failed = await underLoad(mesh, [api.process], async () => {
        for (const [whose, daprd, health] of sidecars()) {
          await untilWritten(mesh, 30);
          daprd.program.signal("SIGKILL");
          await Promise.all([delay(DOWN_MS), untilHealth(api.process, health)]);
          await daprd.restart();
          await daprd.ready();
          report(`daprd ${whose} killed: all delivered ${await untilDelivered(mesh, 60_000)} ms after it was ready`);
        }
      });
      await untilHealth(api.process, /^up$/);
      await expectNothingLost(mesh, neighbour);
      expect(failed).toEqual([]);
    },
    TEST_MS,
  );

  it(
    "a daprd stands still",
    async () => {
      const failed = await underLoad(mesh, [api.process], async () => {
        for (const [whose, daprd, health] of sidecars()) {
          await untilWritten(mesh, 20);
          daprd.program.signal("SIGSTOP");
          await Promise.all([delay(FROZEN_MS), untilHealth(api.process, health)]);
          daprd.program.signal("SIGCONT");
          report(`daprd ${whose} frozen: all delivered ${await untilDelivered(mesh, 60_000)} ms after it was woken`);
        }
      });
      await untilHealth(api.process, /^up$/);
      await expectNothingLost(mesh, neighbour);
      expect(failed).toEqual([]);
    },
    TEST_MS,
  );

  it(
    "an app is unwell with events in flight",
    async () => {
      const other = await mesh.startApi();
      const failed = await underLoad(mesh, [other.process], async () => {
        await untilWritten(mesh, 20);
        neighbour.app.isHealthy = false;
        api.process.freeze();
        await delay(UNWELL_MS);
        api.process.wake();
        neighbour.app.isHealthy = true;
        report(`apps unwell: all delivered ${await untilDelivered(mesh, 60_000)} ms after they were well`);
      });
      await untilHealth(api.process, /^up$/);
      await expectNothingLost(mesh, neighbour, 30_000);
      expect(failed).toEqual([]);
    },
    TEST_MS,
  );

  it(
    "processes start long before their sidecars",
    async () => {
      const failed = await underLoad(mesh, [api.process], async (load) => {
        const [late] = await Promise.all([mesh.startApi({}, LATE_MS), mesh.startWorker({}, LATE_MS)]);
        load.apis.push(late.process);
        await untilHealth(late.process, /^up$/);
        await untilWritten(mesh, 30);
      });
      await expectNothingLost(mesh, neighbour);
      expect(failed).toEqual([]);
    },
    TEST_MS,
  );

  it(
    "a worker is killed before a receipt, or stands still past its lease",
    async () => {
      const failed = await underLoad(mesh, [api.process], async () => {
        const [killed, frozen] = await Promise.all([mesh.startWorker(), mesh.startWorker()]);
        await untilWritten(mesh, 30);
        // What they publish now does not get through: they hold claims when it befalls them.
        for (const { daprd } of [killed, frozen]) daprd.program.signal("SIGSTOP");
        await untilWritten(mesh, 30);
        await killed.process.kill();
        frozen.process.freeze();
        const { repeated } = await outbox(mesh);
        await delay(PAST_THE_LEASE_MS);
        report(`worker frozen: all delivered ${await untilDelivered(mesh, 30_000)} ms after its lease`);
        expect((await outbox(mesh)).repeated).toBeGreaterThan(repeated);
        // Now what it was about to publish long ago goes out: repeats, which come late.
        for (const { daprd } of [killed, frozen]) daprd.program.signal("SIGCONT");
        frozen.process.wake();
        await untilWritten(mesh, 30);
      });
      await expectNothingLost(mesh, neighbour);
      expect(failed).toEqual([]);
    },
    TEST_MS,
  );
});
