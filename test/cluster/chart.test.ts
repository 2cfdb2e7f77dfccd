/** The chart as Helm renders it: what must hold of it under any values, and what it says to wrong ones. */

import { beforeAll, describe, expect, it } from "@jest/globals";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parse, parseAllDocuments } from "yaml";
import { readConfig } from "#src/config/config";
import type { Setting } from "#src/config/cross-checks";
import { mailFrom } from "#src/config/mail-variables";
import { variables } from "#src/config/variables";
import { LINK_PATH } from "#src/http/link-pages";
import { features } from "#src/main/features";
import { describeWith } from "../kit/requires.ts";
import {
  CHART,
  MATRIX,
  notes,
  ours,
  render,
  run,
  template,
  templateOf,
  type Manifest,
  type Pod,
  type Ran,
  type Rendered,
  type Values,
} from "./chart.ts";
import { LEAST_RIGHTS } from "./userbans.ts";

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const PROCESSES = { api: "user-service", worker: "user-service-worker", controller: "user-service-controller" };
/** Variables whose values nobody may read from a manifest. */
const SECRET = /URL$|TOKEN$|PASSWORD|HEADERS$|BOOTSTRAP/;
const OPEN_URLS = ["PUBLIC_URL"];
const OF_NODE = "NODE_EXTRA_CA_CERTS";

