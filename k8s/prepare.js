/**
 * Makes what must be in the cluster before k8s/*.yaml and the chart: the namespace, the broker's files, and Secrets that suit them.
 * `node k8s/prepare.js`, as often as wanted: signing keys that are there stay. skaffold runs it before it deploys.
 */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";

const NAMESPACE = "user-service";
const root = join(import.meta.dirname, "..");
const { SKAFFOLD_KUBE_CONTEXT } = process.env;

/** @param input YAML or JSON for `-f -` */
function kubectl(args, input = "") {
  const context = SKAFFOLD_KUBE_CONTEXT ? ["--context", SKAFFOLD_KUBE_CONTEXT] : [];
  return execFileSync("kubectl", [...context, ...args], { input, encoding: "utf8", stdio: ["pipe", "pipe", "inherit"] });
}

function secret(name, stringData) {
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: NAMESPACE }, stringData };
}

/** As compose mounts them. */
function brokerFiles() {
  const files = ["compose/rabbitmq/rabbitmq.conf", "compose/rabbitmq/account.json", "compose/rabbitmq/policies.json"];
  const texts = [...files, "dapr/production/rabbitmq-definitions.json"].map((file) => [
    basename(file),
    readFileSync(join(root, file), "utf8"),
  ]);
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "rabbitmq", namespace: NAMESPACE }, data: Object.fromEntries(texts) };
}

const database = "postgres://user_service:development@postgres:5432/videa_mozi_users";
const items = [
  brokerFiles(),
  secret("user-service-database", { url: database, "direct-url": database }),
  secret("user-service-redis", { url: "redis://:development@redis:6379", host: "redis:6379", password: "development" }),
  secret("user-service-broker", { url: "amqp://user-service:development@rabbitmq:5672" }),
  secret("user-service-mail", { "smtp-url": "smtp://mail:1025?tls=off" }),
  secret("user-service-first-admin", { username: "admin", email: "admin@example.com", password: "development" }),
];

process.stdout.write(kubectl(["apply", "-f", join(root, "k8s", "namespace.yaml")]));
process.stdout.write(kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items })));

if (kubectl(["-n", NAMESPACE, "get", "secret", "signing-keys", "--ignore-not-found", "-o", "name"]) === "") {
  const keys = execFileSync(process.execPath, ["scripts/node24.js", "src/main/keys.ts", "new"], { cwd: root, encoding: "utf8" }).trim();
  process.stdout.write(kubectl(["create", "-f", "-"], JSON.stringify(secret("signing-keys", { "signing-keys": keys }))));
}
