/**
 * What development on containers needs, as far as it can be held without any: shapes, names that must agree, versions, paths. Whether
 * it works together is test/stories/compose.db.test.ts; what a cluster says of k8s/ is test/cluster/dev-manifests.test.ts.
 */

import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { parseAllDocuments, parse } from "yaml";
import type { z } from "zod";
import { readConfig, type Config } from "#src/config/config";
import { variables } from "#src/config/variables";
import { readTools } from "../../scripts/tools/pins.ts";
import { flagsOf, mountsOf, readCompose, serviceOf } from "../kit/compose.ts";
import { addedComposeFile, composeFile, devContainer, type helmRelease, kindCluster, skaffoldConfig } from "../kit/dev-schemas.ts";
import { startProgram } from "../kit/process.ts";
import { describeWith } from "../kit/requires.ts";

const root = join(import.meta.dirname, "..", "..");
const SERVERS = ["postgres", "redis", "rabbitmq", "mail"];
const PROCESSES = ["api", "worker", "migrate"] as const;
const { pinned } = readTools();

const text = (file: string): Promise<string> => readFile(join(root, file), "utf8");
const isThere = (file: string): Promise<boolean> =>
  stat(join(root, file)).then(
    () => true,
    () => false,
  );
const documents = async (file: string): Promise<unknown[]> =>
  parseAllDocuments(await text(file)).map((document) => document.toJS() as unknown);

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // oxlint-disable-next-line typescript/no-explicit-any -- any object of any API
  readonly spec: any;
}

const manifestsIn = async (file: string): Promise<Manifest[]> => (await documents(file)) as Manifest[];

/** A server and its Service, or the two Services of node-ports. */
async function pair(name: string): Promise<[Manifest, Manifest]> {
  const [first, second, ...more] = await manifestsIn(`k8s/${name}.yaml`);
  if (first === undefined || second === undefined || more.length > 0) throw new Error(`k8s/${name}.yaml has not two documents`);
  return [first, second];
}

/** The three parts of skaffold.yaml. @throws ZodError for what skaffold would not know */
async function skaffoldConfigs(): Promise<Record<"dapr" | "servers" | "service", z.infer<typeof skaffoldConfig>>> {
  const [dapr, servers, service] = await documents("skaffold.yaml");
  return { dapr: skaffoldConfig.parse(dapr), servers: skaffoldConfig.parse(servers), service: skaffoldConfig.parse(service) };
}

async function kindConfig(): Promise<z.infer<typeof kindCluster>> {
  return kindCluster.parse((await documents("k8s/kind.yaml"))[0]);
}

/** The one release of that config. */
function releaseOf({ deploy }: z.infer<typeof skaffoldConfig>): z.infer<typeof helmRelease> {
  const [release, ...more] = deploy.helm?.releases ?? [];
  if (release === undefined || more.length > 0) throw new Error("not one release");
  return release;
}

/** What is wrong in a form that a failed test shows whole. */
function problemsOf(schema: z.ZodType, value: unknown): string[] {
  const parsed = schema.safeParse(value);
  return parsed.success ? [] : parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
}

/** The configuration of a process as it would start; a problem fails the test with all of them. */
async function configOf(name: (typeof PROCESSES)[number]): Promise<Config> {
  return readConfig(serviceOf(await readCompose(), name).environment ?? {}, name);
}

