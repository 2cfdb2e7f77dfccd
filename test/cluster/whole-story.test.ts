/** The whole story in a cluster with a kubelet and injected sidecars, told from outside: what README.md says is what is run. */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { delay } from "#src/kernel/clock";
import { describeOnCluster, type Cluster, type Ran } from "../kit/cluster.ts";
import { HttpClient } from "../kit/http-client.ts";
import { startMailServer, type MailServer } from "../kit/mail-server.ts";
import type { SignedIn, SignedInBody } from "../kit/service.ts";
import { SocketClient } from "../kit/socket-client.ts";
import { until } from "../kit/until.ts";
import { startLoad, type LoadResult } from "./whole-load.ts";
import { apply, ask, NEIGHBOUR, neighbourNotes, startNeighbour, startServers } from "./whole-parts.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const LOGS = join(ROOT, ".cache", "cluster-logs");
const NAMESPACE = "users";
const MADE_WITHIN_MS = 900_000;
const STEP_MS = 300_000;
const PEOPLE = 20;
/** More of them, each with a password at its full cost, might wait longer than a request may on slow cores. */
const AT_ONCE = 4;
const MEASURED_MS = 45_000;
const IS_SOAK = process.env["SOAK"] === "1";
/** Two cores that also start the pods, run the servers and make the load are full with the whole of it. */
const LOAD = IS_SOAK ? { perSecond: 100, sockets: 200 } : { perSecond: 25, sockets: 50 };

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly deletionTimestamp?: string };
    readonly status: { readonly podIP?: string; readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  }[];
}

