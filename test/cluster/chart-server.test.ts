/** The chart against a real API server: what it takes without a word of warning, and what Helm does with what it finds there. */

import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { startControlPlane, type ControlPlane } from "../kit/control-plane.ts";
import { describeWithAll, reportMissing } from "../kit/requires.ts";
import { until } from "../kit/until.ts";
import { CHART, MATRIX, render, run, withRequired, type Manifest, type Ran, type Rendered, type Values } from "./chart.ts";
import { USERBANS } from "./userbans.ts";

const DAPR_CHART = join(process.env["TOOLS_DIR"] ?? "", "dapr-chart.tgz");
const NAMESPACE = "users";
const GROUP = "moderation.videamozi.io";
/** Secrets that must be there before, with their keys. */
const SECRETS = {
  "user-service-database": ["url", "direct-url"],
  "user-service-redis": ["url", "host", "password"],
  "user-service-broker": ["url"],
  "user-service-mail": ["smtp-url"],
  "signing-keys": ["signing-keys"],
};

describeWithAll(["helm", "kubectl", "etcd", "kube-apiserver"], "the chart on an API server", (paths) => {
  let plane: ControlPlane;
  const helm = (...args: readonly string[]): Promise<Ran> => run(paths["helm"] ?? "", args, plane);
  const kubectl = (args: readonly string[], input = ""): Promise<Ran> => run(paths["kubectl"] ?? "", args, { ...plane, input });
  const rendered = (values: Values = {}): Promise<Rendered> => render(paths["helm"] ?? "", values, NAMESPACE);
  // No kubelet here would run the migration.
  const deploy = (verb: "install" | "upgrade", values: Values = {}, ...more: readonly string[]): Promise<Ran> =>
    helm(verb, "users", CHART, "--namespace", NAMESPACE, "--no-hooks", ...withRequired(values), ...more);
  const secret = (name: string, keys: readonly string[]): Promise<void> =>
    plane.apply(manifest("v1", "Secret", { name, namespace: NAMESPACE }, { data: Object.fromEntries(keys.map((key) => [key, "eA=="])) }));

  beforeAll(async () => {
    plane = await startControlPlane({ etcd: paths["etcd"] ?? "", apiServer: paths["kube-apiserver"] ?? "" });
    const labels = Object.fromEntries(["enforce", "warn"].map((mode) => [`pod-security.kubernetes.io/${mode}`, "restricted"]));
    await plane.apply(manifest("v1", "Namespace", { name: NAMESPACE, labels }));
    // Made by a controller elsewhere.
    await plane.apply(manifest("v1", "ServiceAccount", { name: "default", namespace: NAMESPACE }));
  }, 60_000);
  afterAll(async () => {
    await plane?.[Symbol.asyncDispose]();
  });

  it("is not installed where Dapr and its Secrets are not: it says so, with each Secret and key, in one line", async () => {
    const values = { "secrets.firstAdmin": "first-admin" };
    expect(problemsOf(await deploy("install", values, "--dry-run=server"))).toEqual([
      "Dapr is not installed in this cluster (it knows no dapr.io/v1alpha1): see the chart's README",
      missing({ ...SECRETS, "first-admin": ["username", "email", "password"] }),
    ]);
    const unchecked = await deploy("install", { checkSecrets: false }, "--dry-run=server");
    expect([unchecked.code, unchecked.stderr]).toEqual([1, expect.not.stringContaining("missing")]);
  });

  const hasDapr = existsSync(DAPR_CHART);
  if (!hasDapr)
    reportMissing("dapr-chart.tgz", "not found in TOOLS_DIR: without Dapr's CRDs an API server does not know what the chart brings");
  (hasDapr ? describe : describe.skip)("that knows Dapr", () => {
    beforeAll(async () => {
      await plane.apply((await helm("show", "crds", DAPR_CHART)).stdout);
      for (const [name, keys] of Object.entries(SECRETS)) await secret(name, keys);
    });

    it("is not installed where a Secret lacks a key, and takes the signing keys as the service does", async () => {
      await secret("user-service-redis", ["url"]);
      await secret("signing-keys", ["one", "another"]);
      const lacking = await deploy("install", { "tokens.appApi.existingSecret": "app-token" }, "--dry-run=server");
      await secret("user-service-redis", SECRETS["user-service-redis"]);
      await secret("signing-keys", ["another", "value"]);
      const lacks = { "user-service-redis": ["host", "password"], "signing-keys": ["signing-keys"], "app-token": ["token"] };
      expect(problemsOf(lacking)).toEqual([missing(lacks)]);
      expect((await kubectl(["get", "deployments", "--namespace", NAMESPACE, "--output", "name"])).stdout).toBe("");
      expect(await deploy("install", {}, "--dry-run=server")).toMatchObject({ code: 0 });
    }, 60_000);

    it("is taken under any values, in a namespace that Pod Security restricted guards, without a warning", async () => {
      await plane.apply(SERVICE_MONITOR);
      const objects = new Map<string, Manifest>();
      for (const values of Object.values(MATRIX)) {
        const { objects: made } = await rendered(values);
        for (const object of made) objects.set(JSON.stringify(object), object);
      }
      const { code, stdout, stderr } = await applyDry(kubectl, [...objects.values()]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout.trim().split("\n")).toHaveLength(objects.size);
    }, 120_000);

    it("would be warned of by the same server if one container could write to its root as root", async () => {
      const deployment = (await rendered()).one("Deployment", "user-service");
      deployment.spec.template.spec.containers[0].securityContext.runAsNonRoot = false;
      deployment.spec.template.spec.containers[0].colour = "red";
      const { code, stderr } = await applyDry(kubectl, [deployment]);
      expect([code, stderr]).toEqual([1, expect.stringContaining("colour")]);
      delete deployment.spec.template.spec.containers[0].colour;
      expect((await applyDry(kubectl, [deployment])).stderr).toContain(
        `Warning: would violate PodSecurity "restricted:latest": runAsNonRoot != true`,
      );
    });

    it("is installed and upgraded, and keeps the tokens of daprd and process", async () => {
      expect(await deploy("install")).toMatchObject({ code: 0, stdout: expect.stringContaining("User Service") });
      const tokens = await tokensOf();
      expect(tokens).toEqual([expect.stringMatching(/^[A-Za-z0-9]{48}$/), expect.stringMatching(/^[A-Za-z0-9]{48}$/)]);
      expect(tokens[0]).not.toBe(tokens[1]);
      expect(await deploy("upgrade", { "worker.replicas": 3 })).toMatchObject({ code: 0 });
      expect(await tokensOf()).toEqual(tokens);
    }, 60_000);

    it("gives each account its rights and nothing beside them", async () => {
      const controllers = ["create leases", "get,update leases/user-service-controller"];
      const everywhere = [
        "create,patch events",
        "get namespaces",
        "get,list,patch,watch userbans",
        "patch userbans/status",
        "update userbans/finalizers",
      ];
      expect(await rightsOf("user-service-controller", NAMESPACE)).toEqual([...controllers, ...everywhere].sort());
      expect(await rightsOf("user-service-controller", "default")).toEqual(everywhere);
      const readable = ["signing-keys", "user-service-broker", "user-service-redis"];
      expect(await rightsOf("user-service", NAMESPACE)).toEqual(readable.map((name) => `get secrets/${name}`));
      expect(await rightsOf("user-service-worker", NAMESPACE)).toEqual(["get secrets/signing-keys", "get secrets/user-service-broker"]);
      for (const account of ["user-service", "user-service-worker", "default"]) expect(await rightsOf(account, "default")).toEqual([]);
    });

    it("holds the requester of a UserBan to who writes it, and leaves the controller alone", async () => {
      await deploy("upgrade", { "userBans.requesterPolicy.trustedUsernames": ["git'ops"] });
      await plane.apply(EDITORS);
      const write = (user: string, method: string, name: string, body: Manifest): Promise<{ status: number; body: Manifest }> =>
        plane.request(method, `${USERBANS}/namespaces/${NAMESPACE}/userbans${name}`, {
          token: plane.userToken(user, ["editors"]),
          body,
          ...(method === "PATCH" ? { contentType: "application/merge-patch+json" } : {}),
        });
      const ban = (name: string, requestedBy?: string): Manifest => ({
        apiVersion: `${GROUP}/v1alpha1`,
        kind: "UserBan",
        metadata: { name },
        spec: { userRef: { username: "ria" }, kind: "ban", reason: "spam", requestedBy },
      });
      // A policy takes a moment to be heard of.
      const refused = await until(
        async () => {
          const answer = await write("ann", "POST", "?dryRun=All", ban("early", "mona"));
          return answer.status === 403 && answer;
        },
        { what: "the policy to be in force", withinMs: 20_000 },
      );
      expect(refused.body.message).toContain("spec.requestedBy says mona, but ann asks: write that name, or leave it out");

      expect((await write("ann", "POST", "", ban("nobody"))).status).toBe(201);
      expect((await write("ann", "POST", "", ban("own", "ann"))).status).toBe(201);
      expect((await write("bob", "PATCH", "/own", { spec: { reason: "worse" } })).status).toBe(403);
      expect((await write("bob", "PATCH", "/own", { spec: { reason: "worse", requestedBy: "bob" } })).status).toBe(200);
      expect((await write("ann", "PATCH", "/own", { metadata: { labels: { a: "b" } } })).status).toBe(200);
      const trusted = await until(
        async () => {
          const answer = await write("git'ops", "POST", "?dryRun=All", ban("theirs", "mona"));
          return answer.status === 201 && answer;
        },
        { what: "the list of the trusted to be heard of", withinMs: 20_000 },
      );
      expect(trusted.body.spec.requestedBy).toBe("mona");

      const controller = `system:serviceaccount:${NAMESPACE}:user-service-controller`;
      const finalizer = `{"metadata":{"finalizers":["moderation.videamozi.io/lift"]}}`;
      expect(
        await kubectl(["patch", "userban", "own", "--namespace", NAMESPACE, "--type", "merge", "--patch", finalizer, "--as", controller]),
      ).toMatchObject({ code: 0 });
    }, 60_000);

    it("leaves the UserBans and their kind when it is uninstalled, and can come back to them", async () => {
      expect(await helm("uninstall", "users", "--namespace", NAMESPACE)).toMatchObject({ code: 0 });
      // A kind that goes takes every ban with it; one with a finalizer would only go later.
      const { body: kind } = await plane.request("GET", `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/userbans.${GROUP}`);
      const { stdout } = await kubectl(["get", "userbans", "--namespace", NAMESPACE, "--output", "name"]);
      expect([kind.metadata.deletionTimestamp, stdout.trim().split("\n").length]).toEqual([undefined, 2]);
      expect(
        (
          await kubectl([
            "get",
            "serviceaccounts,roles,clusterroles",
            "--all-namespaces",
            "--selector",
            "app.kubernetes.io/name=user-service",
            "--output",
            "name",
          ])
        ).stdout,
      ).toBe("");
      expect(await deploy("install")).toMatchObject({ code: 0 });
    }, 60_000);
  });

  async function tokensOf(): Promise<string[]> {
    const names = ["user-service-dapr-api-token", "user-service-app-api-token"];
    const answers = await Promise.all(names.map((name) => plane.request("GET", `/api/v1/namespaces/${NAMESPACE}/secrets/${name}`)));
    return answers.map(({ body }) => Buffer.from(body.data.token as string, "base64").toString());
  }

  /** What `kubectl auth can-i --list` lists, without what every account may. */
  async function rightsOf(account: string, namespace: string): Promise<string[]> {
    const ask = async (name: string): Promise<string[]> => {
      const review = manifest("authorization.k8s.io/v1", "SelfSubjectRulesReview", {}, { spec: { namespace } });
      const as = `system:serviceaccount:${NAMESPACE}:${name}`;
      const { stdout } = await kubectl(["create", "--validate=false", "--filename", "-", "--output", "json", "--as", as], review);
      const { resourceRules, incomplete } = (JSON.parse(stdout) as Manifest).status;
      expect(incomplete).toBe(false);
      return resourceRules.flatMap(({ verbs, resources, resourceNames = [""] }: Manifest) =>
        resources.flatMap((resource: string) =>
          resourceNames.map((one: string) => `${verbs.toSorted().join(",")} ${resource}${one === "" ? "" : `/${one}`}`),
        ),
      );
    };
    const [everybody, own] = [new Set(await ask("nobody")), await ask(account)];
    return own.filter((right) => !everybody.has(right)).sort();
  }
});