describeWith("helm", "the chart", (helm) => {
  const renderings = new Map<string, Rendered>();
  const rendered = (name: string): Rendered => renderings.get(name) as Rendered;

  beforeAll(async () => {
    for (const [name, values] of Object.entries(MATRIX)) renderings.set(name, await render(helm, values));
  });

  it("is clean to `helm lint --strict`, and of the version that package.json has", async () => {
    const { code, stdout } = await run(helm, ["lint", "--strict", CHART]);
    expect([code, stdout]).toEqual([0, expect.stringContaining("0 chart(s) failed")]);
    const { version } = JSON.parse(await ours("package.json")) as { version: string };
    expect(parse(await ours("charts", "user-service", "Chart.yaml"))).toMatchObject({ version, appVersion: version });
  });

  it("has a schema of just the values there are", async () => {
    const values = parse(await ours("charts", "user-service", "values.yaml")) as Manifest;
    const schema = JSON.parse(await ours("charts", "user-service", "values.schema.json")) as Manifest;
    expect(mismatches(values, schema, schema, "")).toEqual(["/global: not in values.yaml"]);
  });

  it("lets the api read the client secrets of identity providers where there are such, and nobody else", async () => {
    const made = await render(helm, { extraEnv: { OIDC_PROVIDERS: "[]" } });
    const readable = ["user-service", "user-service-worker"].map((app) => made.one("Role", app).rules[0].resourceNames as string[]);
    expect(readable.map((names) => names.includes("oidc-client-secrets"))).toEqual([true, false]);
    const allowed = made.all("Configuration").map(({ spec }) => spec.secrets.scopes[0].allowedSecrets as string[] | undefined);
    expect(allowed.map((names) => names?.includes("oidc-client-secrets") ?? false)).toEqual([true, false, false]);
  });

  it("gives the api the trusted documents of GraphQL where they are named, read-only, and nobody else", async () => {
    const made = await render(helm, { graphql: { introspection: true, documents: "our-documents" } });
    const pods = made.all("Deployment").map(({ metadata, spec }) => ({ app: metadata.name as string, ...spec.template.spec }));
    const [api, ...others] = pods.toSorted(({ app }) => (app === PROCESSES.api ? -1 : 1));
    const { env, volumeMounts } = api.containers[0];
    expect(env).toContainEqual({ name: "GRAPHQL_INTROSPECTION", value: "on" });
    expect(env).toContainEqual({ name: "GRAPHQL_DOCUMENTS", value: "/etc/user-service/graphql/documents.json" });
    expect(volumeMounts).toEqual([{ name: "graphql-documents", mountPath: "/etc/user-service/graphql", readOnly: true }]);
    expect(api.volumes).toContainEqual({
      name: "graphql-documents",
      projected: { sources: [{ configMap: { name: "our-documents", items: [{ key: "documents.json", path: "documents.json" }] } }] },
    });
    expect(others.length).toBeGreaterThan(1);
    expect(JSON.stringify(others)).not.toContain("our-documents");
    expect(JSON.stringify((await render(helm, {})).all("Deployment"))).not.toContain("GRAPHQL_DOCUMENTS");
  });

  it("has processes and sidecars trust authorities of one's own where they are named", async () => {
    const made = await render(helm, { caCertificates: "our-authorities" });
    const volume = {
      name: "ca-certificates",
      projected: { sources: [{ configMap: { name: "our-authorities", items: [{ key: "ca.crt", path: "ca.crt" }] } }] },
    };
    for (const { owner, spec, containers, annotations } of made.pods().filter((pod) => pod.owner !== "Pod/user-service-test")) {
      expect([owner, spec.volumes]).toEqual([owner, expect.arrayContaining([volume])]);
      expect(containers[0].env).toContainEqual({ name: "NODE_EXTRA_CA_CERTS", value: "/etc/user-service/ca/ca.crt" });
      expect(containers[0].volumeMounts).toContainEqual({ name: "ca-certificates", mountPath: "/etc/user-service/ca", readOnly: true });
      if (annotations["dapr.io/enabled"] === "false") continue;
      expect(annotations["dapr.io/env"]).toBe("SSL_CERT_FILE=/etc/user-service/ca/ca.crt");
      expect(annotations["dapr.io/volume-mounts"]?.split(",")).toContain("ca-certificates:/etc/user-service/ca");
    }
    expect(JSON.stringify((await render(helm, {})).objects)).not.toMatch(/SSL_CERT|EXTRA_CA|ca-certificates/);
  });

  describe.each(Object.keys(MATRIX))("with the values %s", (name) => {
    it("has containers that Pod Security restricted admits, on a read-only root, with resources", () => {
      for (const { owner, spec, containers } of rendered(name).pods()) {
        expect([owner, spec]).toEqual([owner, expect.objectContaining({ automountServiceAccountToken: false, enableServiceLinks: false })]);
        // The injected sidecar says nothing of seccomp by itself.
        expect(spec.securityContext).toEqual({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
        expect((spec.volumes ?? []).filter((volume: Manifest) => volume.projected === undefined)).toEqual([]);
        for (const { securityContext, resources } of containers) {
          expect(securityContext).toEqual({
            runAsNonRoot: true,
            runAsUser: 1000,
            runAsGroup: 1000,
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
            seccompProfile: { type: "RuntimeDefault" },
          });
          expect(resources).toMatchObject({
            requests: { cpu: expect.anything(), memory: expect.anything() },
            limits: { memory: expect.anything() },
          });
        }
      }
    });

    it("names one version of one image everywhere", () => {
      const images = new Set(
        rendered(name)
          .pods()
          .flatMap(({ containers }) => containers.map(({ image }) => image as string)),
      );
      expect([...images]).toEqual([expect.stringMatching(/^[^@]+(:\d[^:]*|@sha256:[0-9a-f]{64})$/)]);
    });

    it("has a sidecar beside each process that stays, and beside no other", () => {
      for (const { owner, labels, annotations, containers } of rendered(name).pods()) {
        const component = labels["app.kubernetes.io/component"] as keyof typeof PROCESSES;
        const stays = owner.startsWith("Deployment/");
        expect([owner, annotations["dapr.io/enabled"], annotations["dapr.io/app-id"]]).toEqual([
          owner,
          String(stays),
          PROCESSES[component],
        ]);
        if (!stays) continue;
        expect(containers).toHaveLength(1);
        expect(Object.keys(containers[0])).toEqual(expect.arrayContaining(["startupProbe", "livenessProbe", "readinessProbe"]));
        expect(Object.values(annotations).filter((value) => typeof value !== "string")).toEqual([]);
      }
    });

    it("lets a process end before its sidecar, and the sidecar before the pod is cut", () => {
      for (const { annotations, spec, containers } of rendered(name).pods()) {
        if (annotations["dapr.io/enabled"] === "false") continue;
        const preStop = (containers[0].lifecycle?.preStop.sleep.seconds as number | undefined) ?? 0;
        const block = Number(/^(\d+)s$/.exec(annotations["dapr.io/block-shutdown-duration"] ?? "")?.[1]);
        // `STOP_GRACE_MS` of src/main/run.ts is 15 s; daprd needs 5 s more for handlers that run.
        expect(block).toBeGreaterThanOrEqual(preStop + 15);
        expect(spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(block + 5);
      }
    });

    it("gives every process just variables that it knows and is content with, and no secret in plain text", () => {
      for (const one of rendered(name).pods()) {
        if (one.labels["app.kubernetes.io/component"] === "test") continue;
        const env = one.containers[0].env as Manifest[];
        const names = env.map((entry) => entry.name as string);
        expect(names.filter((given, index) => names.indexOf(given) !== index)).toEqual([]);
        expect(names.filter((given) => !(given in variables.shape) && given !== OF_NODE)).toEqual([]);
        const plain = env.filter(({ value }) => value !== undefined).map((entry) => entry.name as string);
        expect(plain.filter((given) => SECRET.test(given) && !OPEN_URLS.includes(given))).toEqual([]);
        readConfig({ NODE_ENV: "production", ...filledIn(env) }, one.labels["app.kubernetes.io/component"] as Setting);
      }
    });

    it("gives the account's token to the one container that needs it, and an account of its own to each process", () => {
      for (const { owner, spec, annotations, containers } of rendered(name).pods()) {
        const [, account] = owner.split("/");
        const mounts = (containers[0].volumeMounts ?? [])
          .map((mount: Manifest) => mount.mountPath as string)
          .filter((path: string) => path.startsWith("/var/run/secrets"));
        const mountsOfDaprd = (annotations["dapr.io/volume-mounts"] ?? "").split(",").map((mount) => mount.split(":")[1]);
        const forDaprd = mountsOfDaprd.find((path) => path?.startsWith("/var/run/secrets"));
        expect([owner, mounts, forDaprd, spec.serviceAccountName]).toEqual(
          annotations["dapr.io/enabled"] === "false"
            ? [owner, [], undefined, undefined]
            : account === "user-service-controller"
              ? [owner, [SERVICE_ACCOUNT], undefined, account]
              : [owner, [], SERVICE_ACCOUNT, account],
        );
        if (spec.serviceAccountName !== undefined)
          expect(rendered(name).one("ServiceAccount", spec.serviceAccountName)).toMatchObject({ automountServiceAccountToken: false });
      }
    });

    it("lets sidecars read the Secrets that their components name, and no other", () => {
      const named = new Map(["user-service", "user-service-worker"].map((app) => [app, new Set<string>()]));
      for (const secrets of named.values()) secrets.add("signing-keys");
      for (const { scopes, spec } of rendered(name).all("Component")) {
        const secrets = spec.metadata.flatMap(({ secretKeyRef }: Manifest) => (secretKeyRef === undefined ? [] : [secretKeyRef.name]));
        for (const app of scopes) secrets.forEach((secret: string) => named.get(app)?.add(secret));
      }
      for (const [app, secrets] of named) {
        const { rules } = rendered(name).one("Role", app);
        expect([app, rules.length, rules[0]]).toEqual([app, 1, expect.objectContaining({ resources: ["secrets"], verbs: ["get"] })]);
        expect(new Set(rules[0].resourceNames)).toEqual(secrets);
        expect(rules[0].resourceNames).not.toContain("");
      }
      const scoped = rendered(name)
        .all("Configuration")
        .map(({ spec }) => spec.secrets.scopes[0]);
      expect(scoped.map(({ defaultAccess }) => defaultAccess as string)).toEqual(["deny", "deny", "deny"]);
      const allowed = scoped.map(({ allowedSecrets }) => new Set(allowedSecrets));
      expect(allowed).toEqual([named.get("user-service"), named.get("user-service-worker"), new Set()]);
    });

    it("selects what it means to select", () => {
      const pods = rendered(name).pods();
      const chosen = ({ matchLabels, matchExpressions = [] }: Manifest): string[] =>
        pods
          .filter((one) => matches(one, matchLabels) && matchExpressions.every((rule: Manifest) => isNotIn(one, rule)))
          .map(({ owner }) => owner);
      for (const { metadata, spec } of rendered(name).all("PodDisruptionBudget"))
        expect(chosen(spec.selector)).toEqual([`Deployment/${metadata.name}`]);
      for (const { metadata, spec } of rendered(name).all("Deployment"))
        expect(chosen(spec.selector)).toEqual([`Deployment/${metadata.name}`]);
      expect(chosen({ matchLabels: rendered(name).one("Service", "user-service").spec.selector })).toEqual(["Deployment/user-service"]);
      const everyProcess = rendered(name)
        .all("Deployment")
        .map(({ metadata }) => `Deployment/${metadata.name}`);
      expect(chosen({ matchLabels: rendered(name).one("Service", "user-service-metrics").spec.selector })).toEqual(everyProcess);
      const closed = rendered(name)
        .all("NetworkPolicy")
        .flatMap(({ spec }) => chosen(spec.podSelector));
      if (closed.length > 0) expect(closed.sort()).toEqual(pods.map(({ owner }) => owner).sort());
    });

    it("opens a sidecar to no port but other sidecars' and the figures'", () => {
      const rules = rendered(name)
        .all("NetworkPolicy")
        .flatMap(({ metadata, spec }) => (spec.ingress ?? []).map((rule: Manifest) => ({ policy: metadata.name, ...rule })));
      for (const { policy, ports, from } of rules)
        for (const { port } of ports) {
          expect(policy === "user-service" ? [3002, 9090, 50002] : [3002, 9090]).toContain(port);
          if (port !== 3002) expect(from.length).toBeGreaterThan(0);
        }
      const callers = rules
        .filter(({ ports }) => ports[0].port === 50002)
        .map(({ from }) => from[0].podSelector.matchLabels["app.kubernetes.io/component"]);
      expect(callers).toEqual(rules.length > 0 ? ["controller"] : []);
    });
  });

  it("gives the controller's account the least rights that the controller was tried with", () => {
    const least = [LEAST_RIGHTS.lease, LEAST_RIGHTS.userBans].map((yaml) => parseAllDocuments(yaml)[0]?.toJS() as Manifest);
    const chart = rendered("default");
    expect(chart.one("Role", "user-service-controller").rules).toEqual(least[0].rules);
    expect(chart.one("ClusterRole", "user-service-controller.users").rules).toEqual(least[1].rules);
    const bound = [...chart.all("RoleBinding"), ...chart.all("ClusterRoleBinding")].map(
      ({ subjects, roleRef }) => `${subjects[0].namespace}/${subjects[0].name}: ${roleRef.kind} ${roleRef.name}`,
    );
    expect(bound.sort()).toEqual([
      "users/user-service-controller: ClusterRole user-service-controller.users",
      "users/user-service-controller: Role user-service-controller",
      "users/user-service-worker: Role user-service-worker",
      "users/user-service: Role user-service",
    ]);
  });

  it("is the source of dapr/production", async () => {
    const files = ["access-control", "pubsub", "resiliency", "secrets", "state"];
    const texts = await Promise.all(files.map((file) => ours("dapr", "production", `${file}.yaml`)));
    const written = texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Manifest));
    const made = (await render(helm, {}, "default")).objects.filter(({ apiVersion }) => apiVersion === "dapr.io/v1alpha1");
    const byName = (objects: readonly Manifest[]): Record<string, unknown> =>
      Object.fromEntries(objects.map(({ metadata, ...rest }) => [`${rest.kind}/${metadata.name}`, rest]));
    expect(byName(written)).toEqual(byName(made));
  });

  it("has sidecars sign in to Redis as whom it is told, over TLS", () => {
    const { metadata } = rendered("full").one("Component", "state").spec;
    expect(metadata).toEqual(
      expect.arrayContaining([
        { name: "redisUsername", value: "people" },
        { name: "enableTLS", value: "true" },
      ]),
    );
  });

  it("lets nobody invoke it but the controller of its own namespace and trust domain", () => {
    const { accessControl } = rendered("full").one("Configuration", "user-service").spec;
    expect(accessControl).toMatchObject({ defaultAction: "deny", trustDomain: "people" });
    expect(accessControl.policies).toEqual([
      expect.objectContaining({ appId: "user-service-controller", namespace: "users", trustDomain: "people", defaultAction: "deny" }),
    ]);
  });

  it("lets neighbours that are named ask of people, and nothing else", async () => {
    const made = await render(helm, { dapr: { neighbours: ["social-service"] } }, "users");
    const policies = made.one("Configuration", "user-service").spec.accessControl.policies as readonly Manifest[];
    expect(policies).toHaveLength(2);
    expect(policies[1]).toEqual({
      appId: "social-service",
      namespace: "users",
      trustDomain: "public",
      defaultAction: "deny",
      operations: ["/internal/users/batch", "/internal/relationships"].map((name) => ({ name, httpVerb: ["POST"], action: "allow" })),
    });
  });

  it("migrates before anything else, tries thrice, and leaves what failed to be read", () => {
    const { metadata, spec } = rendered("full").one("Job", "user-service-migrate");
    expect(metadata.annotations).toEqual({
      "helm.sh/hook": "pre-install,pre-upgrade",
      "helm.sh/hook-delete-policy": "before-hook-creation",
    });
    expect(spec).toMatchObject({ backoffLimit: 2, activeDeadlineSeconds: 240, template: { spec: { restartPolicy: "Never" } } });
    const { env } = spec.template.spec.containers[0];
    expect(env).toContainEqual({
      name: "DATABASE_DIRECT_URL",
      valueFrom: { secretKeyRef: { name: "user-service-database", key: "direct-url" } },
    });
    expect(env).toContainEqual({ name: "BOOTSTRAP_ADMIN_PASSWORD", valueFrom: { secretKeyRef: { name: "first-admin", key: "password" } } });
  });

  it("routes clients' paths and nothing else", () => {
    const routes = features.flatMap((feature) => feature.routes ?? []).map(({ path }) => path);
    const served = [...routes, LINK_PATH, "/graphql", "/socket.io"].map((path) => `/${path.split("/")[1]}`);
    const paths = ({ spec }: Manifest): string[] =>
      spec.rules.flatMap(({ http }: Manifest) => http.paths.map((one: Manifest) => one.path as string));
    for (const name of ["full", "ingress by publicUrl"]) {
      const ingress = rendered(name).one("Ingress", "user-service");
      expect(new Set(paths(ingress))).toEqual(new Set(served));
      expect(ingress.spec.rules[0].host).toBe("id.example.com");
    }
    expect(rendered("default").all("Ingress")).toEqual([]);
  });

  it("takes no pod away before its successor is ready, however many there are", () => {
    for (const name of ["default", "one pod of each"])
      for (const { spec } of rendered(name).all("Deployment")) expect(spec.strategy.rollingUpdate.maxUnavailable).toBe(0);
    const scaled = rendered("default").one("Deployment", "user-service").spec;
    const [measured] = rendered("default").one("HorizontalPodAutoscaler", "user-service").spec.metrics;
    expect([scaled.replicas, measured.containerResource.container]).toEqual([undefined, scaled.template.spec.containers[0].name]);
    expect(rendered("one pod of each").one("Deployment", "user-service").spec.replicas).toBe(1);
  });

  it("asks, as `helm test` does, whether the Service is ready and how its parts are, and says it in one line", async () => {
    const { command } = rendered("default").one("Pod", "user-service-test").spec.containers[0];
    expect(command.at(-1)).toBe("http://user-service");
    const answers: Record<string, object> = {
      "/health/ready": { status: "ready" },
      "/health/services": { status: "degraded", services: { database: { state: "up" }, events: { state: "degraded", detail: "3 wait" } } },
    };
    const server = createServer((request, response) =>
      response.setHeader("connection", "close").end(JSON.stringify(answers[request.url ?? ""])),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ask = (): Promise<Ran> => run(process.execPath, [...command.slice(1, -1), url]);
    const said = `${url} is ready, its parts are degraded: database up, events degraded (3 wait)\n`;
    expect(await ask()).toMatchObject({ code: 0, stdout: said, stderr: "" });
    answers["/health/services"] = { status: "down", services: { database: { state: "down" } } };
    expect(await ask()).toMatchObject({ code: 1, stdout: `${url} is ready, its parts are down: database down\n` });
    await new Promise((resolve) => server.close(resolve));
    expect(await ask()).toMatchObject({ code: 1, stdout: expect.stringMatching(/^http:\S+ does not answer: .*ECONNREFUSED.*\n$/) });
  });

  it("holds requesters to their names by the release that has the controller alone", () => {
    const policies = (name: string): string[] =>
      rendered(name)
        .objects.filter(({ apiVersion }) => apiVersion.startsWith("admissionregistration.k8s.io/"))
        .map(({ kind }) => kind as string);
    expect(policies("default")).toEqual(["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]);
    expect(policies("no policy of requesters")).toEqual([]);
    expect(policies("bare")).toEqual([]);
  });

  it("brings the CRD as the controller's tests have it, to stay at uninstall", async () => {
    const crd = parse(await ours("charts", "user-service", "crds", "userbans.yaml")) as Manifest;
    expect(rendered("default").all("CustomResourceDefinition")).toEqual([crd]);
    expect(crd.metadata.annotations).toEqual({ "helm.sh/resource-policy": "keep" });
    expect(rendered("bare").all("CustomResourceDefinition")).toEqual([]);
  });

  it("refuses values of a wrong kind, and says of each at once which and why", async () => {
    const wrong: [Values, string][] = [
      [{ "api.replica": 3 }, "at '/api': additional properties 'replica' not allowed"],
      [{ "worker.replicas": "two" }, "at '/worker/replicas': got string, want integer"],
      [{ "ingress.enabled": 1 }, "at '/ingress/enabled': got number, want boolean"],
      [{ trustedProxyHops: 17 }, "at '/trustedProxyHops': maximum: got 17, want 16"],
      [{ logLevel: "loud" }, "at '/logLevel': value must be one of 'debug', 'info', 'warn', 'error'"],
      [{ publicUrl: "id.example.com" }, "at '/publicUrl': 'id.example.com' does not match"],
      [{ corsOrigins: ["https://a.example.com/"] }, "at '/corsOrigins/0': 'https://a.example.com/' does not match"],
      [{ "api.resources.limits.memory": "lots" }, "at '/api/resources/limits/memory': 'lots' does not match"],
      [{ "worker.resources.limits.memory": "1TB" }, "at '/worker/resources/limits/memory': '1TB' does not match"],
      [{ "worker.resources.requests.cpu": -1 }, "at '/worker/resources/requests/cpu': minimum: got -1, want 0"],
      [{ "mail.from": "postmaster" }, "at '/mail/from': 'postmaster' does not match"],
      [{ "secrets.database": "My_Secret" }, "at '/secrets/database': 'My_Secret' does not match"],
      [{ "secrets.broker": "" }, "at '/secrets/broker': '' does not match"],
      [{ "dapr.resources.limits": null }, "at '/dapr/resources': missing property 'limits'"],
    ];
    const { code, stderr } = await template(helm, Object.assign({}, ...wrong.map(([values]) => values)) as Values);
    expect([code, wrong.map(([, message]) => message).filter((message) => !stderr.includes(message))]).toEqual([1, []]);
    // Beside them only the objects that hold them.
    expect(stderr.match(/^ *- at '[^']*': (?!validation failed)/gm)).toHaveLength(wrong.length);
  });

  it("takes quantities as Kubernetes does", async () => {
    const requests = { cpu: 0.5, memory: "1T" };
    const limits = { cpu: "1.5", memory: "1e9" };
    const made = await render(helm, { "api.resources": { requests, limits }, "worker.resources.limits.memory": "2Ti" });
    expect(made.one("Deployment", "user-service").spec.template.spec.containers[0].resources).toEqual({ requests, limits });
    for (const memory of [1e9, 1_073_741_824, "1E", ".5Gi", "500000000000m"])
      await render(helm, { "dapr.resources.limits.memory": memory });
  });

  it("takes for a sender what the service takes", async () => {
    const schema = JSON.parse(await ours("charts", "user-service", "values.schema.json")) as Manifest;
    const pattern = new RegExp(schema.properties.mail.properties.from.pattern as string);
    const right = [
      "ann@example.com",
      " a.n+n@b.example.com ",
      "Ann <ann@example.com>",
      '"Ann, B." <o\'hara@example.com>',
      "<ann@example.com>",
    ];
    const wrong = ["ann", "ann@localhost", "Ann ann@example.com", "Ann <ann@example.com", "A <B> <ann@example.com>", "a..b@example.com"];
    const others = [
      ".a@example.com",
      "a.@example.com",
      "a'@example.com",
      "a@-b.com",
      "A\tnn <a@example.com>",
      "a@b.c",
      "ann@example.com, b@c.com",
    ];
    const given = [...right, ...wrong, ...others];
    expect(given.filter((from) => pattern.test(from))).toEqual(right);
    expect(given.filter((from) => mailFrom.safeParse(from).success)).toEqual(right);
    for (const from of right) await render(helm, { "mail.from": from });
  });

  it("refuses what is lacking or does not go together, in one line and without a secret", async () => {
    const values = {
      publicUrl: "",
      "mail.from": "",
      "image.tag": "latest",
      "api.autoscaling.minReplicas": 9,
      extraEnv: { REDIS_URL: "redis://:pw@redis", PORT: "80", BCRYPT_COST: "12", SECRET_SIGNING_KEYS: "pw@", RATE_LIMITS: "off" },
    };
    const { code, stderr } = await template(helm, values);
    expect(code).toBe(1);
    expect(
      stderr
        .split("\n")
        .find((line) => line.startsWith("Error"))
        ?.split(/ \| |checks.yaml:\d+:\d+\): /)
        .slice(1),
    ).toEqual([
      expect.stringContaining("publicUrl must be set"),
      expect.stringContaining("mail.from must be set"),
      expect.stringContaining("image.tag must name one version"),
      "api.autoscaling.minReplicas (9) must not be above maxReplicas (6)",
      "extraEnv.PORT is not to be set here: it is fixed",
      "extraEnv.REDIS_URL is not to be set here: use secrets.redis",
      "extraEnv.SECRET_SIGNING_KEYS is not to be set here: it is a secret, which sidecars read from Secrets",
      "extraEnv.RATE_LIMITS must not be off: the image refuses to start so",
    ]);
    expect(stderr).not.toContain("pw@");
  });

  it("refuses every variable that it sets itself", async () => {
    const set = new Set(
      ["default", "full"].flatMap((name) =>
        rendered(name)
          .pods()
          .flatMap((one) => envNames(one)),
      ),
    );
    const own = [...set].filter((name) => !["BCRYPT_COST", "REFRESH_REUSE_GRACE_SECONDS"].includes(name));
    const { stderr } = await template(helm, { extraEnv: Object.fromEntries(own.map((name) => [name, "x"])) });
    expect(own.filter((name) => !stderr.includes(`extraEnv.${name} is not to be set here`))).toEqual([]);
  });

  it("refuses labels and annotations that it sets itself, one line for each", async () => {
    const pods = ["default", "full"].flatMap((name) => rendered(name).pods());
    const keys = (of: "labels" | "annotations", theirs: string): string[] =>
      [...new Set(pods.flatMap((one) => Object.keys(one[of])))].filter((key) => !key.startsWith("helm.sh/hook") && key !== theirs);
    const own = { podLabels: keys("labels", "team"), podAnnotations: keys("annotations", "example.com/c") };
    const values = Object.fromEntries(Object.entries(own).map(([name, of]) => [name, Object.fromEntries(of.map((key) => [key, "x"]))]));
    const limits = { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "1", memory: "1Gi" } };
    const { stderr } = await template(helm, {
      ...values,
      caCertificates: "our-authorities",
      "dapr.resources": limits,
      "metrics.serviceMonitor.labels": { "app.kubernetes.io/name": "x" },
    });
    const said = [...stderr.matchAll(/(\S+) must not have (\S+): the chart sets it/g)].map(([, name, key]) => `${name} ${key}`);
    const expected = Object.entries(own).flatMap(([name, of]) => of.map((key) => `${name} ${key}`));
    expect(said.sort()).toEqual([...expected, "metrics.serviceMonitor.labels app.kubernetes.io/name"].sort());
    const others = { "app.kubernetes.io/created-by": "ann", "dapr.io/log-api-calls": "true", "prometheus.io/scheme": "http" };
    expect(await template(helm, { podLabels: others, podAnnotations: others })).toMatchObject({ code: 0 });
  });

  it("says which neighbours it lets ask of people and does not let in", async () => {
    const line = "networkPolicy.invokersFrom is empty: social-service, chat-service cannot reach the service.";
    const neighbours: Values = { "dapr.neighbours": ["social-service", "chat-service"] };
    expect(await notes(helm, neighbours)).toContain(line);
    const wellWithIt: Values[] = [
      {},
      { ...neighbours, "networkPolicy.enabled": false },
      { ...neighbours, "networkPolicy.invokersFrom": [{ podSelector: {} }] },
    ];
    for (const values of wellWithIt) expect(await notes(helm, values)).not.toContain("invokersFrom");
  });

  it("says how to delete what an uninstall leaves: what hooks and controllers made", async () => {
    const hooks = rendered("default").objects.filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] !== undefined);
    const left = hooks.map(({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name}`);
    const lease = rendered("default").one("Role", "user-service-controller").rules[1].resourceNames[0] as string;
    const command = `kubectl -n users delete --ignore-not-found ${[...left.sort(), `lease/${lease}`].join(" ")}`;
    expect(await notes(helm)).toContain(command);
    expect(await ours("charts", "user-service", "README.md")).toContain(command.replace("-n", "--namespace"));
  });

  it("keeps names that YAML would take for something else", async () => {
    const kinds = async (names: readonly string[], version: "1.1" | "1.2"): Promise<unknown[]> => {
      const [release = "", namespace = "", database, redis, broker, mail, firstAdmin, dapr, app, headers] = names;
      const values = {
        secrets: { database, redis, broker, mail, firstAdmin },
        tokens: { daprApi: { existingSecret: dapr }, appApi: { existingSecret: app } },
        tracing: { otlpEndpoint: "http://collector:4318", sampler: "always_on", sampledShare: 1, headersSecret: headers },
        dapr: { neighbours: [names[10]], trustDomain: names[11] },
        ingress: { enabled: true, className: names[12], tlsSecret: names[13] },
        extraEnv: { OIDC_PROVIDERS: "[]" },
        "graphql.documents": names[14],
        "networkPolicy.metricsNamespaces": [names[15]],
        "metrics.serviceMonitor.enabled": true,
        "image.pullSecrets": [{ name: names[16] }],
        priorityClassName: names[17],
        caCertificates: names[19],
        "controller.clusterName": names[18],
      };
      const { code, stdout, stderr } = await templateOf(helm, { release, namespace }, values);
      expect([code, stderr]).toEqual([0, ""]);
      return parseAllDocuments(stdout, { version }).map((document) => kindsIn(document.toJS()));
    };
    const odd = ["1234", "5678", "123", "null", "true", "1e3", "0x1f", "false", "0o17", "1.5", "12", "no", "yes", "on", "off", "00"];
    const all = [...odd, "n", "1-1-1", "0", "00-1"];
    const usual = all.map((_, index) => `name-${index}`);
    for (const version of ["1.1", "1.2"] as const) expect(await kinds(all, version)).toEqual(await kinds(usual, version));
  });

  it("tells in its README which Secrets each pod may read", async () => {
    const text = await ours("charts", "user-service", "README.md");
    const names = { "secrets.broker": "user-service-broker", "secrets.redis": "user-service-redis", "signing-keys": "signing-keys" };
    for (const [component, app] of Object.entries(PROCESSES)) {
      const row = new RegExp(`^\\| ${component} +\\|([^|]+)\\|`, "m").exec(text)?.[1] ?? "";
      const told = [...row.matchAll(/`([^`]+)`/g)].map(([, name]) => names[name as keyof typeof names]);
      const role = rendered("default")
        .all("Role")
        .find(({ metadata, rules }) => metadata.name === app && rules[0].resources[0] === "secrets");
      expect([component, told]).toEqual([component, role?.rules[0].resourceNames ?? []]);
    }
  });
});

/** The same with the kind of each value in its place. */
function kindsIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => kindsIn(one));
  if (value === null || typeof value !== "object") return value === null ? "null" : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, kindsIn(one)]));
}