describe("compose.yaml", () => {
  it("has the members that compose knows, with every port on loopback", async () => {
    expect(problemsOf(composeFile, await readCompose())).toEqual([]);
    expect(problemsOf(addedComposeFile, await readCompose(".devcontainer/compose.yaml"))).toEqual([]);
  });

  it("sets variables that there are, to values that each process starts with", async () => {
    const compose = await readCompose();
    for (const name of PROCESSES) {
      const unknown = Object.keys(serviceOf(compose, name).environment ?? {}).filter((variable) => !(variable in variables.shape));
      expect({ name, unknown }).toEqual({ name, unknown: [] });
      expect((await configOf(name)).production).toBe(true);
    }
  });

  it("starts entries of src/main", async () => {
    const { services } = await readCompose();
    const entries = Object.values(services).flatMap(({ command = [] }) => command.filter((part) => part.startsWith("dist/main/")));
    expect(entries).toHaveLength(4);
    for (const entry of entries) {
      const source = entry.replace("dist/", "src/").replace(/js$/, "ts");
      expect({ source, there: await isThere(source) }).toEqual({ source, there: true });
    }
  });

  it("mounts files and folders that there are, and volumes that are declared", async () => {
    const { services, volumes } = await readCompose();
    const mounts = Object.values(services).flatMap(mountsOf);
    const named = mounts.filter((mount) => !mount.isFile).map(({ source }) => source);
    expect(new Set(named)).toEqual(new Set(Object.keys(volumes)));
    for (const { source } of mounts.filter((mount) => mount.source.startsWith("."))) {
      expect({ source, there: await isThere(source) }).toEqual({ source, there: true });
    }
  });

  it("waits for services that there are, and for health only where it is checked", async () => {
    const { services } = await readCompose();
    for (const [name, { depends_on: needs = {}, network_mode: network }] of Object.entries(services)) {
      for (const [needed, { condition }] of Object.entries(needs)) {
        const hasCheck = services[needed]?.healthcheck !== undefined;
        expect({ name, needed, ok: needed in services && (condition !== "service_healthy" || hasCheck) }).toMatchObject({ ok: true });
      }
      const [, shared] = /^service:(.+)$/.exec(network ?? "") ?? [];
      if (shared !== undefined) expect(Object.keys(needs)).toContain(shared);
    }
  });

  it("has a sidecar beside each process that wants one, on the ports that the process expects", async () => {
    const compose = await readCompose();
    for (const [name, appId] of [
      ["api", "user-service"],
      ["worker", "user-service-worker"],
    ] as const) {
      const sidecar = serviceOf(compose, `${name}-daprd`);
      const { sidecarPort, dapr } = await configOf(name);
      expect(sidecar.network_mode).toBe(`service:${name}`);
      expect(Object.fromEntries(flagsOf(sidecar))).toMatchObject({
        "app-id": appId,
        "app-port": String(sidecarPort),
        "dapr-http-port": String(dapr.httpPort),
        "dapr-listen-addresses": "127.0.0.1",
        "dapr-internal-grpc-listen-address": "127.0.0.1",
      });
      expect(sidecar.environment).toMatchObject({ DAPR_API_TOKEN: dapr.apiToken?.reveal(), APP_API_TOKEN: dapr.appToken?.reveal() });
    }
  });

  it("tells its sidecars what production's are told, but for where secrets are", async () => {
    const compose = await readCompose();
    const production = await manifestsIn("dapr/production/access-control.yaml");
    for (const [name, file, index] of [
      ["api", "configuration.yaml", 0],
      ["worker", "configuration-worker.yaml", 1],
    ] as const) {
      const mounted = mountsOf(serviceOf(compose, `${name}-daprd`)).map(({ source }) => source);
      for (const component of ["pubsub", "state", "resiliency"]) expect(mounted).toContain(`./dapr/production/${component}.yaml`);
      expect(mounted).toContain(`./dapr/compose/${file}`);
      const { spec, ...inProduction } = production[index] as Manifest;
      const { accessControl, ...rest } = spec as Record<string, unknown>;
      expect(accessControl).toBeDefined();
      expect(await manifestsIn(`dapr/compose/${file}`)).toEqual([{ ...inProduction, spec: rest }]);
    }
    const [store, productionStore] = await Promise.all(
      ["compose", "production"].map(async (folder) => (await manifestsIn(`dapr/${folder}/secrets.yaml`))[0]),
    );
    expect(store).toEqual({ ...productionStore, spec: store?.spec });
  });

  it("writes every secret that components and processes ask for", async () => {
    const written = await text("dapr/compose/make-secrets.js");
    const asked = [...(await text("dapr/production/pubsub.yaml")).matchAll(/secretKeyRef: \{ name: ([\w-]+), key: (\w+) \}/g)];
    asked.push(...(await text("dapr/production/state.yaml")).matchAll(/secretKeyRef: \{ name: ([\w-]+), key: (\w+) \}/g));
    for (const [, name = "", key = ""] of asked) expect(written).toMatch(new RegExp(`"${name}": \\{[^}]*\\b${key}:`));
    expect(asked.length).toBeGreaterThan(8);
    expect(written).toContain('"signing-keys"');
  });

  it("has one account for each server, known to all who use it", async () => {
    const compose = await readCompose();
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = serviceOf(compose, "postgres").environment ?? {};
    const { BROKER_URL = "", REDIS_HOST, REDIS_PASSWORD } = serviceOf(compose, "secrets").environment ?? {};
    for (const name of PROCESSES) {
      const { databaseUrl, redisUrl } = await configOf(name);
      expect(databaseUrl?.reveal()).toBe(`postgres://${POSTGRES_USER}:${POSTGRES_PASSWORD}@postgres:5432/${POSTGRES_DB}`);
      expect(redisUrl?.reveal()).toBe(`redis://:${REDIS_PASSWORD}@${REDIS_HOST}`);
    }
    expect(REDIS_HOST).toBe("redis:6379");
    const { command: redisCommand = [], healthcheck } = serviceOf(compose, "redis");
    expect(redisCommand[redisCommand.indexOf("--requirepass") + 1]).toBe(REDIS_PASSWORD);
    expect(healthcheck?.test).toContain(REDIS_PASSWORD);
    expect(await brokerAccount()).toEqual({ broker: "rabbitmq:5672", knows: new URL(BROKER_URL).username });

    async function brokerAccount(): Promise<object> {
      const { username, password, host } = new URL(BROKER_URL);
      const { users } = JSON.parse(await text("compose/rabbitmq/account.json")) as { users: { name: string; password_hash: string }[] };
      const user = users.find(({ password_hash }) => {
        const [salt, hash] = [Buffer.from(password_hash, "base64").subarray(0, 4), Buffer.from(password_hash, "base64").subarray(4)];
        return createHash("sha256").update(salt).update(password).digest().equals(hash);
      });
      return { broker: host, knows: user?.name === username ? username : undefined };
    }
  });

  it("scrapes processes and sidecars where they tell their figures", async () => {
    const compose = await readCompose();
    const { scrape_configs: jobs } = parse(await text("compose/prometheus.yaml")) as {
      scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
    };
    const targets = jobs.flatMap((job) => job.static_configs.flatMap((config) => config.targets));
    const expected = await Promise.all(
      (["api", "worker"] as const).map(async (name) => {
        const sidecar = flagsOf(serviceOf(compose, `${name}-daprd`));
        return [`${name}:${(await configOf(name)).healthPort}`, `${name}:${String(sidecar.get("metrics-port"))}`];
      }),
    );
    expect(targets.sort()).toEqual(expected.flat().sort());
  });

  it("provisions Grafana with sources that its dashboard uses and compose starts", async () => {
    const { services } = await readCompose();
    const { datasources } = parse(await text("compose/grafana/provisioning/datasources/datasources.yaml")) as {
      datasources: { uid: string; type: string; url: string }[];
    };
    for (const { url } of datasources) expect(services[new URL(url).hostname]?.profiles).toEqual(["observability"]);
    const { panels } = JSON.parse(await text("compose/grafana/dashboards/user-service.json")) as {
      panels: { datasource?: { type: string; uid: string }; targets?: { datasource: { type: string; uid: string } }[] }[];
    };
    const sources = panels.flatMap(({ datasource, targets = [] }) => [datasource, ...targets.map((target) => target.datasource)]);
    const used = sources.flatMap((source) => (source === undefined ? [] : [`${source.type} ${source.uid}`]));
    const known = datasources.map(({ type, uid }) => `${type} ${uid}`);
    expect(used.length).toBeGreaterThan(10);
    expect(used.filter((each) => !known.includes(each))).toEqual([]);
    const { providers } = parse(await text("compose/grafana/provisioning/dashboards/dashboards.yaml")) as {
      providers: { options: { path: string } }[];
    };
    expect(mountsOf(serviceOf({ services, volumes: {} }, "grafana")).map(({ target }) => target)).toContain(providers[0]?.options.path);
  });
});

