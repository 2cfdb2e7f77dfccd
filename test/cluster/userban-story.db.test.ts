/** The ban declared in Kubernetes, on real parts all the way: resource, controller, daprd, API, sockets elsewhere, broker, neighbour. */

import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { Agent } from "node:https";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { systemClock } from "#src/kernel/clock";
import { startControlPlane, type ControlPlane } from "../kit/control-plane.ts";
import type { ProblemBody } from "../kit/http-client.ts";
import { MESH_TOOLS, startMesh, type Beside, type Consumer, type Mesh } from "../kit/mesh.ts";
import { startService, type RunningProgram } from "../kit/process.ts";
import { describeWithAll } from "../kit/requires.ts";
import { logIn, onDatabase, registerPeople, registerPerson, type ApiProcess, type ServiceProcess, type SignedIn } from "../kit/service.ts";
import { runFolder } from "../kit/run-folder.ts";
import { startTcpProxy, type TcpProxy } from "../kit/tcp-proxy.ts";
import { until } from "../kit/until.ts";
import { userBansIn, type UserBans } from "./userbans.ts";

const STARTS_WITHIN_MS = 120_000;
/** The name stays over a restart, as that of a pod does: the Lease is still its own. */
const CONTROLLER = {
  CLUSTER_NAME: "test",
  POD_NAMESPACE: "default",
  POD_NAME: "controller-0",
  PORT: "0",
  BIND_ADDRESS: "127.0.0.1",
  // As `npm run controller` has it.
  NODE_OPTIONS: "--max-semi-space-size=2 --max-old-space-size=64",
};

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
  let proxy: TcpProxy;
  let kubeconfig: string;

  beforeAll(async () => {
    [plane, mesh] = await Promise.all([
      startControlPlane({ etcd: paths["etcd"] ?? "", apiServer: paths["kube-apiserver"] ?? "" }),
      startMesh(paths, { neighbours: ["social-service"] }),
    ]);
    stack.use(plane);
    stack.use(mesh);
    bans = await userBansIn(plane, "moderation");
    proxy = stack.use(await startTcpProxy({ host: "127.0.0.1", port: plane.port }));
    kubeconfig = await throughProxy(plane, proxy);
    [first, second, , neighbour, controller] = await Promise.all([
      mesh.startApi(),
      mesh.startApi(),
      mesh.startWorker(),
      mesh.startConsumer("social-service"),
      mesh.startController(kubeconfig, CONTROLLER),
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
    controller = await mesh.startController(kubeconfig, CONTROLLER);
    await bans.condition("bea", "Enforced", "True");
    expect(await statusOf(second, bea)).toBe(403);
    await controller.process.kill();
    await bans.remove("bea");
    expect(await statusOf(first, bea)).toBe(403);
    controller = await mesh.startController(kubeconfig, CONTROLLER);
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
    for (const name of ["unknown", "eve"]) await bans.remove(name);
    for (const name of ["unknown", "eve"]) await until(() => bans.isGone(name), { what: `${name} to go` });
    expect(await statusOf(second, await logIn(second.process.http, "eve"))).toBe(200);
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
      const { status } = await bans.condition(name, "Enforced", "True").catch((error: unknown) => {
        throw new Error(`${String(error)}; the controller's daprd said:\n${controller.daprd.program.output.slice(-3_000)}`, {
          cause: error,
        });
      });
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
    controller = await mesh.startController(kubeconfig, CONTROLLER);
  }, 180_000);

  it("is enforced a thousand times at once, by three writes each over one connection, and not written again when all are looked at again", async () => {
    const names = await makeThousand(mesh.database.adminUrl);
    const many = await userBansIn(plane, "many");
    const before = await writesOfUserBans(plane);
    const connections = proxy.connections;
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const startMs = systemClock.monotonicMs();
    await Promise.all(names.map((username) => many.create(username, { userRef: { username } }, agent))).finally(() => agent.destroy());
    const appliedMs = systemClock.monotonicMs();
    // Asked of the database first: a list of a thousand objects costs the API server as much as ten writes.
    const isBanned = async (): Promise<boolean> => (await bannedInCrowd(mesh.database.url)) === names.length;
    await until(isBanned, { withinMs: 90_000, everyMs: 1_000, what: "all to be banned" });
    await until(async () => (await many.enforced()) === names.length, { withinMs: 30_000, everyMs: 500, what: "all to be Enforced" });
    const enforcedMs = systemClock.monotonicMs();
    const { VmRSS = 0, VmHWM = 0 } = memoryKb(controller.process.pid);
    process.stderr.write(
      `${names.length} UserBans applied in ${seconds(appliedMs - startMs)}, all Enforced ${seconds(enforcedMs - appliedMs)} later; ` +
        `controller ${VmRSS >> 10} MB, at most ${VmHWM >> 10} MB\n`,
    );
    // The finalizer and the status; the third is the Event, which is another resource.
    const written = (await writesOfUserBans(plane)) - before;
    expect(written).toBe(2 * names.length);
    expect([proxy.open, proxy.connections]).toEqual([1, connections]);
    expect(VmHWM >> 10).toBeLessThanOrEqual(150);
    // Another controller looks at every one of them when it begins.
    await controller.process.stop();
    controller = await mesh.startController(kubeconfig, CONTROLLER);
    const looked = async (): Promise<boolean> => (await looksOf(controller)) >= names.length;
    await until(looked, { withinMs: 60_000, what: "all to be looked at again" });
    expect(await writesOfUserBans(plane)).toBe(before + written);
  }, 240_000);

  it("has a controller that tells of its own sidecar", async () => {
    expect(JSON.parse(await askController(controller, "/health/services"))).toMatchObject({
      status: "up",
      services: { sidecar: { state: "up" } },
    });
  });

  it("leaves nothing in the logs that somebody would have to look at", () => {
    for (const { process } of [first, second]) expect(process.errors()).toEqual([]);
    expect(controller.process.errors()).toEqual([]);
  });
});