describeOnCluster("the service in a cluster", (start) => {
  const stack = new AsyncDisposableStack();
  let cluster: Cluster;
  let mail: MailServer;
  let blocks: readonly string[];
  let http: HttpClient;
  let ann: SignedIn;

  beforeAll(async () => {
    blocks = await readmeBlocks();
    cluster = stack.use(await start(daprOptions(blocks[0] ?? "")));
    await startServers(cluster);
    await startNeighbour(cluster);
    mail = stack.use(await startMailServer({ tls: "none", address: cluster.hostAddress }));
  }, MADE_WITHIN_MS);
  afterAll(() => stack.disposeAsync(), STEP_MS);

  /** A test that leaves the cluster's logs behind when it fails. */
  const step = (name: string, body: () => Promise<void>): void =>
    it(
      name,
      async () => {
        try {
          await body();
        } catch (error) {
          process.stderr.write(`${name}: ${String(error).slice(0, 2_000)}\n`);
          await collectLogs(cluster);
          throw error;
        }
      },
      STEP_MS,
    );

  /** Of pods that are ready: the autoscaler may have begun another at any time, which runs before it listens. */
  const podUrls = async (): Promise<string[]> => {
    const labelled = ["get", "pods", "-l", "app.kubernetes.io/component=api", "-o", "json"];
    const { items } = JSON.parse(await cluster.kubectl(["-n", NAMESPACE, ...labelled])) as PodList;
    const isReady = ({ metadata, status }: PodList["items"][number]): boolean =>
      metadata.deletionTimestamp === undefined && status.conditions?.some((one) => one.type === "Ready" && one.status === "True") === true;
    return items.filter(isReady).map(({ status }) => `http://${status.podIP}:3002`);
  };
  const upgrade = (options: string): Promise<Ran> =>
    cluster.shell(`helm upgrade user-service charts/user-service --namespace ${NAMESPACE} --reuse-values --wait --timeout 4m ${options}`);
  const rollout = (name: string): Promise<string> =>
    cluster.kubectl(["-n", NAMESPACE, "rollout", "status", `deployment/${name}`, "--timeout=180s"]);
  const undone = async (): Promise<number> => Number(await ask(cluster, "select count(*) from outbox where done_at is null"));

  step("is installed as README.md says, and is ready within a minute", async () => {
    const script = asHere(blocks, { cluster, mailPort: mail.port });
    const [before = "", install = ""] = script.split(/^(?=helm install user-service)/m);
    expect(await cluster.shell(before)).toMatchObject({ code: 0 });
    const startMs = performance.now();
    const installed = await cluster.shell(install.replace(/^helm test[^\n]*$/m, ""));
    const tookS = (performance.now() - startMs) / 1_000;
    expect(installed).toMatchObject({ code: 0 });
    const tested = await cluster.shell(/^helm test[^\n]*$/m.exec(install)?.[0] ?? "false");
    expect(tested).toMatchObject({ code: 0 });
    process.stderr.write(`installed and ready in ${tookS.toFixed(1)} s; helm test said: ${tested.output.trim().split("\n").at(-1)}\n`);
    const restarts = await cluster.kubectl([
      "-n",
      NAMESPACE,
      "get",
      "pods",
      "-o",
      "jsonpath={.items[*].status.containerStatuses[*].restartCount}",
    ]);
    expect(restarts.split(" ").filter((count) => count !== "0")).toEqual([]);
    const address = await cluster.kubectl(["-n", NAMESPACE, "get", "service", "user-service", "-o", "jsonpath={.spec.clusterIP}"]);
    http = stack.use(new HttpClient(`http://${address}`));
  });

  step(
    "has a ban by kubectl obeyed by every pod, socket and token, told to a neighbour and by mail, and lifted by its deletion",
    async () => {
      ann = await register(http, mail, "ann", 1);
      // A release begins with one pod; how many it is to have is the autoscaler's to say, which looks every 15 s.
      const two = async (): Promise<false | string[]> => {
        const urls = await podUrls();
        return urls.length >= 2 && urls;
      };
      const urls = await until(two, { everyMs: 500, what: "a second pod" });
      const sockets = await Promise.all(urls.map((url) => SocketClient.open(url, ann.accessToken)));
      const startMs = performance.now();
      await apply(cluster, [userBan("ann")]);
      const closed = await Promise.all(sockets.map(async (socket) => (await socket.closes(30_000)).atMs - startMs));
      for (const socket of sockets) expect(socket.told.map((one) => one.name)).toContain("account:restricted");
      for (const url of urls) {
        using pod = new HttpClient(url);
        expect(await pod.get("/api/users/me", ann.accessToken)).toMatchObject({ status: 403, body: { code: "account.restricted" } });
        expect(await pod.post("/api/auth/refresh", { refreshToken: ann.refreshToken })).toMatchObject({
          body: { code: "account.restricted" },
        });
      }
      process.stderr.write(
        `kubectl apply → sockets on ${urls.length} pods closed after ${closed.map(Math.round).join(" and ")} ms, kubectl's own time with it\n`,
      );
      const enforced = ["-n", NAMESPACE, "wait", "--for=condition=Enforced", "userban/ann", "--timeout=30s"];
      await cluster.kubectl(enforced);
      const has = async (type: string): Promise<boolean> =>
        (await neighbourNotes(cluster)).events.some((event) => event.type === type && event.subject === ann.id);
      await until(() => has("videamozi.user.restricted.v1"), { withinMs: 60_000, everyMs: 200, what: "the neighbour to hear of the ban" });
      await until(() => mail.received.some(({ to, raw }) => to.includes(ann.email) && raw.includes("Please stop.")), {
        withinMs: 60_000,
        everyMs: 200,
        what: "the mail about the ban",
      });
      await cluster.kubectl(["-n", NAMESPACE, "delete", "userban", "ann", "--timeout=60s"]);
      ann = signedIn(await http.post<SignedInBody>("/api/auth/login", { emailOrUsername: "ann", password: PASSWORD }));
      expect(await http.get("/api/users/me", ann.accessToken)).toMatchObject({ status: 200 });
      await until(() => has("videamozi.user.restored.v1"), { withinMs: 60_000, everyMs: 200, what: "the neighbour to hear of the lift" });
    },
  );

  // A measurement, for values.yaml and docs/benchmarks.md: no more than printed.
  if (IS_SOAK) {
    step("costs so much when idle and at 200 requests a second", async () => {
      // So many that nobody asks oftener than an account may.
      const people: SignedIn[] = [];
      for (let index = 0; index < 2 * PEOPLE; index += 1) people.push(await register(http, mail, `costly${index}`, 60 + index));
      const pods = ["-n", NAMESPACE, "top", "pods", "--containers", "--no-headers"];
      // The metrics server looks back 15 s.
      await delay(MEASURED_MS);
      process.stderr.write(`idle:\n${await cluster.kubectl(pods)}`);
      const load = startLoad(http.url, people, { perSecond: 200, sockets: 0 });
      await delay(MEASURED_MS);
      process.stderr.write(`at 200 requests a second:\n${await cluster.kubectl(pods)}`);
      const { requests, failed, tookMs } = await load.stop();
      process.stderr.write(`${requests} requests, ${failed.length} failed, p50 ${Math.round(tookMs[tookMs.length >> 1] ?? 0)} ms\n`);
      expect(failed.slice(0, 5)).toEqual([]);
    });
  }

  step("fails no request, leaves no socket without a hint and loses no event over a rolling restart and an upgrade", async () => {
    const people: SignedIn[] = [];
    while (people.length < PEOPLE) {
      const next = Array.from({ length: AT_ONCE }, (_, index) => people.length + index);
      people.push(...(await Promise.all(next.map((index) => register(http, mail, `person${index}`, 10 + index)))));
    }
    // The number of pods is held still: what is to be seen is who goes and who comes.
    expect(await upgrade("--set api.autoscaling.maxReplicas=2")).toMatchObject({ code: 0 });
    const load = startLoad(http.url, people, LOAD);
    try {
      const startMs = performance.now();
      const tookS = (): string => ((performance.now() - startMs) / 1_000).toFixed(1);
      // One after the other: a starting pod takes all that two cores have.
      for (const name of ["user-service", "user-service-worker"]) {
        await cluster.kubectl(["-n", NAMESPACE, "rollout", "restart", `deployment/${name}`]);
        await rollout(name);
      }
      const rolledS = tookS();
      // The migration runs; the pods change only where the load leaves room for it.
      expect(await upgrade(`--set-string ${IS_SOAK ? "podAnnotations.upgraded=yes" : "service.annotations.upgraded=yes"}`)).toMatchObject({
        code: 0,
      });
      process.stderr.write(`rolled in ${rolledS} s, upgraded after ${tookS()} s\n`);
    } finally {
      result = await load.stop();
    }
    tell(result);
    expect(result.failed.slice(0, 5)).toEqual([]);
    expect(result.lost).toEqual([]);
    expect(result.open).toBe(LOAD.sockets);
    expect(result.hinted).toBeGreaterThanOrEqual(LOAD.sockets);
    await allArrived(people.map(({ id }) => id));
  });

  step("goes on when a pod and the leading controller are killed, and loses no event", async () => {
    const bea = await register(http, mail, "bea", 50);
    const load = startLoad(http.url, [bea], { perSecond: 20, sockets: 0 });
    const kill = "delete pod --grace-period=0 --force --wait=false";
    const holder = await cluster.kubectl([
      "-n",
      NAMESPACE,
      "get",
      "lease",
      "user-service-controller",
      "-o",
      "jsonpath={.spec.holderIdentity}",
    ]);
    const killed = await cluster.shell(`
      for component in api worker; do
        kubectl -n ${NAMESPACE} ${kill} "$(kubectl -n ${NAMESPACE} get pods -l app.kubernetes.io/component=$component -o name | head -1 | cut -d/ -f2)"
      done
      kubectl -n ${NAMESPACE} ${kill} ${holder}`);
    expect(killed).toMatchObject({ code: 0 });
    await Promise.all(["user-service", "user-service-worker", "user-service-controller"].map(rollout));
    const { failed, requests } = await load.stop();
    // What the killed pod had in hand is gone, and the proxies learn of it within seconds.
    process.stderr.write(`a killed pod: ${failed.length} of ${requests} requests failed\n`);
    expect(failed.length).toBeLessThan(requests / 4);
    const again = startLoad(http.url, [bea], { perSecond: 20, sockets: 0 });
    await apply(cluster, [userBan("bea")]);
    await cluster.kubectl(["-n", NAMESPACE, "wait", "--for=condition=Enforced", "userban/bea", "--timeout=60s"]);
    const { failed: refused } = await again.stop();
    for (const answer of refused) expect(answer).toMatch(/^403 .*account\.restricted/);
    await allArrived([bea.id]);
    await cluster.kubectl(["-n", NAMESPACE, "delete", "userban", "bea", "--timeout=60s"]);
  });

  step("says what is wrong in one line, while the pods of before go on", async () => {
    const logs = async (selector: string): Promise<string> =>
      await cluster.kubectl(["-n", NAMESPACE, "logs", "-l", selector, "-c", selector.split("=")[1] ?? "", "--tail=20", "--ignore-errors"]);

    await cluster.kubectl(["-n", NAMESPACE, "create", "secret", "generic", "short", "--from-literal=token=short"]);
    const missing = await upgrade("--set secrets.broker=nowhere");
    expect(missing.code).not.toBe(0);
    expect(missing.output).toContain("nowhere (url)");

    const url = "postgres://postgres@postgres.servers:5432/nowhere";
    await cluster.kubectl([
      "-n",
      NAMESPACE,
      "create",
      "secret",
      "generic",
      "away",
      `--from-literal=url=${url}`,
      `--from-literal=direct-url=${url}`,
    ]);
    expect((await upgrade("--set secrets.database=away")).code).not.toBe(0);
    expect(await logs("app.kubernetes.io/component=migrate")).toContain(
      'the database nowhere at postgres.servers:5432 cannot be reached: database "nowhere" does not exist',
    );

    expect(await upgrade("--set tokens.appApi.existingSecret=short --wait=false")).toMatchObject({ code: 0 });
    await until(async () => (await logs("app.kubernetes.io/component=api")).includes("APP_API_TOKEN: must be: at least 16 characters"), {
      withinMs: 60_000,
      everyMs: 1_000,
      what: "a pod to say what is wrong with its token",
    });
    await stillServes();
    expect(await cluster.shell(`helm rollback user-service 3 --namespace ${NAMESPACE} --wait --timeout 3m`)).toMatchObject({ code: 0 });
    await stillServes();
  });

  /** Pods that start may have all the cores for a moment, which is told; those that were there must not be gone. */
  async function stillServes(): Promise<void> {
    const isServed = async (): Promise<boolean> => {
      const { status, body } = await http.get("/api/users/me", ann.accessToken);
      if (status !== 200) process.stderr.write(`an answer of the pods of before: ${status} ${JSON.stringify(body)}\n`);
      return status === 200;
    };
    await until(isServed, { withinMs: 10_000, everyMs: 500, what: "an answer of the pods of before" });
  }

  step("is uninstalled as README.md says, and leaves no object that cannot go", async () => {
    await apply(cluster, [userBan("ann")]);
    await cluster.kubectl(["-n", NAMESPACE, "wait", "--for=condition=Enforced", "userban/ann", "--timeout=30s"]);
    expect(await cluster.shell(blocks.at(-1) ?? "false")).toMatchObject({ code: 0 });
    expect(await cluster.kubectl(["get", "userbans", "--all-namespaces", "-o", "name"])).toBe("");
    // Helm leaves what its hooks made: the migration's job, which goes by itself after a day, and the pod of the test.
    const running = ["-n", NAMESPACE, "get", "pods", "--field-selector=status.phase=Running", "-o", "name"];
    await until(async () => (await cluster.kubectl(running)) === "", {
      withinMs: 90_000,
      everyMs: 500,
      what: "the pods to end",
    });
    expect(await cluster.kubectl(["get", "crd", "userbans.moderation.videamozi.io", "-o", "name"])).not.toBe("");
  });

  /** Whatever was committed is marked done, and the neighbour has applied each subject up to its last version, none left out. */
  async function allArrived(ids: readonly string[]): Promise<void> {
    await until(async () => (await undone()) === 0, { withinMs: 90_000, everyMs: 500, what: "every event to be done" });
    const list = ids.map((id) => `'${id}'`).join(",");
    const lines = await ask(cluster, `select user_id || ' ' || version from user_versions where user_id in (${list}) order by 1`);
    const expected = lines.split("\n");
    const applied = async (): Promise<readonly string[]> => {
      const notes = await neighbourNotes(cluster);
      return ids.map((id) => `${id} ${notes.applied[id]}`).toSorted();
    };
    await until(async () => (await applied()).join() === expected.join(), {
      withinMs: 60_000,
      everyMs: 500,
      what: `${NEIGHBOUR} to have applied all`,
    });
    expect((await neighbourNotes(cluster)).gaps).toEqual([]);
  }
});