describe("the sidecars' files", () => {
  it("have retries in files of their own: daprd knows a file by its first document", async () => {
    const folders = ["development", "neighbour", "production"];
    const names = (
      await Promise.all(folders.map(async (one) => (await readdir(join(root, "dapr", one))).map((name) => `dapr/${one}/${name}`)))
    ).flat();
    const kinds = await Promise.all(
      names.filter((name) => name.endsWith(".yaml")).map(async (name) => (await manifestsIn(name)).map(({ kind }) => kind)),
    );
    const ofRetries = kinds.filter((some) => some.includes("Resiliency"));
    expect(ofRetries).toEqual([["Resiliency"], ["Resiliency"]]);
  });
});

describe("logs", () => {
  it("are read of the containers of this project, and go where Loki is", async () => {
    const { name, services } = composeFile.parse(await readCompose());
    const alloy = await text("compose/config.alloy");
    expect(alloy).toContain(`com.docker.compose.project=${name}"`);
    const [, host = ""] = /url = "http:\/\/([a-z]+):3100\//.exec(alloy) ?? [];
    expect(services[host]?.profiles).toEqual(services["alloy"]?.profiles);
    expect(host).toBe("loki");
  });
});

describe("images", () => {
  it("have a version, the same one everywhere, and ours is built", async () => {
    const [compose, added] = await Promise.all([readCompose(), readCompose(".devcontainer/compose.yaml")]);
    const inCompose = Object.values({ ...compose.services, workspace: added.services["workspace"] }).map((service) => service?.image ?? "");
    const inCluster = await Promise.all(SERVERS.map(async (name) => (await text(`k8s/${name}.yaml`)).match(/image: (\S+)/)?.[1] ?? ""));
    const kind = (await text("k8s/kind.yaml")).match(/image: (\S+)/)?.[1] ?? "";
    const versions = new Map<string, Set<string>>();
    for (const image of [...inCompose, ...inCluster, kind]) {
      const [, name = image, tag = ""] = /^(.+?):([\w.-]+)(@sha256:[0-9a-f]{64})?$/.exec(image) ?? [];
      versions.set(name, (versions.get(name) ?? new Set()).add(tag));
    }
    const loose = [...versions].filter(
      ([name, tags]) => tags.size !== 1 || !(name === "user-service" ? /^development$/ : /\d/).test([...tags].join()),
    );
    expect(loose).toEqual([]);
    expect(versions.size).toBeGreaterThan(10);
    for (const service of Object.values(compose.services))
      expect(service.build).toBe(service.image.startsWith("user-service:") ? "." : undefined);
  });

  it("are of the versions that the tests run on", async () => {
    const { services } = await readCompose();
    expect(services["api-daprd"]?.image).toBe(`daprio/daprd:${pinned["daprd"]?.version}`);
    const [, minor] = /^1\.(\d+)\./.exec(pinned["kube-apiserver"]?.version ?? "") ?? [];
    expect(await text("k8s/kind.yaml")).toContain(`kindest/node:v1.${minor}.`);
    const [node] = (await text(".nvmrc")).trim().split(".");
    expect(await text(".devcontainer/compose.yaml")).toContain(`javascript-node:${node}-`);
  });
});

