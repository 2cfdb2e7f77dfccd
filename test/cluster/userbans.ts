/** UserBans in tests: made, read and waited for through the API server. */

import { readFile } from "node:fs/promises";
import type { Agent } from "node:https";
import { join } from "node:path";
import { delay, systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { startController, type Controller, type ControllerOptions } from "#src/controller/controller";
import { accessFromFile } from "#src/controller/kube-access";
import { conditionOf } from "#src/controller/conditions";
import type { KubeObserver } from "#src/controller/kube";
import type { ConditionType, UserBan, UserBanSpec } from "#src/controller/userban";
import type { ControlPlane } from "../kit/control-plane.ts";
import { httpInvoke, type DeclaredApp } from "../kit/declared-app.ts";
import { until } from "../kit/until.ts";

export const USERBANS = "/apis/moderation.videamozi.io/v1alpha1";
const CRD = join(import.meta.dirname, "..", "..", "charts", "user-service", "crds", "userbans.yaml");

/** Installs the CustomResourceDefinition as the chart has it. */
export async function installCrd(plane: ControlPlane): Promise<void> {
  await plane.apply(await readFile(CRD, "utf8"));
}

/** An answer of the API server to a write of a UserBan. */
export interface Answered {
  readonly status: number;
  readonly body: UserBan & {
    readonly message?: string;
    readonly details?: { readonly causes?: readonly { readonly field: string }[] };
  };
}

/** What a test does with the UserBans of one namespace. */
export interface UserBans {
  readonly namespace: string;
  /** @throws Error when the API server refuses it */
  readonly create: (name: string, spec: Partial<UserBanSpec>, agent?: Agent) => Promise<UserBan>;
  /** The fields that the API server finds wrong, without making it. */
  readonly tried: (spec: Readonly<Record<string, unknown>>) => Promise<readonly string[]>;
  readonly get: (name: string) => Promise<UserBan | undefined>;
  readonly patch: (name: string, patch: unknown, part?: "status") => Promise<Answered>;
  readonly remove: (name: string) => Promise<void>;
  readonly externalId: (name: string) => string;
  /** Waits until a condition has that status and, if given, that reason. */
  readonly condition: (name: string, type: ConditionType, status: string, reason?: string) => Promise<UserBan>;
  readonly isGone: (name: string) => Promise<boolean>;
  /** How many of the namespace are enforced. */
  readonly enforced: () => Promise<number>;
}

const installed = new WeakMap<ControlPlane, Promise<void>>();

/** A namespace of the test's own; the first one brings the CustomResourceDefinition. */
export async function userBansIn(plane: ControlPlane, namespace: string, labels: Readonly<Record<string, string>> = {}): Promise<UserBans> {
  if (!installed.has(plane)) installed.set(plane, installCrd(plane));
  await installed.get(plane);
  await plane.apply(JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } }));
  const path = (name = ""): string => `${USERBANS}/namespaces/${namespace}/userbans${name === "" ? "" : `/${name}`}`;
  const ask = async (method: string, at: string, options?: Parameters<ControlPlane["request"]>[2]): Promise<Answered> =>
    (await plane.request(method, at, options)) as Answered;
  const get = async (name: string): Promise<UserBan | undefined> => {
    const { status, body } = await ask("GET", path(name));
    return status === 200 ? body : undefined;
  };
  return {
    namespace,
    create: async (name, spec, agent) => {
      const { status, body } = await ask("POST", path(), {
        body: manifest(namespace, name, spec),
        ...(agent === undefined ? {} : { agent }),
      });
      if (status !== 201) throw new Error(`${name}: ${status} ${body.message}`);
      return body;
    },
    tried: async (spec) => {
      const { status, body } = await ask("POST", `${path()}?dryRun=All&fieldValidation=Strict`, {
        body: manifest(namespace, "tried", spec),
      });
      return status === 201 ? [] : (body.details?.causes ?? [{ field: body.message ?? "" }]).map(({ field }) => field);
    },
    get,
    patch: (name, patch, part) =>
      ask("PATCH", `${path(name)}${part === undefined ? "" : `/${part}`}`, { body: patch, contentType: "application/merge-patch+json" }),
    remove: async (name) => void (await ask("DELETE", path(name))),
    externalId: (name) => `test:${namespace}:${name}`,
    condition: (name, type, status, reason) =>
      until(
        async () => {
          const ban = await get(name);
          const found = conditionOf(ban?.status, type);
          const isSo = found?.status === status && (reason === undefined || found.reason === reason);
          if (!isSo) throw new Error(`${type} is ${found?.status}/${found?.reason}: ${JSON.stringify(ban?.status)}`);
          return ban;
        },
        { what: `${name} to be ${type}=${status} ${reason ?? ""}`, withinMs: 15_000, everyMs: 25 },
      ),
    isGone: async (name) => (await ask("GET", path(name))).status === 404,
    enforced: async () => {
      const { body } = await plane.request("GET", path());
      return (body.items as UserBan[]).filter(({ status }) => conditionOf(status, "Enforced")?.status === "True").length;
    },
  };
}