let result: LoadResult;
const PASSWORD = "correct horse battery";

/** As the chart has it: the address is confirmed first, here by the code of the mail. Behind a proxy each person has a network address of their own. */
async function register(http: HttpClient, mail: MailServer, username: string, host: number): Promise<SignedIn> {
  const headers = { "x-forwarded-for": `198.51.100.${host}` };
  const email = `${username}@example.com`;
  const body = { email, username, password: PASSWORD };
  const asked = await http.send("POST", "/api/auth/register", { body, headers });
  if (asked.status !== 202) throw new Error(`${asked.status}: ${JSON.stringify(asked.body)}`);
  const code = await until(() => codeFor(mail, email), { withinMs: 60_000, everyMs: 100, what: `the mail to ${email}` });
  const verified = await http.send("POST", "/api/auth/verify-email", { body: { email, code }, headers });
  if (verified.status !== 200) throw new Error(`${verified.status}: ${JSON.stringify(verified.body)}`);
  return signedIn(
    await http.send<SignedInBody>("POST", "/api/auth/login", { body: { emailOrUsername: username, password: PASSWORD }, headers }),
  );
}

function codeFor({ received }: MailServer, email: string): string | undefined {
  const raw = received.find(({ to }) => to.includes(email))?.raw.replaceAll("=\r\n", "") ?? "";
  return /registered: (\d{6})/.exec(raw)?.[1];
}

