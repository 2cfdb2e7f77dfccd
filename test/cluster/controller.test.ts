/** The controller on a real API server, with a program that answers the contract: the life of a UserBan, and what may happen in it. */

import { afterAll, beforeAll, beforeEach, expect, it } from "@jest/globals";
import { accessFromFile, type KubeAccess } from "#src/controller/kube-access";
import { conditionOf } from "#src/controller/conditions";
import { ALLOW_STAFF_LABEL, FINALIZER, RELEASE_ANNOTATION, type UserBanSpec } from "#src/controller/userban";
import { silentLog } from "#src/kernel/log";
import { startControlPlane, type ControlPlane } from "../kit/control-plane.ts";
import { startDeclaredApp, type DeclaredApp } from "../kit/declared-app.ts";
import { describeWithAll } from "../kit/requires.ts";
import { startTcpProxy } from "../kit/tcp-proxy.ts";
import { until } from "../kit/until.ts";
import {
  eventCount,
  eventsOf,
  installCrd,
  LEAST_RIGHTS,
  pauseOf,
  runController,
  soon,
  undescribed,
  userBansIn,
  writesOf,
} from "./userbans.ts";

describeWithAll(["etcd", "kube-apiserver"], "the controller of UserBans", (paths) => {
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

  it("waits for its rights and for its kind, says what lacks, and needs no more than the chart's rights", async () => {
    const said: string[] = [];
    const log = {
      ...silentLog,
      warn: (_: unknown, text: string) => void said.push(text),
      error: (_: unknown, text: string) => void said.push(text),
    };
    const admin = await accessFromFile(plane.kubeconfig);
    const token = plane.userToken("controller");
    const access: KubeAccess = { ...admin, headers: () => Promise.resolve({ authorization: `Bearer ${token}` }) };
    const sent: string[] = [];
    const observer = { sending: (method: string, path: string) => void sent.push(`${method} ${path}`) };
    const leaseTimes = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 200 };
    await using controller = await runController(plane, app, { access, log, observer, leaseTimes });

    await until(() => said.some((text) => text.includes("Lease cannot be had")), { what: "a word on the Lease" });
    await plane.apply(LEAST_RIGHTS.lease);
    await until(() => said.some((text) => text.includes("does not let this controller list")), { what: "a word on the rights" });
    await plane.apply(LEAST_RIGHTS.userBans);
    await until(() => said.some((text) => text.includes("userbans.moderation.videamozi.io is not installed")), {
      what: "a word on the CRD",
    });
    const asked = sent.filter((one) => one.includes("/userbans")).length;
    await pauseOf(1_000);
    expect(sent.filter((one) => one.includes("/userbans")).length - asked).toBeLessThanOrEqual(4);
    // Said once, not once a try.
    expect(said.filter((text) => text.includes("not installed"))).toHaveLength(1);

    await installCrd(plane);
    const bans = await userBansIn(plane, "rights");
    app.addUser({ username: "ria" });
    await bans.create("ria", { userRef: { username: "ria" } });
    await bans.condition("ria", "Enforced", "True");
    await until(async () => (await eventsOf(plane, "rights")).length === 1, { what: "an Event" });
    await bans.remove("ria");
    await until(() => bans.isGone("ria"));
    expect(controller.figures()).toMatchObject({ isLeader: true, held: 0 });
  });

  it("has a kind whose schema takes what is right and says what is wrong", async () => {
    const bans = await userBansIn(plane, "schema");
    const email = { userRef: { email: "a@example.com" } };
    const right: Partial<UserBanSpec>[] = [
      { ...email, kind: "suspend", duration: "1h30m" },
      { ...email, kind: "suspend", startsAt: "2026-01-01T00:00:00Z", expiresAt: "2026-01-01T02:00:00+01:00" },
      { ...email, kind: "limit", capabilities: ["post", "upload"], reason: "x".repeat(500), message: "ü".repeat(1000) },
      { userRef: { emailHash: "0".repeat(64) } },
      { userRef: { id: "01234567-0000-7000-8000-000000000001" }, onConflict: "Adopt", deletionPolicy: "Keep", paused: false },
    ];
    for (const spec of right) expect(await bans.tried(spec)).toEqual([]);
    const wrong: [Record<string, unknown>, string][] = [
      [{ ...email, reason: "x".repeat(10_000) }, "spec.reason"],
      [{ ...email, message: "x".repeat(1_001) }, "spec.message"],
      [{ ...email, requestedBy: "x".repeat(257) }, "spec.requestedBy"],
      [{ ...email, requestedBy: "" }, "spec.requestedBy"],
      [{ ...email, reason: "" }, "spec.reason"],
      [{ userRef: { email: "a@example.com", username: "a" } }, "spec.userRef"],
      [{ userRef: {} }, "spec.userRef"],
      [{ userRef: { id: "7" } }, "spec.userRef.id"],
      [{ userRef: { username: "a b" } }, "spec.userRef.username"],
      [{ userRef: { email: "nobody" } }, "spec.userRef.email"],
      [{ userRef: { emailHash: "ABC" } }, "spec.userRef.emailHash"],
      [{ ...email, kind: "exile" }, "spec.kind"],
      [{ ...email, kind: "suspend" }, "spec"],
      [{ ...email, kind: "limit" }, "spec"],
      [{ ...email, kind: "limit", capabilities: ["fly"] }, "spec.capabilities[0]"],
      [{ ...email, kind: "limit", capabilities: [] }, "spec.capabilities"],
      [{ ...email, capabilities: ["post"] }, "spec"],
      [{ ...email, kind: "suspend", expiresAt: "2030-01-01T00:00:00Z", duration: "1h" }, "spec"],
      [{ ...email, startsAt: "2030-01-01T00:00:00Z", expiresAt: "2030-01-01T00:00:00Z" }, "spec"],
      [{ ...email, expiresAt: "tomorrow" }, "spec.expiresAt"],
      [{ ...email, expiresAt: "2030-01-01T00:00:00" }, "spec.expiresAt"],
      [{ ...email, duration: "1w" }, "spec.duration"],
      [{ ...email, onConflict: "Ignore" }, "spec.onConflict"],
      [{ ...email, deletionPolicy: "Forget" }, "spec.deletionPolicy"],
    ];
    for (const [spec, field] of wrong)
      expect({ spec, fields: await bans.tried(spec) }).toEqual({ spec, fields: expect.arrayContaining([field]) });
    expect(await undescribed(plane)).toEqual([]);
  });

  it("has a ban enforced, in three writes, and lifts it with its deletion", async () => {
    const writes = writesOf("life");
    await using _ = await runController(plane, app, { observer: writes.observer });
    const bans = await userBansIn(plane, "life");
    const userId = app.addUser({ username: "bob" });
    await bans.create("bob", { userRef: { username: "Bob" } });
    const { metadata, status } = await bans.condition("bob", "Enforced", "True", "InForce");

    expect(metadata.finalizers).toEqual([FINALIZER]);
    expect(status).toMatchObject({ userId, observedGeneration: 1, sessionsRevoked: 2 });
    expect(app.get(bans.externalId("bob"))).toMatchObject({ state: "active", uid: metadata.uid, generation: 1 });
    await until(() => writes.seen.length === 3, { what: "the Event" });
    expect(await eventsOf(plane, "life")).toEqual([["Normal", "InForce"]]);

    await bans.remove("bob");
    await until(() => bans.isGone("bob"));
    expect(app.get(bans.externalId("bob"))?.state).toBe("gone");
    await until(async () => (await eventsOf(plane, "life")).length === 2, { what: "the Event of the end" });
    expect(app.calls.filter(({ method, externalId }) => method === "DELETE" && externalId === bans.externalId("bob"))).toHaveLength(1);
    expect(writes.seen).toHaveLength(5);
  });

  it("declares an edit as a new generation, keeps what is to be kept, and never retargets", async () => {
    await using _ = await runController(plane, app);
    const bans = await userBansIn(plane, "edits");
    app.addUser({ username: "eda" });
    await bans.create("eda", { userRef: { username: "eda" }, deletionPolicy: "Keep" });
    await bans.condition("eda", "Enforced", "True");

    await bans.patch("eda", { spec: { kind: "limit", capabilities: ["post"] } });
    await until(() => app.get(bans.externalId("eda"))?.generation === 2, { what: "the second generation" });
    await until(async () => (await bans.get("eda"))?.status?.observedGeneration === 2, { what: "its status" });
    expect((await bans.patch("eda", { spec: { userRef: { username: "other" } } })).status).toBe(422);

    await bans.remove("eda");
    await until(() => bans.isGone("eda"));
    expect(app.calls.findLast(({ method }) => method === "DELETE")?.externalId).toBe(bans.externalId("eda"));
    await until(async () => (await eventsOf(plane, "edits")).some(([, reason]) => reason === "Kept"), { what: "the Event" });
  });

  it("says why somebody cannot be restricted, and does it as soon as they can", async () => {
    await using _ = await runController(plane, app, { resyncMs: 300 });
    const bans = await userBansIn(plane, "reasons");
    app.addUser({ username: "moira", isStaff: true });
    await bans.create("nobody", { userRef: { username: "nora" } });
    await bans.create("waiting", { userRef: { email: "Will@example.com" } });
    await bans.create("staff", { userRef: { username: "moira" } });
    await bans.condition("nobody", "Accepted", "False", "UserNotFound");
    await bans.condition("waiting", "Enforced", "False", "WaitingForUser");
    await bans.condition("waiting", "Accepted", "True", "Accepted");
    await bans.condition("staff", "Accepted", "False", "StaffTarget");

    app.addUser({ username: "nora" });
    app.addUser({ username: "will", email: "will@EXAMPLE.com" });
    await bans.condition("nobody", "Enforced", "True");
    await bans.condition("waiting", "Enforced", "True");
    const { lastError } = (await bans.get("nobody"))?.status ?? {};
    expect(lastError).toBeUndefined();
    const allowed = await userBansIn(plane, "trusted", { [ALLOW_STAFF_LABEL]: "true" });
    await bans.remove("staff");
    await allowed.create("staff", { userRef: { username: "moira" } });
    await allowed.condition("staff", "Enforced", "True");
  });

  it("names the first of two about one user, and takes the second when the first is gone", async () => {
    await using _ = await runController(plane, app, { resyncMs: 300 });
    const bans = await userBansIn(plane, "twice");
    app.addUser({ username: "tom", email: "tom@example.com" });
    await bans.create("first", { userRef: { username: "tom" } });
    await bans.condition("first", "Enforced", "True");
    await bans.create("second", { userRef: { email: "tom@example.com" } });
    const { status } = await bans.condition("second", "Conflict", "True");

    expect(conditionOf(status, "Conflict")?.message).toContain("test:twice:first");
    expect(conditionOf(status, "Accepted")).toMatchObject({ status: "False", reason: "Conflict" });
    expect(conditionOf(status, "Enforced")?.status).toBe("False");
    await bans.remove("first");
    await bans.condition("second", "Enforced", "True");
    await bans.condition("second", "Conflict", "False");
  });

  it("begins and ends at the time, without being asked, and calls for nothing whose end has passed", async () => {
    await using _ = await runController(plane, app);
    const bans = await userBansIn(plane, "times");
    for (const username of ["past", "short", "later"]) app.addUser({ username });
    await bans.create("past", { userRef: { username: "past" }, kind: "suspend", expiresAt: "2020-01-01T00:00:00Z" });
    await bans.create("short", { userRef: { username: "short" }, kind: "suspend", duration: "2s" });
    await bans.create("later", { userRef: { username: "later" }, startsAt: soon(3_000) });
    await bans.condition("past", "Expired", "True");
    await bans.condition("short", "Enforced", "True");
    await bans.condition("later", "Enforced", "False", "Planned");

    await bans.condition("short", "Expired", "True");
    await bans.condition("short", "Enforced", "False", "Expired");
    await bans.condition("later", "Enforced", "True");
    const past = await bans.get("past");
    expect(past?.metadata.finalizers).toBeUndefined();
    expect(conditionOf(past?.status, "Enforced")?.status).toBe("False");
    expect(app.calls.filter(({ externalId }) => externalId === bans.externalId("past"))).toEqual([]);
  });

  it("ends what an edit put into the past", async () => {
    await using _ = await runController(plane, app);
    const bans = await userBansIn(plane, "hasty");
    app.addUser({ username: "hal" });
    await bans.create("hal", { userRef: { username: "hal" } });
    await bans.condition("hal", "Enforced", "True");
    await bans.patch("hal", { spec: { expiresAt: "2020-01-01T00:00:00Z" } });
    await bans.condition("hal", "Expired", "True");
    expect(app.get(bans.externalId("hal"))?.state).toBe("gone");
  });

  it("changes nothing while paused, and goes on afterwards", async () => {
    await using _ = await runController(plane, app);
    const bans = await userBansIn(plane, "paused");
    app.addUser({ username: "pia" });
    await bans.create("pia", { userRef: { username: "pia" }, paused: true });
    await bans.condition("pia", "Accepted", "Unknown", "Paused");
    expect(app.calls.filter(({ externalId }) => externalId === bans.externalId("pia"))).toEqual([]);
    await bans.patch("pia", { spec: { paused: null } });
    await bans.condition("pia", "Enforced", "True");
    app.lift(bans.externalId("pia"));
    await bans.patch("pia", { spec: { paused: true } });
    await bans.condition("pia", "Accepted", "Unknown", "Paused");
    expect(app.get(bans.externalId("pia"))?.state).toBe("lifted");
    // The same thing again is no second Event.
    await until(async () => (await eventCount(plane, "paused", "Paused")).times === 2, { what: "the Event to be counted" });
    expect(await eventCount(plane, "paused", "Paused")).toEqual({ events: 1, times: 2 });
  });

  it("repairs what somebody else lifted, and a status or a finalizer that somebody else wrote", async () => {
    const writes = writesOf("drift");
    let repairs = 0;
    const observer = { ...writes.observer, driftRepaired: () => void (repairs += 1) };
    await using _ = await runController(plane, app, { resyncMs: 300, observer });
    const bans = await userBansIn(plane, "drift");
    const userId = app.addUser({ username: "dora" });
    await bans.create("dora", { userRef: { username: "dora" } });
    await bans.condition("dora", "Enforced", "True");
    app.lift(bans.externalId("dora"));
    const { status } = await bans.condition("dora", "Drifted", "False", "Repaired");
    expect(app.get(bans.externalId("dora"))?.state).toBe("active");
    expect(conditionOf(status, "Enforced")?.status).toBe("True");
    expect(repairs).toBe(1);
    await until(async () => (await eventsOf(plane, "drift")).some(([, reason]) => reason === "Repaired"), { what: "the Event" });

    const forged = { userId: "11111111-1111-4111-8111-111111111111", conditions: [], sessionsRevoked: 99, lastError: "nonsense" };
    expect((await bans.patch("dora", { status: forged }, "status")).status).toBe(200);
    await bans.condition("dora", "Enforced", "True");
    const righted = (await bans.get("dora"))?.status;
    expect(righted).toMatchObject({ userId, sessionsRevoked: 2 });
    expect(righted?.lastError).toBeUndefined();

    await bans.patch("dora", { metadata: { finalizers: null } });
    await until(async () => (await bans.get("dora"))?.metadata.finalizers?.includes(FINALIZER), { what: "the finalizer" });
    const settled = writes.seen.length;
    const looks = app.calls.length;
    await until(() => app.calls.length > looks + 12, { what: "some resyncs" });
    expect(writes.seen.length).toBe(settled);
  });

  it("ends what is gone past its finalizer, seen or missed, and nothing of another cluster", async () => {
    const bans = await userBansIn(plane, "gone");
    for (const username of ["seen", "missed", "quiet", "foreign"]) app.addUser({ username });
    const first = await runController(plane, app);
    const names = ["seen", "missed", "quiet"];
    for (const name of names) await bans.create(name, { userRef: { username: name } });
    for (const name of names) await bans.condition(name, "Enforced", "True");
    await bans.patch("quiet", { spec: { paused: true } });
    await bans.condition("quiet", "Accepted", "Unknown", "Paused");
    await bans.patch("quiet", { metadata: { finalizers: null } });
    await bans.remove("quiet");
    await until(() => app.get(bans.externalId("quiet"))?.state === "gone", { what: "the end of one that was left alone" });
    app.mood = "failing";
    await bans.remove("seen");
    await bans.patch("seen", { metadata: { finalizers: null } });
    await until(() => bans.isGone("seen"));
    app.mood = "well";
    await until(() => app.get(bans.externalId("seen"))?.state === "gone", { what: "the end of the seen one" });

    await first[Symbol.asyncDispose]();
    await bans.patch("missed", { metadata: { finalizers: null } });
    await bans.remove("missed");
    const wish = { uid: "u", generation: 1, createdAt: soon(0), user: { username: "foreign" }, kind: "ban" } as const;
    app.declare("other:gone:foreign", { ...wish, reason: "spam", requestedBy: "x", staffAllowed: false });
    await using _ = await runController(plane, app);
    await until(() => app.get(bans.externalId("missed"))?.state === "gone", { what: "the end of the missed one" });
    expect(app.get("other:gone:foreign")?.state).toBe("active");
  });

  it("lets a deletion go by the annotation while the service is away, and does not lift", async () => {
    await using _ = await runController(plane, app);
    const bans = await userBansIn(plane, "release");
    app.addUser({ username: "rex" });
    await bans.create("rex", { userRef: { username: "rex" } });
    await bans.condition("rex", "Enforced", "True");
    app.mood = "failing";
    await bans.remove("rex");
    await bans.condition("rex", "Accepted", "Unknown", "ApiUnreachable");
    await bans.patch("rex", { metadata: { annotations: { [RELEASE_ANNOTATION]: "true" } } });
    await until(() => bans.isGone("rex"));
    app.mood = "well";
    const ended = (): boolean => app.get(bans.externalId("rex"))?.state === "gone";
    await until(ended, { what: "the service to be told" });
    expect(app.endedBy(bans.externalId("rex"))).toBe("keep");
  });

  it.each(["failing", "garbage", "mute-after"] as const)("leaves all as it was and does not spin while the service is %s", async (mood) => {
    await using _ = await runController(plane, app, { serviceTimeoutMs: 200 });
    const bans = await userBansIn(plane, `away-${mood}`);
    for (const username of ["old", "new"]) app.addUser({ username: `${username}_${mood.slice(0, 4)}` });
    await bans.create("old", { userRef: { username: `old_${mood.slice(0, 4)}` } });
    await bans.condition("old", "Enforced", "True");
    app.mood = mood;
    const before = app.calls.length;
    await bans.patch("old", { spec: { message: "again" } });
    await bans.create("new", { userRef: { username: `new_${mood.slice(0, 4)}` } });
    const { status } = await bans.condition("old", "Accepted", "Unknown", "ApiUnreachable");
    expect(conditionOf(status, "Enforced")?.status).toBe("True");
    expect(status?.lastError).toContain("the service");
    await bans.condition("new", "Enforced", "Unknown", "ApiUnreachable");
    await pauseOf(2_000);
    // Exponential from 5 ms: some 10 tries for each of the two, and the search at the start. Others' resources may still be on their way.
    const isOurs = ({ externalId }: { readonly externalId: string }): boolean =>
      ["", "old", "new"].some((name) => externalId === (name && bans.externalId(name)));
    expect(app.calls.slice(before).filter(isOurs).length).toBeLessThan(30);
    app.mood = "well";
    await bans.condition("new", "Enforced", "True");
    await bans.condition("old", "Accepted", "True", "Accepted");
    expect(app.get(bans.externalId("old"))).toMatchObject({ state: "active", generation: 2 });
  });

  it("takes two hundred at once, with three writes each and one connection, and writes nothing at resync", async () => {
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: plane.port });
    const access = { ...(await accessFromFile(plane.kubeconfig)), server: `https://127.0.0.1:${proxy.port}` };
    const writes = writesOf("many");
    await using _ = await runController(plane, app, { access, observer: writes.observer, resyncMs: 5_000 });
    const bans = await userBansIn(plane, "many");
    const names = Array.from({ length: 200 }, (_one, index) => `b${index}`);
    for (const username of names) app.addUser({ username: `many_${username}` });
    for (let from = 0; from < names.length; from += 20)
      await Promise.all(names.slice(from, from + 20).map((name) => bans.create(name, { userRef: { username: `many_${name}` } })));
    await until(() => writes.seen.length >= 600, { what: `three writes each, of ${names.length}`, withinMs: 60_000 });
    const enforced = await bans.enforced();
    expect({ enforced, writes: writes.seen.length, connections: proxy.connections }).toEqual({
      enforced: 200,
      writes: 600,
      connections: 1,
    });
    const calls = app.calls.length;
    await until(() => app.calls.length >= calls + 200, { what: "a resync", withinMs: 30_000 });
    expect(writes.seen.length).toBe(600);
  }, 120_000);
});