/** A UserBan as somebody would write it, with the least there must be. */
function manifest(namespace: string, name: string, spec: Readonly<Record<string, unknown>>): unknown {
  return {
    apiVersion: "moderation.videamozi.io/v1alpha1",
    kind: "UserBan",
    metadata: { name, namespace },
    spec: { kind: "ban", reason: "spam", requestedBy: "ann@example.com", ...spec },
  };
}

/** A controller in this process, stopped at disposal. */
export async function runController(
  plane: ControlPlane,
  app: DeclaredApp,
  options: Partial<ControllerOptions> = {},
): Promise<Controller & AsyncDisposable> {
  const controller = startController({
    access: await accessFromFile(plane.kubeconfig),
    invoke: httpInvoke(app.url),
    clock: systemClock,
    log: silentLog,
    clusterName: "test",
    namespace: "default",
    identity: "in-process",
    ...options,
  });
  return { ...controller, [Symbol.asyncDispose]: () => controller.stop(AbortSignal.timeout(5_000)) };
}

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly maxLength?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

/** Fields of the schema, as the API server publishes it, without a description (`kubectl explain`); strings without a bound. */
export async function undescribed(plane: ControlPlane): Promise<readonly string[]> {
  const { body } = await plane.request("GET", "/openapi/v3/apis/moderation.videamozi.io/v1alpha1");
  const { properties = {} } = body.components.schemas["io.videamozi.moderation.v1alpha1.UserBan"] as Schema;
  const below = (at: string, schema: Schema): string[] => [
    ...(schema.description === undefined ? [`${at}: no description`] : []),
    ...(schema.type === "string" && schema.maxLength === undefined ? [`${at}: no maxLength`] : []),
    ...(schema.items?.type === "string" && schema.items.maxLength === undefined ? [`${at}[]: no maxLength`] : []),
    ...Object.entries({ ...schema.properties, ...schema.items?.properties }).flatMap(([name, one]) => below(`${at}.${name}`, one)),
  ];
  return ["spec", "status"].flatMap((name) => below(name, properties[name] ?? {}));
}

/** Type and reason of the Events in a namespace, in the order of their names. */
export async function eventsOf(plane: ControlPlane, namespace: string): Promise<[string, string][]> {
  const { body } = await plane.request("GET", `/api/v1/namespaces/${namespace}/events`);
  return (body.items as { type: string; reason: string }[]).map(({ type, reason }) => [type, reason]);
}

/** How often one of them happened, over all its Events; each Event may count several times. */
export async function eventCount(
  plane: ControlPlane,
  namespace: string,
  reason: string,
): Promise<{ readonly events: number; readonly times: number }> {
  const { body } = await plane.request("GET", `/api/v1/namespaces/${namespace}/events`);
  const found = (body.items as { reason: string; count: number }[]).filter((one) => one.reason === reason);
  return { events: found.length, times: found.reduce((sum, { count }) => sum + count, 0) };
}

/** Counts the writes to one namespace. */
export function writesOf(namespace: string): { readonly seen: string[]; readonly observer: KubeObserver } {
  const seen: string[] = [];
  const sending = (method: string, path: string): void => {
    if (method !== "GET" && path.includes(`/${namespace}/`)) seen.push(`${method} ${path}`);
  };
  return { seen, observer: { sending } };
}

/** A moment so many ms from now. */
export function soon(inMs: number): string {
  return new Date(systemClock.now().getTime() + inMs).toISOString();
}

/** Lets so much time pass: for what must *not* happen meanwhile. */
export async function pauseOf(forMs: number): Promise<void> {
  await delay(forMs);
}

/** What the controller may, for the user `controller`; the chart gives its service account the same. */
export const LEAST_RIGHTS = {
  lease: rights("lease", "Role", [
    { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] },
    { apiGroups: ["coordination.k8s.io"], resources: ["leases"], resourceNames: ["user-service-controller"], verbs: ["get", "update"] },
  ]),
  userBans: rights("userbans", "ClusterRole", [
    { apiGroups: ["moderation.videamozi.io"], resources: ["userbans"], verbs: ["get", "list", "watch", "patch"] },
    { apiGroups: ["moderation.videamozi.io"], resources: ["userbans/status"], verbs: ["patch"] },
    { apiGroups: ["moderation.videamozi.io"], resources: ["userbans/finalizers"], verbs: ["update"] },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
    { apiGroups: [""], resources: ["namespaces"], verbs: ["get"] },
  ]),
};

function rights(name: string, kind: "Role" | "ClusterRole", rules: readonly unknown[]): string {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  const metadata = kind === "Role" ? { name, namespace: "default" } : { name };
  const subjects = [{ kind: "User", name: "controller", apiGroup: "rbac.authorization.k8s.io" }];
  const role = { apiVersion, kind, metadata, rules };
  const binding = {
    apiVersion,
    kind: `${kind}Binding`,
    metadata,
    subjects,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name },
  };
  return [role, binding].map((one) => JSON.stringify(one)).join("\n---\n");
}
