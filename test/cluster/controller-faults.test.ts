/** What goes wrong around the controller: it is killed at each write, frozen as the leader, and its API server goes away. */

import { afterAll, beforeAll, beforeEach, expect, it } from "@jest/globals";
import { join } from "node:path";
import { conditionOf } from "#src/controller/conditions";
import { accessFromFile, type KubeAccess } from "#src/controller/kube-access";
import { createKube } from "#src/controller/kube";
import { createLeaderElection, type LeaderElection } from "#src/controller/lease";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { startControlPlane, type ControlPlane } from "../kit/control-plane.ts";
import { startDeclaredApp, type DeclaredApp } from "../kit/declared-app.ts";
import { startService, type RunningProgram } from "../kit/process.ts";
import { describeWithAll } from "../kit/requires.ts";
import { startTcpProxy, type TcpProxy } from "../kit/tcp-proxy.ts";
import { until } from "../kit/until.ts";
import { pauseOf, runController, userBansIn, type UserBans } from "./userbans.ts";

/** Its Lease runs out as others' do, but it goes on believing that it leads: only the fences are in its way. */
const BELIEVER = "1500,600000,5000";
const PROGRAM = join(import.meta.dirname, "controller-program.ts");

describeWithAll(["etcd", "kube-apiserver"], "the controller of UserBans, when things go wrong", (paths) => {
  let plane: ControlPlane;
  let app: DeclaredApp;

  beforeAll(async () => {
    plane = await startControlPlane({ etcd: paths["etcd"] as string, apiServer: paths["kube-apiserver"] as string });
    app = await startDeclaredApp();
  });
  afterAll(async () => {
    await app?.[Symbol.asyncDispose]();
    await plane?.[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    app.mood = "well";
  });

  const startProgram = (env: Readonly<Record<string, string>>): Promise<RunningProgram> =>
    startService({ entry: PROGRAM, env: { KUBECONFIG: plane.kubeconfig, APP_URL: app.url, LEASE_TIMES: "1500,1000,200", ...env } });
  const through = async (proxy: TcpProxy): Promise<KubeAccess> => ({
    ...(await accessFromFile(plane.kubeconfig)),
    server: `https://127.0.0.1:${proxy.port}`,
  });

  it("killed at each of its writes, before and after, ends as if it had not been", async () => {
    // A life has seven: finalizer, PUT, status, Event; DELETE, finalizer, Event.
    const points = [1, 2, 3, 4, 5, 6, 7].flatMap((n) => [`${n}`, `${n}+`]);
    const start = (index: number): Promise<RunningProgram> =>
      startProgram({ WATCHED: `killed${index}`, ...(points[index] === undefined ? {} : { DIE_AT: points[index] }) });
    let program = await start(0);
    for (const [index, point] of points.entries()) {
      const bans = await userBansIn(plane, `killed${index}`);
      app.addUser({ username: `killed${index}` });
      await bans.create("one", { userRef: { username: `killed${index}` } });
      if (Number.parseInt(point, 10) > 4) await bans.condition("one", "Enforced", "True");
      if (Number.parseInt(point, 10) > 4) await bans.remove("one");
      expect((await program.exited).signal).toBe("SIGKILL");
      const left = await bans.get("one");
      const declared = app.get(bans.externalId("one"));
      // Wherever it died: no effect without the finalizer, and no end of the finalizer without the end of the effect.
      if (left?.metadata.finalizers === undefined) expect({ point, state: declared?.state ?? "gone" }).toEqual({ point, state: "gone" });

      // The next victim, as the successor. It has the same name, as a container that was restarted.
      program = await start(index + 1);
      if (Number.parseInt(point, 10) <= 4) await bans.condition("one", "Enforced", "True");
      await bans.remove("one");
      await until(() => bans.isGone("one"), { what: `${point}: the end` });
      expect({ point, state: app.get(bans.externalId("one"))?.state }).toEqual({ point, state: "gone" });
    }
    await program[Symbol.asyncDispose]();
  }, 120_000);

  it.each([
    ["its PUT", "2"],
    ["its status", "3"],
  ])(
    "frozen before %s and woken after another leads, is refused",
    async (_what, point) => {
      const bans = await userBansIn(plane, `frozen${point}`);
      app.addUser({ username: `frozen${point}` });
      await using first = await startProgram({
        IDENTITY: `first${point}`,
        WATCHED: `frozen${point}`,
        STOP_AT: point,
        LEASE_TIMES: BELIEVER,
      });
      await first.line(/this controller leads/, 60_000);
      await bans.create("one", { userRef: { username: `frozen${point}` } });
      await until(() => first.output.includes(`"n":${point}`), { what: "the leader to stop" });
      await using second = await startProgram({ IDENTITY: `second${point}` });
      await second.line(/this controller leads/, 60_000);
      await bans.patch("one", { spec: { message: "Later" } });
      await until(async () => (await bans.get("one"))?.status?.observedGeneration === 2, { what: "the second generation" });
      const before = await bans.get("one");

      first.signal("SIGCONT");
      await first.line(new RegExp(`"n":${point},.*"status":409`));
      expect(await bans.get("one")).toEqual(before);
      expect(app.get(bans.externalId("one"))).toMatchObject({ state: "active", generation: 2 });
    },
    120_000,
  );

  it("goes on after its API server was killed, misses nothing, and does not storm it meanwhile", async () => {
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: plane.port });
    const sent: string[] = [];
    const restarts: string[] = [];
    const observer = {
      sending: (method: string, path: string) => void sent.push(`${method} ${path}`),
      watchRestarted: (why: string) => void restarts.push(why),
    };
    // The same leader before and after: another would begin with a list anyway.
    const leaseTimes = { durationMs: 60_000, renewDeadlineMs: 50_000, retryMs: 1_000 };
    await using _ = await runController(plane, app, { access: await through(proxy), observer, leaseTimes });
    const bans = await userBansIn(plane, "outage");
    await enforced(app, bans, "before");

    await plane.apiServer.kill();
    const atKill = sent.length;
    await pauseOf(2_000);
    expect(sent.length - atKill).toBeLessThan(15);
    expect(app.get(bans.externalId("before"))?.state).toBe("active");

    // Back, but out of the controller's sight: what happens now is older than where the new server's memory begins.
    await proxy.refuse(true);
    proxy.cut();
    await plane.apiServer.restart();
    for (const name of ["during", "deleted"]) {
      app.addUser({ username: name });
      await bans.create(name, { userRef: { username: name } });
    }
    await bans.remove("deleted");
    await plane.apiServer.restart();
    await proxy.refuse(false);
    await bans.condition("during", "Enforced", "True");
    expect(restarts).toContain("gone");
    await enforced(app, bans, "after");
    expect(app.get(bans.externalId("before"))?.state).toBe("active");
  }, 120_000);

  it("goes on where it was after its watch was cut, and after a connection died without a word", async () => {
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: plane.port });
    const lists: string[] = [];
    const sending = (method: string, path: string): void => void (path.includes("limit=") && lists.push(`${method} ${path}`));
    await using _ = await runController(plane, app, { access: await through(proxy), observer: { sending } });
    const bans = await userBansIn(plane, "cut");
    await enforced(app, bans, "one");
    proxy.cut();
    await enforced(app, bans, "two");
    proxy.stall(true);
    await pauseOf(200);
    proxy.stall(false);
    await enforced(app, bans, "three");
    expect(lists).toHaveLength(1);
    expect(proxy.connections).toBeLessThanOrEqual(4);
  }, 120_000);

  it("leads alone: hands over at its end, and stops by its own clock when it cannot renew", async () => {
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: plane.port });
    await using near = createKube(await through(proxy));
    await using far = createKube(await accessFromFile(plane.kubeconfig));
    const times = { durationMs: 6_000, renewDeadlineMs: 3_000, retryMs: 500 };
    const shared = { clock: systemClock, log: silentLog, namespace: "default", name: "a-lease", times };
    const one = createLeaderElection({ ...shared, kube: near, identity: "one" });
    await using first = office(one);
    await until(() => first.log.join() === "in", { what: "the first" });
    await using second = office(createLeaderElection({ ...shared, kube: far, identity: "two" }));
    await pauseOf(500);
    expect(second.log).toEqual([]);

    proxy.stall(true);
    const stalledMs = systemClock.monotonicMs();
    await until(() => first.log.join() === "in,out", { what: "the first to stop", everyMs: 5 });
    // At its deadline, although a renewal still waits for an answer; and the other waits for longer than the first works.
    expect(systemClock.monotonicMs() - stalledMs).toBeLessThan(3_700);
    expect({ isLeader: one.isLeader(), second: second.log }).toEqual({ isLeader: false, second: [] });
    await until(() => second.log.join() === "in", { what: "the second" });

    proxy.stall(false);
    proxy.cut();
    const startMs = systemClock.monotonicMs();
    await second[Symbol.asyncDispose]();
    await until(() => first.log.join() === "in,out,in", { what: "the first again" });
    // Given back: nobody waited for it to run out.
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(5_000);
  });
});

/** One that is a candidate until disposal, and what it did. */
interface Office extends AsyncDisposable {
  readonly log: string[];
}

function office(election: LeaderElection): Office {
  const log: string[] = [];
  const stop = new AbortController();
  const work = (leading: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      log.push("in");
      leading.addEventListener("abort", () => resolve(void log.push("out")), { once: true });
    });
  const ended = election.run(work, stop.signal);
  const dispose = async (): Promise<void> => {
    stop.abort();
    await ended;
  };
  return { log, [Symbol.asyncDispose]: dispose };
}

async function enforced(app: DeclaredApp, bans: UserBans, name: string): Promise<void> {
  app.addUser({ username: `${bans.namespace}.${name}` });
  await bans.create(name, { userRef: { username: `${bans.namespace}.${name}` } });
  const { status } = await bans.condition(name, "Enforced", "True");
  expect(conditionOf(status, "Accepted")?.status).toBe("True");
}