function signedIn({ status, body }: { readonly status: number; readonly body: SignedInBody }): SignedIn {
  if (status >= 300) throw new Error(`${status}: ${JSON.stringify(body)}`);
  const { user, accessToken, refreshToken, session } = body;
  return { ...user, password: PASSWORD, accessToken, refreshToken, sessionId: session.id };
}

function userBan(username: string): object {
  return {
    apiVersion: "moderation.videamozi.io/v1alpha1",
    kind: "UserBan",
    metadata: { name: username, namespace: NAMESPACE },
    spec: { userRef: { username }, kind: "ban", reason: "spam", message: "Please stop." },
  };
}

function tell({ requests, failed, hinted, lost, tookMs }: LoadResult): void {
  const at = (share: number): string => `${Math.round(tookMs[Math.floor(tookMs.length * share)] ?? 0)} ms`;
  process.stderr.write(
    `rolling restart and upgrade: ${requests} requests, ${failed.length} failed, p50 ${at(0.5)}, p99 ${at(0.99)}; ` +
      `${hinted} sockets closed after a hint, ${lost.length} without\n`,
  );
}

/** The shell blocks of README.md's Kubernetes part, in order. */
async function readmeBlocks(): Promise<readonly string[]> {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const part = /^## In Kubernetes\n([\s\S]*?)^## /m.exec(readme)?.[1] ?? "";
  return [...part.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block ?? "");
}

