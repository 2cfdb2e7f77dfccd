/** k8s/ on a real API server: what is prepared, what it accepts, and that Pod Security `restricted` admits every pod. */

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { startControlPlane, type ControlPlane } from "../kit/control-plane.ts";
import { describeWithAll } from "../kit/requires.ts";

const STARTS_WITHIN_MS = 60_000;
const root = join(import.meta.dirname, "..", "..");
const NAMESPACE = "user-service";
const MANIFESTS = ["postgres", "redis", "rabbitmq", "mail", "node-ports"];

const ANYTHING = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

interface PodTemplate {
  readonly metadata: object;
  readonly spec: object;
}

describeWithAll(["etcd", "kube-apiserver", "kubectl", "helm"], "development on kind", (paths) => {
  let plane: ControlPlane;

  beforeAll(async () => {
    plane = await startControlPlane({ etcd: paths["etcd"] ?? "", apiServer: paths["kube-apiserver"] ?? "" });
    await prepare();
  }, STARTS_WITHIN_MS);
  afterAll(async () => {
    await plane?.[Symbol.asyncDispose]();
  });

  it("is prepared by one script, which leaves signing keys as they are", async () => {
    const before = await secret("signing-keys");
    await prepare();
    expect(await secret("signing-keys")).toEqual(before);
    expect(JSON.parse(before["signing-keys"] ?? "")).toBeInstanceOf(Object);
    const { body } = await plane.request("GET", `/api/v1/namespaces/${NAMESPACE}/configmaps/rabbitmq`);
    expect(body.data["rabbitmq-definitions.json"]).toBe(
      await readFile(join(root, "dapr", "production", "rabbitmq-definitions.json"), "utf8"),
    );
  });

  it("gives the chart all Secrets that it looks for", async () => {
    // What the chart knows Dapr by; whether its resources fit is for the tests of the chart.
    await plane.apply(DAPR_KINDS.map((kind) => JSON.stringify(kind)).join("\n---\n"));
    const args = ["install", "user-service", "charts/user-service", "-n", NAMESPACE, "--dry-run=server", "--set", "image.tag=abc"];
    const install = (): Promise<string> => run("helm", [...args, "-f", "k8s/values-development.yaml"]);
    expect(await install()).toContain("STATUS: pending-install");
    await plane.request("DELETE", `/api/v1/namespaces/${NAMESPACE}/secrets/user-service-mail`);
    await expect(install()).rejects.toThrow(/user-service-mail \(smtp-url\)/);
    await prepare();
  });

  it.each(MANIFESTS)("has manifests of %s that the API server accepts without a warning", async (name) => {
    const said = await run("kubectl", ["apply", "--dry-run=server", "--warnings-as-errors", "-f", `k8s/${name}.yaml`]);
    expect(said.trim().split("\n")).toHaveLength(2);
  });

  it.each(MANIFESTS.filter((name) => name !== "node-ports"))("has a pod of %s that Pod Security restricted admits", async (name) => {
    const [workload] = parseAllDocuments(await readFile(join(root, "k8s", `${name}.yaml`), "utf8")).map((document) => document.toJS());
    const { metadata, spec } = (workload as { spec: { template: PodTemplate } }).spec.template;
    // No controller is here that would make it; nor one that makes the account.
    await plane.apply(`{ apiVersion: v1, kind: ServiceAccount, metadata: { name: default, namespace: ${NAMESPACE} } }`);
    const body = { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, name }, spec };
    const answer = await plane.request("POST", `/api/v1/namespaces/${NAMESPACE}/pods?dryRun=All`, { body });
    expect({ status: answer.status, message: answer.body.message }).toEqual({ status: 201, message: undefined });
  });

  async function prepare(): Promise<void> {
    await run(process.execPath, ["k8s/prepare.js"]);
  }

  /** As somebody at a terminal would: kubectl on PATH, the cluster by KUBECONFIG. @throws Error with what it said */
  async function run(program: string, args: readonly string[]): Promise<string> {
    const { PATH = "", HOME = "/" } = process.env;
    const env = { PATH: `${dirname(paths["kubectl"] ?? "")}:${PATH}`, HOME, KUBECONFIG: plane.kubeconfig };
    const { stdout } = await promisify(execFile)(paths[program] ?? program, [...args], { cwd: root, env });
    return stdout;
  }

  async function secret(name: string): Promise<Record<string, string>> {
    const { body } = await plane.request("GET", `/api/v1/namespaces/${NAMESPACE}/secrets/${name}`);
    const entries = Object.entries(body.data as Record<string, string>);
    return Object.fromEntries(entries.map(([key, value]) => [key, Buffer.from(value, "base64").toString()]));
  }
});

/** Dapr's kinds, with room for anything. */
const DAPR_KINDS = Object.entries({ Component: "components", Configuration: "configurations", Resiliency: "resiliencies" }).map(
  ([kind, plural]) => ({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.dapr.io` },
    spec: {
      group: "dapr.io",
      scope: "Namespaced",
      names: { kind, plural },
      versions: [{ name: "v1alpha1", served: true, storage: true, schema: { openAPIV3Schema: ANYTHING } }],
    },
  }),
);
