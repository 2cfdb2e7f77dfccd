/** From applying a UserBan to the last request of that user that any API process serves, against an apply and one status patch alone. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { startControlPlane, type ControlPlane } from "../../test/kit/control-plane.ts";
import type { ApiAnswer } from "../../test/kit/kubernetes-api.ts";
import type { Api, Bench } from "../kit/bench.ts";
import { HttpConnection, httpRequest } from "../kit/http-connection.ts";
import { findTools, openMesh } from "../kit/mesh.ts";
import type { Scenario } from "../kit/scenario.ts";
import { seedSessions, userIdOf } from "../kit/seed.ts";
import { quantile } from "../kit/statistics.ts";

const CRD = join(import.meta.dirname, "..", "..", "charts", "user-service", "crds", "userbans.yaml");
const GROUP = "/apis/moderation.videamozi.io/v1alpha1/namespaces/default/userbans";
/** How often the banned one's token is tried at each process, and the status looked at. */
const EVERY_MS = 5;
const STATUS_EVERY_MS = 20;
const ENFORCED_WITHIN_MS = 20_000;
const APPLY = { contentType: "application/apply-patch+yaml" };

interface Stage {
  readonly bench: Bench;
  readonly plane: ControlPlane;
  readonly apis: readonly Api[];
}

/** All from sending the UserBan to the API server. */
interface Ban {
  readonly appliedMs: number;
  /** When the last process that served the user's token refused it. */
  readonly refusedMs: number;
  readonly enforcedMs: number;
}

export const userban: Scenario = {
  name: "userban",
  summary:
    "a UserBan applied → controller → its daprd → API's daprd → API: token refused on two API processes; floor: apply + one status patch",
  run: async (bench) => {
    const tools = findTools("etcd", "kube-apiserver");
    if ("missing" in tools) return { sides: {}, figures: [], notes: [tools.missing] };
    const opened = await openMesh(bench);
    if ("missing" in opened) return { sides: {}, figures: [], notes: [opened.missing] };
    const { mesh } = opened;
    const count = bench.pace.quick ? 8 : 60;
    const database = await bench.database();
    await seedSessions(database.client, { from: 1, count: count + 1 });
    await database.settle();
    const plane = bench.own(await startControlPlane({ etcd: tools.paths.etcd, apiServer: tools.paths["kube-apiserver"] }));
    await plane.apply(await readFile(CRD, "utf8"));
    const apis = [(await mesh.api(database)).process, (await mesh.api(database)).process];
    await mesh.worker(database);
    const stage: Stage = { bench, plane, apis };
    // Before the controller is there: it would be looked at.
    const floor: number[] = [];
    for (let number = 0; number < count; number += 1) floor.push(await applyAndPatch(stage, number));
    await mesh.controller(plane.kubeconfig);
    // The first one waits for the Lease, and for daprd to learn that the API is well.
    await banned(stage, count + 1);
    const bans: Ban[] = [];
    for (let person = 1; person <= count; person += 1) bans.push(await banned(stage, person));
    return outcomeOf(bans, floor);
  },
};

async function banned({ bench, plane, apis }: Stage, person: number): Promise<Ban> {
  const name = `ban-${person}`;
  const over = new AbortController();
  const token = bench.token(person);
  const hammers = apis.map(({ port }) => untilRefused(port, token, over.signal));
  await Promise.all(hammers.map(({ served }) => served));
  const startMs = performance.now();
  const body = manifest(name, { userRef: { id: userIdOf(person) }, kind: "ban", reason: "spam", requestedBy: "the bench" });
  requireDone(await plane.request("PATCH", `${GROUP}/${name}?fieldManager=bench`, { ...APPLY, body }));
  const appliedMs = performance.now() - startMs;
  const giveUp = setTimeout(() => over.abort(new Error(`${name}: not refused after ${ENFORCED_WITHIN_MS} ms`)), ENFORCED_WITHIN_MS);
  const [enforcedAtMs, ...refusedAtMs] = await Promise.all([untilEnforced(plane, name), ...hammers.map(({ refusedAt }) => refusedAt)]);
  clearTimeout(giveUp);
  return { appliedMs, refusedMs: Math.max(...refusedAtMs) - startMs, enforcedMs: enforcedAtMs - startMs };
}

