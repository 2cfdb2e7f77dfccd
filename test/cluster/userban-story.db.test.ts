/** The ban declared in Kubernetes, on real parts all the way: resource, controller, daprd, API, sockets elsewhere, broker, neighbour. */

import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { startControlPlane, type ControlPlane } from "../kit/control-plane.ts";
import type { ProblemBody } from "../kit/http-client.ts";
import { MESH_TOOLS, startMesh, type Beside, type Consumer, type Mesh } from "../kit/mesh.ts";
import { startService, type RunningProgram } from "../kit/process.ts";
import { describeWithAll } from "../kit/requires.ts";
import { logIn, onDatabase, registerPeople, registerPerson, type ApiProcess, type ServiceProcess, type SignedIn } from "../kit/service.ts";
import { until } from "../kit/until.ts";
import { userBansIn, type UserBans } from "./userbans.ts";

const STARTS_WITHIN_MS = 120_000;
/** The name stays over a restart, as that of a pod does: the Lease is still its own. */
const CONTROLLER = { CLUSTER_NAME: "test", POD_NAMESPACE: "default", POD_NAME: "controller-0" };

const PROGRAM = fileURLToPath(new URL("./controller-program.ts", import.meta.url));
/** Its writes in this order: finalizer, PUT, status, Event. Before it is sent, and after its answer. */
const KILLS_OF_A_BAN = ["1", "1+", "2", "2+", "3", "3+", "4"];
/** DELETE, finalizer. */
const KILLS_OF_A_LIFT = ["1", "1+", "2", "2+"];