/** The kubeconfig of a controller whose connections are counted. */
async function throughProxy(plane: ControlPlane, proxy: TcpProxy): Promise<string> {
  const file = join(runFolder(), `kubeconfig-${proxy.port}`);
  await writeFile(file, (await readFile(plane.kubeconfig, "utf8")).replaceAll(`:${plane.port}`, `:${proxy.port}`));
  return file;
}

async function bannedInCrowd(url: string): Promise<number> {
  const text = "select count(*)::int as count from users where status = 'banned' and username like 'crowd%'";
  return (await onDatabase<{ count: number }>(url, text))[0]?.count ?? 0;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** People with an account and nothing else. */
async function makeThousand(adminUrl: string): Promise<readonly string[]> {
  const made = await onDatabase<{ username: string }>(
    adminUrl,
    `insert into users (id, username, email, display_name)
     select gen_random_uuid(), 'crowd' || n, 'crowd' || n || '@example.com', 'Crowd' from generate_series(1, 1000) n returning username`,
  );
  return made.map(({ username }) => username);
}

/** Patches of UserBans and of their status, as the API server counts them. */
async function writesOfUserBans(plane: ControlPlane): Promise<number> {
  const { body } = await plane.request("GET", "/metrics");
  const lines = String(body).split("\n");
  const patches = lines.filter(
    (line) => line.startsWith("apiserver_request_total{") && /resource="userbans"/.test(line) && /verb="PATCH"/.test(line),
  );
  return patches.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** How many looks at UserBans a controller has finished. */
async function looksOf(running: Beside<ServiceProcess>): Promise<number> {
  const answer = await askController(running, "/metrics");
  return Number(/^userban_reconcile_duration_seconds_count (\d+)/m.exec(answer)?.[1] ?? 0);
}

/** What a controller says at its own door. */
async function askController({ process: running }: Beside<ServiceProcess>, path: string): Promise<string> {
  const port = /"port":(\d+)[^\n]*health is told here|health is told here[^\n]*"port":(\d+)/.exec(running.program.output);
  return await (await fetch(`http://127.0.0.1:${port?.[1] ?? port?.[2]}${path}`, { headers: { connection: "close" } })).text();
}

/** Linux counts both in kB: what is in memory, and the most that was. */
function memoryKb(pid: number): Readonly<Record<string, number>> {
  const lines = readFileSync(`/proc/${pid}/status`, "utf8").matchAll(/^(Vm\w+):\s+(\d+) kB$/gm);
  return Object.fromEntries([...lines].map(([, name, kb]) => [name, Number(kb)]));
}