describe("the development container", () => {
  it("has the members that there are, and runs only the servers", async () => {
    const container = JSON.parse(await text(".devcontainer/devcontainer.json")) as z.infer<typeof devContainer>;
    expect(problemsOf(devContainer, container)).toEqual([]);
    expect(container.runServices).toEqual(SERVERS);
    for (const file of container.dockerComposeFile) expect(await isThere(join(".devcontainer", file))).toBe(true);
    const { services } = await readCompose(".devcontainer/compose.yaml");
    expect(mountsOf(serviceOf({ services, volumes: {} }, container.service))[0]?.target).toBe(container.workspaceFolder);
    for (const forwarded of container.forwardPorts.filter((port) => typeof port === "string"))
      expect(SERVERS).toContain(forwarded.split(":")[0]);
  });

  it("gives npm start an environment that it starts with", async () => {
    const { environment = {} } = serviceOf(await readCompose(".devcontainer/compose.yaml"), "workspace");
    const config = readConfig(environment, "standalone");
    const compose = readConfig(serviceOf(await readCompose(), "worker").environment ?? {}, "worker");
    expect([config.databaseUrl, config.redisUrl, config.smtp]).toEqual([compose.databaseUrl, compose.redisUrl, compose.smtp]);
  });
});

describe("development on kind", () => {
  it("has the members that kind and skaffold know", async () => {
    expect(problemsOf(kindCluster, (await documents("k8s/kind.yaml"))[0])).toEqual([]);
    for (const document of await documents("skaffold.yaml")) expect(problemsOf(skaffoldConfig, document)).toEqual([]);
  });

  it("deploys to the cluster that kind makes, Dapr and the servers first", async () => {
    const [{ dapr, servers, service }, kind] = await Promise.all([skaffoldConfigs(), kindConfig()]);
    for (const { deploy } of [dapr, servers, service]) expect(deploy.kubeContext).toBe(`kind-${kind.name}`);
    expect(service.requires).toEqual([{ configs: [dapr.metadata.name, servers.metadata.name] }]);
    expect(releaseOf(dapr).version).toBe(pinned["daprd"]?.version);
    expect(servers.deploy.kubectl?.hooks.before).toEqual([{ host: { command: ["node", "k8s/prepare.js"] } }]);
  });

  it("deploys what there is, all servers included", async () => {
    const { servers, service } = await skaffoldConfigs();
    const manifests = servers.manifests?.rawYaml ?? [];
    expect(manifests).toEqual([...SERVERS, "node-ports"].map((name) => `k8s/${name}.yaml`));
    const { chartPath, valuesFiles = [] } = releaseOf(service);
    const dockerfiles = service.build?.artifacts.map(({ docker }) => docker.dockerfile) ?? [];
    for (const file of [...manifests, ...valuesFiles, ...dockerfiles, `${chartPath}/Chart.yaml`, "k8s/prepare.js"])
      expect({ file, there: await isThere(file) }).toEqual({ file, there: true });
  });

  it("sets values that the chart has", async () => {
    const chart = parse(await text("charts/user-service/values.yaml")) as object;
    const set = Object.keys(releaseOf((await skaffoldConfigs()).service).setValueTemplates ?? {});
    const given = pathsOf(parse(await text("k8s/values-development.yaml")) as object);
    const valueAt = (path: string): unknown =>
      path.split(".").reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], chart);
    expect([...set, ...given].filter((path) => valueAt(path) === undefined)).toEqual([]);
    expect(set).toEqual(["image.repository", "image.tag"]);
  });

  it("maps to loopback the ports that its Services open", async () => {
    const mappings = (await kindConfig()).nodes.flatMap(({ extraPortMappings }) => extraPortMappings);
    const nodePorts = (await pair("node-ports")).flatMap(({ spec }) =>
      (spec.ports as { nodePort: number }[]).map(({ nodePort }) => nodePort),
    );
    expect(mappings.map(({ containerPort }) => containerPort)).toEqual(nodePorts);
    const { publicUrl } = parse(await text("k8s/values-development.yaml")) as { publicUrl: string };
    expect(mappings[0]?.hostPort).toBe(Number(new URL(publicUrl).port));
  });

  it.each(SERVERS)("has a Service that finds the pods of %s by their labels and ports", async (name) => {
    const [workload, service] = await pair(name);
    expect(service).toMatchObject({ kind: "Service", metadata: { name } });
    const { template, selector } = workload.spec as { template: { metadata: { labels: object } }; selector: { matchLabels: object } };
    expect(selector.matchLabels).toEqual(template.metadata.labels);
    expect(service.spec.selector).toEqual(template.metadata.labels);
    const opened = (service.spec.ports as { port: number }[]).map(({ port }) => port);
    expect(opened).toEqual((containerOf(workload)["ports"] as { containerPort: number }[]).map(({ containerPort }) => containerPort));
  });

  it("starts its servers as compose does", async () => {
    const compose = await readCompose();
    const [[postgres], [redis], [rabbitmq]] = await Promise.all([pair("postgres"), pair("redis"), pair("rabbitmq")]);
    const env = containerOf(postgres)["env"] as { name: string; value: string }[];
    expect(Object.fromEntries(env.map(({ name, value }) => [name, value]))).toEqual(serviceOf(compose, "postgres").environment);
    expect(containerOf(redis)["args"]).toEqual(serviceOf(compose, "redis").command);
    const mounted = (containerOf(rabbitmq)["volumeMounts"] as { mountPath: string; subPath?: string }[]).map(({ mountPath }) => mountPath);
    const inCompose = mountsOf(serviceOf(compose, "rabbitmq"));
    expect(new Set(mounted)).toEqual(new Set(inCompose.map(({ target }) => target)));
    // By the names that prepare.js gives the files.
    const files = (containerOf(rabbitmq)["volumeMounts"] as { mountPath: string; subPath?: string }[]).filter(({ subPath }) => subPath);
    for (const { mountPath, subPath } of files)
      expect(basename(inCompose.find(({ target }) => target === mountPath)?.source ?? "")).toBe(subPath);
  });
});