describeWithAll([...MESH_TOOLS, "etcd", "kube-apiserver"], "a UserBan", (paths) => {
  const stack = new AsyncDisposableStack();
  let plane: ControlPlane;
  let mesh: Mesh;
  let first: Beside<ApiProcess>;
  let second: Beside<ApiProcess>;
  let controller: Beside<ServiceProcess>;
  let neighbour: Consumer;
  let bans: UserBans;

  beforeAll(async () => {
    [plane, mesh] = await Promise.all([
      startControlPlane({ etcd: paths["etcd"] ?? "", apiServer: paths["kube-apiserver"] ?? "" }),
      startMesh(paths, { neighbours: ["social-service"] }),
    ]);
    stack.use(plane);
    stack.use(mesh);
    bans = await userBansIn(plane, "moderation");
    [first, second, , neighbour, controller] = await Promise.all([
      mesh.startApi(),
      mesh.startApi(),
      mesh.startWorker(),
      mesh.startConsumer("social-service"),
      mesh.startController(plane.kubeconfig, CONTROLLER),
    ]);
  }, STARTS_WITHIN_MS);
  afterAll(() => stack.disposeAsync());

  const statusOf = async (api: Beside<ApiProcess>, person: SignedIn): Promise<number> =>
    (await api.process.http.get("/api/users/me", person.accessToken)).status;
  const heard = (type: string, person: SignedIn): boolean =>
    neighbour.app.seen.some((event) => event.type === type && event.subject === person.id);

  it("closes the banned user's socket on another process, refuses them everywhere, is heard by a neighbour, and is lifted with the resource", async () => {
    const ann = await registerPerson(first.process.http, "ann");
    using socket = await second.process.socket(ann.accessToken);
    expect(await statusOf(second, ann)).toBe(200);
    await bans.create("ann", { userRef: { username: "ann" }, message: "Please stop." });
    await socket.closes();
    expect(await socket.tells("account:restricted")).toMatchObject({ kind: "ban", message: "Please stop." });
    const { status } = await bans.condition("ann", "Enforced", "True");
    expect(status).toMatchObject({ userId: ann.id, sessionsRevoked: 1 });
    for (const api of [first, second]) {
      const refused = await api.process.http.get<ProblemBody>("/api/users/me", ann.accessToken);
      expect([refused.status, refused.body.code]).toEqual([403, "account.restricted"]);
    }
    expect((await first.process.http.post("/api/auth/refresh", { refreshToken: ann.refreshToken })).status).not.toBe(200);
    await until(() => heard("videamozi.user.restricted.v1", ann), { what: "the neighbour to hear of the ban" });
    await bans.remove("ann");
    await until(() => bans.isGone("ann"), { what: "the resource to go" });
    await until(() => heard("videamozi.user.restored.v1", ann), { what: "the neighbour to hear of the end" });
    const back = await logIn(second.process.http, "ann");
    expect(await statusOf(first, back)).toBe(200);
    expect(neighbour.app.gaps).toEqual([]);
  });

  it("holds when the controller is killed and another begins, and ends when it is deleted meanwhile", async () => {
    const bea = await registerPerson(first.process.http, "bea");
    await controller.process.kill();
    await bans.create("bea", { userRef: { id: bea.id } });
    controller = await mesh.startController(plane.kubeconfig, CONTROLLER);
    await bans.condition("bea", "Enforced", "True");
    expect(await statusOf(second, bea)).toBe(403);
    await controller.process.kill();
    await bans.remove("bea");
    expect(await statusOf(first, bea)).toBe(403);
    controller = await mesh.startController(plane.kubeconfig, CONTROLLER);
    await until(() => bans.isGone("bea"), { what: "the resource to go", withinMs: 30_000 });
    expect(await statusOf(first, await logIn(first.process.http, "bea"))).toBe(200);
  }, 90_000);

  it("waits for somebody to register with an address of which the resource knows the hash only", async () => {
    const hash = "4d9a3e3c6a9bd7d0a2f7c2bd3fa9f3a4bd3d6f3a2d3b5bb9dc0d2a8a5a5e1a11";
    await bans.create("unknown", { userRef: { emailHash: hash } });
    await bans.condition("unknown", "Enforced", "False", "WaitingForUser");
    await bans.create("eve", { userRef: { email: "eve@example.com" } });
    await bans.condition("eve", "Enforced", "False", "WaitingForUser");
    const eve = await registerPerson(first.process.http, "eve");
    await until(async () => (await statusOf(second, eve)) === 403, { what: "eve to be refused" });
  });

  it("comes to the same when the controller is killed before or after any of its writes", async () => {
    await controller.process.stop();
    const { httpPort, apiToken = "" } = controller.daprd;
    const run = async (dieAt?: string): Promise<RunningProgram> => {
      const env = {
        KUBECONFIG: plane.kubeconfig,
        DAPR_HTTP_PORT: String(httpPort),
        DAPR_API_TOKEN: apiToken,
        IDENTITY: "controller-0",
        WATCHED: "moderation",
      };
      return await startService({ entry: PROGRAM, env: { ...env, ...(dieAt === undefined ? {} : { DIE_AT: dieAt }) } });
    };
    const killedAt = async (point: string): Promise<void> => {
      await using dying = await run(point);
      expect((await dying.exited).signal).toBe("SIGKILL");
    };
    const people = await registerPeople(
      first.process.http,
      KILLS_OF_A_BAN.map((_, index) => `kay${index}`),
    );
    for (const [index, point] of KILLS_OF_A_BAN.entries()) {
      const person = people[`kay${index}`] as SignedIn;
      const name = `kay${index}`;
      await bans.create(name, { userRef: { username: name } });
      await killedAt(point);
      await using _ = await run();
      const { status } = await bans.condition(name, "Enforced", "True");
      expect(status).toMatchObject({ userId: person.id, sessionsRevoked: 1 });
      expect(await statusOf(second, person)).toBe(403);
    }
    for (const [index, point] of KILLS_OF_A_LIFT.entries()) {
      const name = `kay${index}`;
      await bans.remove(name);
      await killedAt(point);
      await using _ = await run();
      await until(() => bans.isGone(name), { what: `${name} to go` });
      expect(await statusOf(first, await logIn(first.process.http, name))).toBe(200);
    }
    // Each was imposed once, and lifted once, whoever did it.
    const counts = await onDatabase<{ action: string; count: number }>(
      mesh.database.url,
      "select action, count(*)::int as count from audit_log where facts ->> 'externalId' like 'test:moderation:kay%' group by 1 order by 1",
    );
    expect(counts).toEqual([
      { action: "restriction.imposed", count: KILLS_OF_A_BAN.length },
      { action: "restriction.lifted", count: KILLS_OF_A_LIFT.length },
    ]);
  }, 180_000);

  it("leaves nothing in the logs that somebody would have to look at", () => {
    for (const { process } of [first, second]) expect(process.errors()).toEqual([]);
    expect(controller.process.errors()).toEqual([]);
  });
});
