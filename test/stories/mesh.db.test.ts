/** Another app in the mesh cannot forge an event or an internal call: tried through its own daprd, without and with access control. */

import { chmod, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { request, type OutgoingHttpHeaders } from "node:http";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { internalRoute } from "#src/http/internal-route";
import { createServer } from "#src/http/server";
import { createSidecarApp } from "#src/http/sidecar-app";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import type { Log } from "#src/kernel/log";
import { Secret } from "#src/kernel/secret";
import { createDaprSidecar, type DaprSidecar } from "#src/sidecar/dapr/dapr-sidecar";
import { eventRoute } from "#src/sidecar/dapr/event-routes";
import type { CloudEvent } from "#src/sidecar/port";
import { createMesh, startDaprd, type Daprd } from "../kit/daprd.ts";
import type { LogLine } from "../kit/http-app.ts";
import { serverPort, serverPorts } from "../kit/ports.ts";
import { startProgram } from "../kit/process.ts";
import { describeWithAll } from "../kit/requires.ts";
import { runFolder } from "../kit/run-folder.ts";
import { until } from "../kit/until.ts";

const APP_TOKEN = "what-daprd-shows-the-app";
const API_TOKEN = "what-the-app-shows-daprd";
const VICTIM = "user-service";
const CONTROLLER = "user-service-controller";
const never = new AbortController().signal;

/** `Connection` names what a proxy must not pass on (RFC 9110, 7.6.1), and our own daprd obeys: what it added itself is dropped. */
const STRIPPED = {
  connection: "dapr-caller-app-id, dapr-callee-app-id, dapr-caller-namespace, forwarded, x-forwarded-for, x-forwarded-host, traceparent",
};
const FORGED = { "dapr-caller-app-id": CONTROLLER };
const EVENT = { "content-type": "application/cloudevents+json", pubsubname: "pubsub" };

interface Attack {
  readonly what: string;
  readonly method?: string;
  /** Behind `…/method/`, or whole when it has a slash in front. */
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
}

const ATTACKS: readonly Attack[] = [
  { what: "an event", path: "events/users.v1", headers: EVENT },
  { what: "an event, our name claimed", path: "events/users.v1", headers: { ...EVENT, "dapr-caller-app-id": VICTIM } },
  { what: "an event, no name claimed", path: "events/users.v1", headers: { ...EVENT, "dapr-caller-app-id": "" } },
  { what: "an event, its sender stripped", path: "events/users.v1", headers: { ...EVENT, ...STRIPPED } },
  { what: "an event, stripped, by header", path: "/events/users.v1", headers: { ...EVENT, ...STRIPPED, "dapr-app-id": VICTIM } },
  { what: "an event under a guessed part", path: `events/${"0".repeat(32)}/users.v1`, headers: { ...EVENT, ...STRIPPED } },
  { what: "the subscriptions", method: "GET", path: "dapr/subscribe" },
  { what: "the subscriptions, stripped", method: "GET", path: "dapr/subscribe", headers: STRIPPED },
  { what: "the subscriptions, stripped, for us", method: "GET", path: "/dapr/subscribe", headers: { ...STRIPPED, "dapr-app-id": VICTIM } },
  {
    what: "the subscriptions, with our id beside an empty one",
    method: "GET",
    path: "dapr/subscribe",
    headers: { ...STRIPPED, "dapr-app-id": ["", VICTIM] },
  },
  {
    what: "the subscriptions, with our id as a password",
    method: "GET",
    path: "/dapr/subscribe",
    headers: { ...STRIPPED, authorization: `Basic ${Buffer.from(`dapr-app-id:${VICTIM}`).toString("base64")}` },
  },
  { what: "a restriction", path: "internal/restrictions" },
  { what: "a restriction, by PUT", method: "PUT", path: "internal/restrictions" },
  { what: "a restriction, the controller's name claimed", path: "internal/restrictions", headers: FORGED },
  { what: "the name claimed twice", path: "internal/restrictions", headers: { "dapr-caller-app-id": [CONTROLLER, CONTROLLER] } },
  { what: "the name claimed in a list", path: "internal/restrictions", headers: { "dapr-caller-app-id": `${CONTROLLER}, ` } },
  { what: "the sender stripped", path: "internal/restrictions", headers: STRIPPED },
  { what: "the sender stripped, the name claimed", path: "internal/restrictions", headers: { ...STRIPPED, ...FORGED } },
  { what: "a namespace claimed", path: "internal/restrictions", headers: { ...FORGED, "dapr-caller-namespace": "default" } },
  { what: "a guessed token", path: "internal/restrictions", headers: { ...FORGED, "dapr-api-token": APP_TOKEN } },
  { what: "another method", method: "GET", path: "internal/restrictions", headers: FORGED },
  { what: "HEAD", method: "HEAD", path: "internal/restrictions", headers: FORGED },
  { what: "OPTIONS", method: "OPTIONS", path: "internal/restrictions", headers: FORGED },
  { what: "TRACE", method: "TRACE", path: "internal/restrictions", headers: FORGED },
  { what: "a method that is none", method: "PROPFIND", path: "internal/restrictions", headers: FORGED },
  ...[
    "public%2F..%2Finternal/restrictions",
    "public%2F..%2Finternal%2Frestrictions",
    "public/../internal/restrictions",
    "public/%2e%2e/internal/restrictions",
    "%2e%2e/internal/restrictions",
    "internal%2frestrictions",
    "%2Finternal%2Frestrictions",
    "/v1.0/invoke/user-service/method//internal/restrictions",
    "internal//restrictions",
    "internal/./restrictions",
    "%252e%252e/internal/restrictions",
    "internal%252frestrictions",
    "internal%23/restrictions",
    "internal/restrictions%23",
    "internal%3Fa=b/restrictions",
    "internal/restrictions?a=b",
    "internal/restrictions%3Fa=b",
    "internal/restrictions%00",
    "internal/restrictions%0d%0adapr-caller-app-id:%20user-service-controller",
    "internal;a=b/restrictions",
    "internal/restrictions;a=b",
    "INTERNAL/restrictions",
    "internal/Restrictions",
    "internal./restrictions",
    "internal/restrictions.",
    "internal/restrictions/",
    "internal%5crestrictions",
    "%5cinternal/restrictions",
    "int%65rnal/restrictions",
    "internal/%C3%A9",
    "internal/restrictions%20",
    "healthz/../internal/restrictions",
    "healthz/%252e%252e/internal/restrictions",
    "events/%2e%2e/internal/restrictions",
  ].flatMap((path): Attack[] => [
    { what: `the path ${path}`, path, headers: FORGED },
    { what: `the path ${path}, stripped`, path, headers: { ...FORGED, ...STRIPPED } },
  ]),
];

describeWithAll(["daprd"], "another app in the mesh", (paths) => {
  it("cannot forge an event or an internal call, and each try is a security event", async () => {
    await using victim = await startVictim(paths["daprd"] ?? "");
    await victim.isWell();
    await using stranger = await startDaprd(paths["daprd"] ?? "", { appId: "stranger", resources: PUBSUB, mesh: victim.mesh });
    await stranger.ready();
    for (const attack of ATTACKS) {
      const before = victim.refusals.length;
      const reply = await attempt(stranger, attack);
      const reached = victim.refusals.length - before;
      // What daprd refuses by itself says so or is no HTTP to it; all else must have been refused, once, by the app.
      const byDaprd = reply.body.includes("ERR_DIRECT_INVOKE") || (reply.status === 400 && reached === 0);
      expect({ ...attack, ok: reply.status >= 400, told: byDaprd ? 0 : 1 }).toEqual({ ...attack, ok: true, told: reached });
      expect(reply.body).not.toContain(victim.hidden);
    }
    expect(victim.refusals.length).toBeGreaterThan(50);
    await victim.isWell();
    expect(victim.calls).toEqual([CONTROLLER, CONTROLLER]);
    expect(victim.delivered).toHaveLength(2);
  });
});

describeWithAll(["daprd", "sentry"], "another app in the mesh, with mutual TLS and access control", (paths) => {
  it("does not even reach the app, whatever it knows", async () => {
    await using sentry = await startSentry(paths["sentry"] ?? "", paths["daprd"] ?? "");
    await using victim = await startVictim(sentry.daprd, { env: sentry.env, config: await accessControl() });
    await victim.isWell();
    await using stranger = await startDaprd(sentry.daprd, { appId: "stranger", resources: PUBSUB, mesh: victim.mesh, env: sentry.env });
    await stranger.ready();
    const knowing = { what: "an event to the hidden path", path: `${victim.hidden.slice(1)}`, headers: { ...EVENT, ...STRIPPED } };
    for (const attack of [...ATTACKS, knowing]) {
      const reply = await attempt(stranger, attack);
      const isRefused = /access control policy has denied|InvalidArgument/.test(reply.body) || [400, 403].includes(reply.status);
      expect({ attack: attack.what, isRefused }).toEqual({ attack: attack.what, isRefused: true });
    }
    expect(victim.refusals).toEqual([]);
    await victim.isWell();
    expect(victim.calls).toEqual([CONTROLLER, CONTROLLER]);
    expect(victim.delivered).toHaveLength(2);
  });

  it("is refused by the app where the rules of its sidecar read a path otherwise", async () => {
    await using sentry = await startSentry(paths["sentry"] ?? "", paths["daprd"] ?? "");
    await using victim = await startVictim(sentry.daprd, { env: sentry.env, config: await accessControl() });
    await victim.isWell();
    const before = victim.refusals.length;
    // The rules ignore case and do not decode twice: these pass them, for the one app that may invoke anything at all.
    const tries = [
      "internal/restrictions/%252e%252e/%252e%252e/events/users.v1",
      "Internal/Restrictions/x",
      "internal/restrictions/x%252Fy",
    ];
    for (const path of tries) expect([400, 404]).toContain((await attempt(victim.controller, { what: path, method: "PUT", path })).status);
    const stripped = { what: "stripped", method: "PUT", path: "internal/restrictions/x", headers: { ...FORGED, ...STRIPPED } };
    expect((await attempt(victim.controller, stripped)).status).toBe(403);
    expect(victim.refusals.slice(before)).toHaveLength(4);
    expect(victim.calls).toEqual([CONTROLLER]);
  });
});

describe("the hidden part of event paths", () => {
  it("is what keeps a stripped invocation out where there is no access control: it must not be short", () => {
    expect(eventRoute(APP_TOKEN, "t").split("/")[2]).toHaveLength(32);
  });
});

interface Victim extends AsyncDisposable {
  readonly mesh: string;
  readonly delivered: readonly CloudEvent[];
  /** Callers of the internal route. */
  readonly calls: readonly string[];
  /** Lines of the security stream. */
  readonly refusals: readonly LogLine[];
  /** The path of events. */
  readonly hidden: string;
  /** The sidecar of the app that may call. */
  readonly controller: Daprd;
  /** One genuine event and one call of the controller go through, so what did not was refused and not lost. */
  readonly isWell: () => Promise<void>;
}

const PUBSUB = {
  "pubsub.yaml":
    "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: { name: pubsub }\nspec: { type: pubsub.in-memory, version: v1 }\n",
};

async function startVictim(
  path: string,
  settings: { readonly env?: Record<string, string>; readonly config?: string } = {},
): Promise<Victim> {
  await using stack = new AsyncDisposableStack();
  const mesh = await createMesh();
  const delivered: CloudEvent[] = [];
  const calls: string[] = [];
  const lines: LogLine[] = [];
  const appPort = await serverPort();
  const tokens = { apiToken: API_TOKEN, appToken: APP_TOKEN };
  const daprd = stack.use(
    await startDaprd(path, { appId: VICTIM, appPort, resources: PUBSUB, mesh, healthCheckPath: "/healthz", ...tokens, ...settings }),
  );
  const secrets = { apiToken: new Secret(API_TOKEN), appToken: new Secret(APP_TOKEN) };
  const sidecar = stack.use(createDaprSidecar({ httpPort: daprd.httpPort, ...secrets, pubsub: "pubsub", clock: systemClock }));
  sidecar.subscribe([{ topic: "users.v1", deliver: (event) => (delivered.push(event as CloudEvent), Promise.resolve("SUCCESS")) }]);
  const served = createServer(victimApp(sidecar, { calls, log: linesTo(lines) }));
  stack.defer(async () => {
    served.server.closeAllConnections();
    await served.drain(0);
  });
  await served.listen(appPort, "127.0.0.1");
  const controller = stack.use(
    await startDaprd(path, { appId: CONTROLLER, resources: PUBSUB, mesh, ...(settings.env === undefined ? {} : { env: settings.env }) }),
  );
  await Promise.all([daprd.ready(), controller.ready()]);
  const owned = stack.move();
  return {
    mesh,
    delivered,
    calls,
    get refusals() {
      return lines.filter(({ fields }) => fields["kind"] === "sidecar.refused" && fields["securityEvent"] === true);
    },
    hidden: eventRoute(APP_TOKEN, "users.v1"),
    controller,
    isWell: async () => {
      const had = { events: delivered.length, calls: calls.length };
      const event = anEvent();
      // In memory: what is published before the subscription is there is gone.
      await until(
        async () => {
          if (delivered.length === had.events) await sidecar.publish("users.v1", event, never);
          return delivered.some(({ id }) => id === event.id);
        },
        { everyMs: 50 },
      );
      delivered.splice(had.events + 1);
      await until(
        async () => calls.length > had.calls || ((await attempt(controller, GENUINE)).status === 200 && calls.length > had.calls),
      );
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const GENUINE: Attack = { what: "a genuine call", method: "PUT", path: "internal/restrictions/kubernetes" };

function victimApp(
  sidecar: DaprSidecar,
  { calls, log }: { readonly calls: string[]; readonly log: Log },
): Parameters<typeof createServer>[0] {
  const shared = { summary: "Restricts", answers: { 200: { description: "Done" } }, problems: [], callers: [CONTROLLER] };
  const handle = (_deps: object, { caller }: { readonly caller: string }): Promise<{ status: number }> => {
    calls.push(caller);
    return Promise.resolve({ status: 200 });
  };
  const paths = ["/internal/restrictions", "/internal/restrictions/:source"] as const;
  const params = z.object({ source: z.string() });
  const routes = (["get", "post", "put", "delete"] as const).flatMap((method) => [
    internalRoute({ ...shared, method, path: paths[0], handle }),
    internalRoute({ ...shared, method, path: paths[1], params, handle }),
  ]);
  const metrics = { httpRequest: () => {}, unexpectedError: () => "fingerprint" };
  const base = { clock: systemClock, log, metrics, production: false, deps: {} };
  return createSidecarApp<object>({ ...base, appToken: new Secret(APP_TOKEN), events: sidecar, routes }).listener;
}

/** The policies as they ship. */
async function accessControl(): Promise<string> {
  const shipped = await readFile(join(import.meta.dirname, "..", "..", "dapr", "production", "access-control.yaml"), "utf8");
  return shipped.split(/^---$/m)[0] ?? "";
}

/** daprd's authority for certificates, and a daprd that has its own from it. */
async function startSentry(
  path: string,
  daprd: string,
): Promise<AsyncDisposable & { readonly daprd: string; readonly env: Record<string, string> }> {
  const folder = await mkdtemp(join(runFolder(), "sentry-"));
  const ports = await serverPorts("sentry", "health", "metrics");
  const address = `127.0.0.1:${ports.sentry}`;
  const config = join(folder, "config.yaml");
  await writeFile(
    config,
    `apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: { name: daprsystem }\nspec:\n  mtls: { enabled: true, controlPlaneTrustDomain: cluster.local, sentryAddress: "${address}" }\n`,
  );
  const flags = {
    "issuer-credentials": folder,
    port: ports.sentry,
    "listen-address": "127.0.0.1",
    "healthz-port": ports.health,
    "healthz-listen-address": "127.0.0.1",
    "metrics-port": ports.metrics,
    "metrics-listen-address": "127.0.0.1",
    "trust-domain": "cluster.local",
    config,
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const program = await startProgram({ command: path, args, env: { NAMESPACE: "dapr-system" } });
  await program.ready(`http://127.0.0.1:${ports.health}/healthz`);
  const trusting = join(folder, "daprd");
  const more = `--enable-mtls --sentry-address ${address} --control-plane-namespace dapr-system --control-plane-trust-domain cluster.local`;
  await writeFile(trusting, `#!/bin/sh\nexec '${daprd}' "$@" ${more}\n`);
  await chmod(trusting, 0o700);
  const env = { DAPR_TRUST_ANCHORS: await readFile(join(folder, "ca.crt"), "utf8"), NAMESPACE: "default" };
  return { daprd: trusting, env, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}

interface Reply {
  readonly status: number;
  readonly body: string;
}

/** As sent, escapes and doubled headers included: no client library in between. */
function attempt(through: Daprd, { method = "POST", path, headers = {} }: Attack): Promise<Reply> {
  const whole = path.startsWith("/") ? path : `/v1.0/invoke/${VICTIM}/method/${path}`;
  const body = method === "POST" || method === "PUT" ? JSON.stringify(anEvent()) : undefined;
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port: through.httpPort, method, path: whole, headers, agent: false }, (answer) => {
      void answer.toArray().then((chunks: Buffer[]) => {
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
      }, reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function anEvent(): CloudEvent {
  return {
    specversion: "1.0",
    id: newUuid(systemClock),
    source: "urn:videamozi:user-service",
    type: "videamozi.user.restricted.v1",
    subject: newUuid(systemClock),
    time: "2026-11-24T00:00:00Z",
    datacontenttype: "application/json",
    userversion: 1,
    data: {},
  };
}

function linesTo(lines: LogLine[]): Log {
  const at = (level: LogLine["level"]) => (fields: LogLine["fields"], message: string) => void lines.push({ level, fields, message });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