/** Dapr's chart comes from elsewhere here; its options are README's. */
function daprOptions(block: string): readonly string[] {
  return [...block.matchAll(/--set (\S+)/g)].flatMap(([, option]) => ["--set", option ?? ""]);
}

/** All blocks but the last, with the addresses of this cluster in place of the examples'. Each must be there, so that this does not drift. */
function asHere(blocks: readonly string[], { cluster, mailPort }: { readonly cluster: Cluster; readonly mailPort: number }): string {
  const script = blocks
    .slice(0, -1)
    .join("\n")
    .replace(/^helm repo add [^\n]*\n/m, "")
    .replace(/^helm install dapr (?:[^\n]*\\\n)*[^\n]*\n/m, "");
  const replacements = [
    ["user:password@pooler:5432", "postgres@postgres.servers:5432"],
    ["user:password@postgres:5432", "postgres@postgres.servers:5432"],
    ["redis://:password@redis:6379", "redis://redis.servers:6379"],
    ["host=redis:6379", "host=redis.servers:6379"],
    ["literal=password=password", "literal=password="],
    ["user:password@rabbitmq:5672", "guest:guest@rabbitmq.servers:5672"],
    ["smtp://user:password@mail:587", `smtp://${cluster.hostAddress}:${mailPort}?tls=off`],
    ["registry.example.com/user-service", `${cluster.image.repository} --set image.tag=${cluster.image.tag}`],
  ] as const;
  return replacements.reduce((text, [example, here]) => {
    if (!text.includes(example)) throw new Error(`README.md's Kubernetes part has no ${example} any more`);
    return text.replaceAll(example, here);
  }, script);
}

/** What somebody needs who was not there. */
async function collectLogs(cluster: Cluster): Promise<void> {
  await mkdir(LOGS, { recursive: true });
  const { output } = await cluster.shell(`
    kubectl get pods,jobs,userbans --all-namespaces -o wide || true
    kubectl get events --all-namespaces --sort-by=.lastTimestamp || true
    for namespace in ${NAMESPACE} ${NEIGHBOUR} servers; do
      for pod in $(kubectl -n $namespace get pods -o name); do
        echo "== $namespace $pod"; kubectl -n $namespace describe "$pod" | tail -30; kubectl -n $namespace logs "$pod" --all-containers --prefix --tail=300 || true
        kubectl -n $namespace logs "$pod" --all-containers --prefix --previous --tail=50 2>/dev/null || true
      done
    done`);
  const file = join(LOGS, `${Date.now()}.log`);
  await writeFile(file, output);
  process.stderr.write(`the cluster's logs are in ${file}\n`);
}