/** Tries the token until it is refused for good. */
function untilRefused(
  port: number,
  token: string,
  signal: AbortSignal,
): { readonly served: Promise<void>; readonly refusedAt: Promise<number> } {
  const { promise: served, resolve } = Promise.withResolvers<void>();
  const run = async (): Promise<number> => {
    using connection = await HttpConnection.open(port);
    const request = httpRequest({ method: "GET", path: "/api/users/me", token });
    for (;;) {
      signal.throwIfAborted();
      const { status, body } = await connection.send(request);
      if (status === 403 || status === 401) return performance.now();
      if (status !== 200) throw new Error(`the token was answered ${status}: ${body()}`);
      resolve();
      await new Promise((later) => setTimeout(later, EVERY_MS));
    }
  };
  return { served, refusedAt: run() };
}

interface Condition {
  readonly type: string;
  readonly status: string;
}

async function untilEnforced(plane: ControlPlane, name: string): Promise<number> {
  const giveUp = AbortSignal.timeout(ENFORCED_WITHIN_MS);
  for (;;) {
    const { body } = await plane.request("GET", `${GROUP}/${name}`);
    const conditions = (body.status?.conditions ?? []) as readonly Condition[];
    if (conditions.some(({ type, status }) => type === "Enforced" && status === "True")) return performance.now();
    if (giveUp.aborted) throw new Error(`${name}: not Enforced after ${ENFORCED_WITHIN_MS} ms: ${JSON.stringify(body.status)}`);
    await new Promise((later) => setTimeout(later, STATUS_EVERY_MS));
  }
}

/** What any controller would have to do at least: one is applied, and its status is written once. */
async function applyAndPatch({ plane }: Stage, number: number): Promise<number> {
  const path = `${GROUP}/floor-${number}`;
  const startMs = performance.now();
  const spec = { userRef: { username: `floor${number}` }, kind: "ban", reason: "spam", requestedBy: "the bench" };
  requireDone(await plane.request("PATCH", `${path}?fieldManager=bench`, { ...APPLY, body: manifest(`floor-${number}`, spec) }));
  const conditions = [{ type: "Enforced", status: "True", reason: "Active", message: "", lastTransitionTime: new Date().toISOString() }];
  requireDone(
    await plane.request("PATCH", `${path}/status`, { contentType: "application/merge-patch+json", body: { status: { conditions } } }),
  );
  const tookMs = performance.now() - startMs;
  requireDone(await plane.request("DELETE", path));
  return tookMs;
}

function manifest(name: string, spec: object): object {
  return { apiVersion: "moderation.videamozi.io/v1alpha1", kind: "UserBan", metadata: { name, namespace: "default" }, spec };
}

function requireDone({ status, body }: ApiAnswer): void {
  if (status >= 300) throw new Error(`the API server answered ${status}: ${JSON.stringify(body)}`);
}

function outcomeOf(bans: readonly Ban[], floor: readonly number[]): Awaited<ReturnType<Scenario["run"]>> {
  const refused = bans.map(({ refusedMs }) => refusedMs);
  return {
    sides: {},
    figures: [
      { name: "apply → refused everywhere, p50", unit: "ms", values: [quantile(refused, 0.5)] },
      { name: "the same, p99", unit: "ms", values: [quantile(refused, 0.99)], target: { is: "at most", bound: 1_000 } },
      { name: "apply answered", unit: "ms", values: bans.map(({ appliedMs }) => appliedMs) },
      { name: "apply → status Enforced", unit: "ms", values: bans.map(({ enforcedMs }) => enforcedMs) },
      { name: "floor: apply + one status patch", unit: "ms", values: floor },
    ],
    notes: [
      `${bans.length} bans one after the other; each token is tried every ${EVERY_MS} ms on both processes, the status every ${STATUS_EVERY_MS} ms; p99 of so few is the worst`,
      "each call to the API server has a connection of its own, in the floor as well: some ms of it are TLS",
    ],
  };
}