function envNames({ containers }: Pod): string[] {
  return (containers[0].env ?? []).map((entry: Manifest) => entry.name as string);
}

/** As the kubelet would, with Secrets that are right. */
function filledIn(env: readonly Manifest[]): Record<string, string> {
  const right: Record<string, string> = {
    url: "postgres://u:p@db:5432/videa_mozi_users",
    "direct-url": "postgres://u:p@db:5432/videa_mozi_users",
    "smtp-url": "smtp://u:p@mail:587",
    token: "0123456789abcdef",
    email: "ann@example.com",
    password: "a long password",
  };
  return Object.fromEntries(
    env.map(({ name, value, valueFrom }) => {
      const key = valueFrom?.secretKeyRef?.key as string | undefined;
      return [name, value ?? (name === "REDIS_URL" ? "redis://redis:6379" : right[key ?? ""]) ?? "users"];
    }),
  );
}

function matches({ labels }: Pod, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

function isNotIn({ labels }: Pod, { key, operator, values }: Manifest): boolean {
  if (operator !== "NotIn") throw new Error(`${operator} is not looked at here`);
  return !values.includes(labels[key]);
}

/** What one of the two has and the other lacks; free maps and lists are what the user makes of them. */
function mismatches(values: Manifest, schema: Manifest, root: Manifest, at: string): string[] {
  const { properties, additionalProperties } = schema.$ref === undefined ? schema : root.definitions[schema.$ref.split("/").at(-1)];
  if (properties === undefined || values === null || typeof values !== "object" || Array.isArray(values)) return [];
  if (additionalProperties !== false) return [`${at}: takes anything`];
  const named = at.endsWith("requests") || at.endsWith("limits") ? Object.keys(values) : Object.keys(properties);
  return [
    ...Object.keys(values)
      .filter((name) => !(name in properties))
      .map((name) => `${at}/${name}: not in the schema`),
    ...named.filter((name) => !(name in values)).map((name) => `${at}/${name}: not in values.yaml`),
    ...Object.keys(values)
      .filter((name) => name in properties)
      .flatMap((name) => mismatches(values[name], properties[name], root, `${at}/${name}`)),
  ];
}