function manifest(apiVersion: string, kind: string, metadata: Manifest, rest: Manifest = {}): string {
  return JSON.stringify({ apiVersion, kind, metadata, ...rest });
}

function applyDry(kubectl: (args: readonly string[], input: string) => Promise<Ran>, objects: readonly Manifest[]): Promise<Ran> {
  const list = manifest("v1", "List", {}, { items: objects });
  return kubectl(["apply", "--server-side", "--dry-run=server", "--namespace", NAMESPACE, "--filename", "-"], list);
}

/** What the chart's checks found, each one. */
function problemsOf({ code, stderr }: Ran): string[] {
  expect(code).toBe(1);
  const lines = stderr.trim().split("\n");
  expect(lines).toHaveLength(1);
  return lines[0]?.split(/checks\.yaml:\d+:\d+\): | \| /).slice(1) ?? [];
}

function missing(secrets: Readonly<Record<string, readonly string[]>>): string {
  const each = Object.entries(secrets).map(([name, keys]) => `${name} (${keys.join(", ")})`);
  return `in namespace ${NAMESPACE} these Secrets (keys) are missing: ${each.join("; ")}`;
}

/** Of the Prometheus operator just so much that the API server takes its objects. */
const SERVICE_MONITOR = manifest(
  "apiextensions.k8s.io/v1",
  "CustomResourceDefinition",
  { name: "servicemonitors.monitoring.coreos.com" },
  {
    spec: {
      group: "monitoring.coreos.com",
      scope: "Namespaced",
      names: { kind: "ServiceMonitor", plural: "servicemonitors", singular: "servicemonitor", listKind: "ServiceMonitorList" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
        },
      ],
    },
  },
);

/** People who may write UserBans. */
const EDITORS = [
  manifest(
    "rbac.authorization.k8s.io/v1",
    "ClusterRole",
    { name: "editors" },
    { rules: [{ apiGroups: [GROUP], resources: ["userbans"], verbs: ["create", "patch"] }] },
  ),
  manifest(
    "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding",
    { name: "editors" },
    {
      subjects: [{ kind: "Group", name: "editors", apiGroup: "rbac.authorization.k8s.io" }],
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "editors" },
    },
  ),
].join("\n---\n");