function containerOf({ spec }: Manifest): Record<string, unknown> {
  return spec.template.spec.containers[0] as Record<string, unknown>;
}

describeWith("daprd", "daprd", (path) => {
  it("knows every flag that compose gives it", async () => {
    const { services } = await readCompose();
    const sidecars = Object.values(services).filter(({ image }) => image.startsWith("daprio/daprd:"));
    expect(sidecars).toHaveLength(2);
    for (const { command = [] } of sidecars) {
      // It reads its flags from the left and ends at the first that it does not know, or here.
      const program = await startProgram({ command: path, args: [...command, "--version"] });
      expect({ exit: await program.exited, output: program.output.trim() }).toEqual({
        exit: { code: 0, signal: null },
        output: pinned["daprd"]?.version,
      });
    }
  });
});

describeWith("helm", "helm", (path) => {
  it("renders the chart with the values for development", async () => {
    const args = ["template", "user-service", "charts/user-service", "-n", "user-service", "-f", "k8s/values-development.yaml"];
    const version = pinned["kube-apiserver"]?.version ?? "";
    const program = await startProgram({ command: path, args: [...args, "--set", "image.tag=abc", "--kube-version", version], cwd: root });
    expect({ exit: await program.exited, output: program.output }).toMatchObject({ exit: { code: 0 } });
    const rendered = parseAllDocuments(program.output).map((document) => document.toJS() as Manifest | null);
    const pods = rendered.find((manifest) => manifest?.kind === "Deployment" && manifest.metadata.name === "user-service");
    expect(pods?.spec.template.spec.containers[0].image).toBe("user-service:abc");
    // What kind maps to this machine finds the same pods as the chart's own Service.
    const [nodePort] = await pair("node-ports");
    const own = rendered.find((manifest) => manifest?.kind === "Service" && manifest.metadata.name === "user-service");
    expect(nodePort.spec.selector).toEqual(own?.spec.selector);
  });
});

/** `a.b` of every leaf. */
function pathsOf(values: object, before = ""): string[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const path = `${before}${key}`;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? pathsOf(value as object, `${path}.`) : [path];
  });
}
