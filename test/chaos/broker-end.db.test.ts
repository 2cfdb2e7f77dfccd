/** Pods end in good order under load, and Redis goes away and comes back: no event is lost, nobody is refused for it. */

import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { MESH_TOOLS, startMesh, type Beside, type Consumer, type Mesh } from "../kit/mesh.ts";
import type { Exit } from "../kit/process.ts";
import { startRedis } from "../kit/redis.ts";
import { describeWithAll } from "../kit/requires.ts";
import { logIn, registerPerson, type ApiProcess, type ServiceProcess } from "../kit/service.ts";
import { until } from "../kit/until.ts";
import { expectNothingLost, healthOf, report, underLoad, untilDelivered, untilHealth, untilWritten } from "./broker-load.ts";

/** Of a pod, as the chart will have it (terminationGracePeriodSeconds). */
const GRACE_MS = 30_000;
const ENDED_WELL: Exit = { code: 0, signal: null };

interface Ended {
  readonly exit: Exit;
  readonly afterMs: number;
}

/** Ends a process and its sidecar as a kubelet does: both are told at once. */
async function endPod({ process, daprd }: Beside<ServiceProcess>): Promise<{ readonly app: Ended; readonly sidecar: Ended }> {
  const beganMs = performance.now();
  const ended = async (exited: Promise<Exit>): Promise<Ended> => ({ exit: await exited, afterMs: performance.now() - beganMs });
  daprd.program.signal("SIGTERM");
  process.program.signal("SIGTERM");
  const [app, sidecar] = await Promise.all([ended(process.program.exited), ended(daprd.program.exited)]);
  report(`the app ended after ${app.afterMs} ms, its daprd after ${sidecar.afterMs} ms`);
  return { app, sidecar };
}

function expectGoodEnd({ app, sidecar }: { readonly app: Ended; readonly sidecar: Ended }): void {
  expect(app.exit).toEqual(ENDED_WELL);
  expect(sidecar.exit).toEqual(ENDED_WELL);
  expect(sidecar.afterMs).toBeLessThan(GRACE_MS);
  // As long as the app may still publish or be brought something, its sidecar is there.
  expect(sidecar.afterMs).toBeGreaterThan(app.afterMs);
}

describeWithAll(MESH_TOOLS, "no event is lost when", (paths) => {
  const stack = new AsyncDisposableStack();
  let mesh: Mesh;
  let api: Beside<ApiProcess>;
  let neighbour: Consumer;
  let worker: Beside<ServiceProcess>;

  beforeAll(async () => {
    mesh = stack.use(await startMesh(paths, { neighbours: ["social-service"] }));
    [api, worker, neighbour] = await Promise.all([mesh.startApi(), mesh.startWorker(), mesh.startConsumer("social-service")]);
  }, 90_000);
  afterAll(() => stack.disposeAsync(), 60_000);

  it("pods of the API and of the worker end under load, and no request fails", async () => {
    const [leaving, staying] = await Promise.all([mesh.startApi(), mesh.startWorker()]);
    const failed = await underLoad(mesh, [api.process, leaving.process], async (load) => {
      await untilWritten(mesh, 50);
      expectGoodEnd(await endPod(leaving));
      load.apis.splice(1);
      await untilWritten(mesh, 20);
      expectGoodEnd(await endPod(worker));
      worker = staying;
      await untilWritten(mesh, 20);
      report(`both gone: all delivered after ${await untilDelivered(mesh, 30_000)} ms`);
    });
    expect(failed).toEqual([]);
    expect([...leaving.process.errors(), ...api.process.errors()]).toEqual([]);
    await expectNothingLost(mesh, neighbour);
  }, 120_000);

  it("Redis is away; each process counts for itself meanwhile, and says so", async () => {
    const counting = await mesh.startApi({ RATE_LIMITS: "on" });
    const { http } = counting.process;
    const ann = await registerPerson(http, "ann");
    const metric = async (): Promise<string | undefined> =>
      /^throttles_shared \d/m.exec((await http.get<string>("/metrics")).body as unknown as string)?.[0];
    const failed = await underLoad(mesh, [api.process], async () => {
      await logIn(http, ann.username);
      expect([await healthOf(counting.process), await metric()]).toEqual(["up", "throttles_shared 1"]);
      await mesh.redis.program.stop("SIGKILL");
      const beganMs = performance.now();
      await logIn(http, ann.username);
      expect(performance.now() - beganMs).toBeLessThan(2_000);
      await untilHealth(counting.process, /^throttles degraded \(each process counts for itself\)$/);
      expect(await metric()).toBe("throttles_shared 0");
      // Counted here: of wrong passwords no more are let through than else, four at once.
      const statuses = [];
      for (let tries = 0; tries < 5; tries += 1)
        statuses.push((await http.post("/api/auth/login", { emailOrUsername: ann.username, password: "not this one" })).status);
      expect(statuses.slice(0, 4)).toEqual([401, 401, 401, 401]);
      expect(statuses.at(-1)).toBe(429);
      const redis = stack.use(await startRedis(paths["redis-server"] ?? "", mesh.redis.port));
      await until(() => metric().then((line) => line === "throttles_shared 1"), { withinMs: 20_000, what: "throttles to be shared again" });
      expect(redis.port).toBe(mesh.redis.port);
    });
    await untilHealth(counting.process, /^up$/);
    expect(failed).toEqual([]);
    await expectNothingLost(mesh, neighbour);
  }, 120_000);
});
