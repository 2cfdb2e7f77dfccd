import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { createServer } from "#src/http/server";
import { createSidecarApp } from "#src/http/sidecar-app";
import { systemClock } from "#src/kernel/clock";
import { silentLog } from "#src/kernel/log";
import { Secret } from "#src/kernel/secret";
import { sidecarContract, type Neighbour, type OpenSidecar } from "../../../test/contracts/sidecar.ts";
import { startDaprd, type Daprd } from "../../../test/kit/daprd.ts";
import { serverPort } from "../../../test/kit/ports.ts";
import { startRabbit, type Rabbit } from "../../../test/kit/rabbitmq.ts";
import { startRedis, type Redis } from "../../../test/kit/redis.ts";
import { describeWithAll } from "../../../test/kit/requires.ts";
import { runFolder } from "../../../test/kit/run-folder.ts";
import { until } from "../../../test/kit/until.ts";
import type { CloudEvent, Subscription } from "../port.ts";
import { createDaprSidecar, type DaprSidecar } from "./dapr-sidecar.ts";
import { DaprError, type DaprRefused } from "./dapr-errors.ts";
import { eventRoute, subscribingComponent } from "./event-routes.ts";

const API_TOKEN = "what-we-show-daprd";
const APP_TOKEN = "what-daprd-shows-us";
const never = new AbortController().signal;

describeWithAll(["daprd", "rabbitmq-server", "redis-server"], "with a daprd, RabbitMQ and Redis of its own", (paths) => {
  let rabbit: Rabbit;
  let redis: Redis;
  let secretsFile: string;

  beforeAll(async () => {
    [rabbit, redis] = await Promise.all([startRabbit(paths["rabbitmq-server"] ?? ""), startRedis(paths["redis-server"] ?? "")]);
    secretsFile = join(runFolder(), `contract-${redis.port}.json`);
    await writeFile(secretsFile, JSON.stringify(SECRETS), { mode: 0o600 });
  });
  afterAll(async () => {
    await (await shared)?.[Symbol.asyncDispose]();
    await rabbit[Symbol.asyncDispose]();
    await redis[Symbol.asyncDispose]();
  });

  let opened = 0;
  const open = async (subscriptions: readonly Subscription[] = []): Promise<OpenDapr> => {
    await using stack = new AsyncDisposableStack();
    const daprd = paths["daprd"] ?? "";
    opened += 1;
    const appPort = await serverPort();
    const own = stack.use(
      await startDaprd(daprd, {
        appId: `contract-${opened}`,
        appPort,
        resources: { ...brokers(subscriptions, rabbit.url), "state.yaml": state(redis.port), "secrets.yaml": secrets(secretsFile) },
        apiToken: API_TOKEN,
        appToken: APP_TOKEN,
      }),
    );
    const tokens = { apiToken: new Secret(API_TOKEN), appToken: new Secret(APP_TOKEN) };
    const sidecar = stack.use(createDaprSidecar({ httpPort: own.httpPort, ...tokens, clock: systemClock }));
    const warm = warmingUp(subscriptions);
    sidecar.subscribe(warm.subscriptions);
    const lines: string[] = [];
    const served = createServer(listenerOf(sidecar, lines));
    stack.defer(() => served.drain(0));
    await served.listen(appPort, "127.0.0.1");
    await sidecar.ready(AbortSignal.timeout(20_000));
    await warm.done(sidecar);
    const owned = stack.move();
    return { sidecar, daprd: own, lines, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  };

  /** Where nothing is subscribed to, tests do not get into each other's way, and a daprd for each would be most of the time. */
  let shared: Promise<OpenDapr> | undefined;
  const openForContract = async (subscriptions: readonly Subscription[], neighbour?: Neighbour): Promise<OpenSidecar> => {
    if (subscriptions.length > 0) return await open(subscriptions);
    shared ??= open();
    const { sidecar } = await shared;
    if (neighbour === undefined) return { sidecar, [Symbol.asyncDispose]: () => Promise.resolve() };
    const theirs = await startDaprd(paths["daprd"] ?? "", { appId: neighbour.appId, appPort: neighbour.port, resources: {} });
    await theirs.program.ready(`${theirs.url}/v1.0/healthz`);
    return { sidecar, [Symbol.asyncDispose]: () => theirs[Symbol.asyncDispose]() };
  };

  sidecarContract("DaprSidecar", { open: openForContract, secret: { name: "contract-test", value: "hidden" } });

  describe("DaprSidecar", () => {
    it("says what daprd refused, without what daprd said of it", async () => {
      await using one = await open();
      const publishing = one.sidecar.publish("contract.v1", anEvent(), never);
      await expect(publishing).rejects.toThrow(new Error("daprd answered 404 ERR_PUBSUB_NOT_FOUND to publishing an event"));
      await expect(publishing).rejects.toBeInstanceOf(DaprError);
    });

    it("tells why an app was not invoked", async () => {
      await using one = await open();
      const reasonOf = (sidecar: DaprSidecar): Promise<unknown> =>
        sidecar.invoke("nobody", { method: "GET", path: "x" }, never).catch((error: unknown) => (error as DaprRefused).reason);
      expect(await reasonOf(one.sidecar)).toBe("unknown-app");
      await using strange = createDaprSidecar({ httpPort: one.daprd.httpPort, apiToken: new Secret("wrong"), clock: systemClock });
      expect(await reasonOf(strange)).toBe("token");
      await expect(strange.secret("contract-test", never)).rejects.toThrow(/401/);
      await expect(strange.state.get("a", never)).rejects.toThrow(/401/);
    });

    it("reads a secret that has keys: its own name, else `value`, else the only one", async () => {
      await using one = await open();
      const read = async (name: string): Promise<string | undefined> => (await one.sidecar.secret(name, never))?.reveal();
      expect(await read("one-key")).toBe("only");
      expect(await read("value-key")).toBe("chosen");
      await expect(read("many-keys")).rejects.toThrow(/several keys/);
    });

    it("takes dots for a key like any other", async () => {
      await using one = await open();
      expect(await one.sidecar.state.set("..", 1, { expected: "nothing" }, never)).toBe("set");
      expect((await one.sidecar.state.get("..", never))?.value).toBe(1);
      expect(await one.sidecar.state.delete("..", "anything", never)).toBe("deleted");
    });

    it("is ready and up while daprd is, down when it is gone, and ends a wait with its signal", async () => {
      await using one = await open();
      expect((await one.sidecar.health(never)).state).toBe("up");
      one.daprd.program.signal("SIGKILL");
      await one.daprd.program.exited;
      expect((await one.sidecar.health(never)).state).toBe("down");
      await expect(one.sidecar.ready(AbortSignal.timeout(150))).rejects.toThrow(/time/);
      await expect(one.sidecar.publish("contract.v1", anEvent(), never)).rejects.toThrow();
      await one.daprd.restart();
      await one.sidecar.ready(AbortSignal.timeout(20_000));
      expect(await one.sidecar.state.get("after", never)).toBeUndefined();
    });

    it("drops an event that is larger than we take, with its dead letter, and does not go round with it", async () => {
      const seen: unknown[] = [];
      const deliver: Subscription["deliver"] = (event) => (seen.push((event as CloudEvent).data), Promise.resolve("SUCCESS"));
      await using one = await open([
        { topic: "large.v1", deadLetterTopic: "large.v1.dead", deliver },
        { topic: "large.v1.dead", deliver },
      ]);
      await one.sidecar.publish("large.v1", { ...anEvent(), data: "x".repeat(2 * 1024 * 1024) }, never);
      await until(() => one.lines.length === 2);
      await one.sidecar.publish("large.v1", { ...anEvent(), data: "x".repeat(1_000_000) }, never);
      await until(() => seen.length > 0);
      expect(one.lines).toEqual(Array(2).fill("an event is larger than this service takes: dropped to the dead-letter topic"));
      expect(seen).toHaveLength(1);
    });

    it("tells of a Redis that is gone or silent, within the signal, and goes on once it is back", async () => {
      await using own = await startRedis(paths["redis-server"] ?? "");
      const resources = { "state.yaml": state(own.port) };
      await using daprd = await startDaprd(paths["daprd"] ?? "", { appId: "redis-gone", resources });
      await daprd.ready();
      await using sidecar = createDaprSidecar({ httpPort: daprd.httpPort, clock: systemClock });
      const ask = (): Promise<unknown> => sidecar.state.get("a", AbortSignal.timeout(250));
      expect(await ask()).toBeUndefined();
      own.program.signal("SIGSTOP");
      await expect(ask()).rejects.toThrow(/time/);
      own.program.signal("SIGCONT");
      await until(async () => (await ask()) === undefined);
      await own.program.stop();
      await expect(sidecar.state.get("a", never)).rejects.toThrow(/ERR_STATE_GET/);
      await using back = await startRedis(paths["redis-server"] ?? "", own.port);
      await until(async () => (await ask()) === undefined);
      expect(back.port).toBe(own.port);
    });

    it("ends a call with its signal while daprd says nothing", async () => {
      await using one = await open();
      one.daprd.program.signal("SIGSTOP");
      await expect(one.sidecar.state.get("a", AbortSignal.timeout(100))).rejects.toThrow(/time/);
      await expect(one.sidecar.publish("contract.v1", anEvent(), AbortSignal.timeout(100))).rejects.toThrow(/time/);
      one.daprd.program.signal("SIGCONT");
      expect(await one.sidecar.state.get("a", never)).toBeUndefined();
    });
  });
});

describe("with daprd's in-memory store of development", () => {
  describeWithAll(["daprd"], "DaprSidecar", (paths) => {
    it("makes an entry only where there is none", async () => {
      await using daprd = await startDaprd(paths["daprd"] ?? "", { appId: "in-memory", resources: { "state.yaml": IN_MEMORY } });
      await daprd.ready();
      await using sidecar = createDaprSidecar({ httpPort: daprd.httpPort, clock: systemClock });
      expect(await sidecar.state.set("a", 1, { expected: "nothing", ttlSeconds: 60 }, never)).toBe("set");
      expect(await sidecar.state.set("a", 2, { expected: "nothing", ttlSeconds: 60 }, never)).toBe("conflict");
      const entry = await sidecar.state.get("a", never);
      expect(entry?.value).toBe(1);
      expect(await sidecar.state.set("a", 3, { expected: { etag: entry?.etag ?? "" } }, never)).toBe("set");
      expect(await sidecar.state.set("a", 4, { expected: { etag: entry?.etag ?? "" } }, never)).toBe("conflict");
    });
  });
});

describe("the subscription table", () => {
  const table: Subscription[] = [
    { topic: "users.private.v1", deadLetterTopic: "users.private.v1.dead", deliver: () => Promise.resolve("SUCCESS") },
    { topic: "users.private.v1.dead", deliver: () => Promise.resolve("SUCCESS") },
  ];
  const options = { httpPort: 1, appToken: new Secret(APP_TOKEN), clock: systemClock };

  it("has a component for each topic, or one for all", async () => {
    await using sidecar = createDaprSidecar(options);
    sidecar.subscribe(table);
    const route = eventRoute(APP_TOKEN, "users.private.v1");
    expect(sidecar.subscriptionDocument()).toEqual([
      {
        pubsubname: "pubsub-users-private-v1",
        topic: "users.private.v1",
        route,
        deadLetterTopic: "users.private.v1.dead",
        metadata: { queueType: "quorum" },
      },
      {
        pubsubname: "pubsub-users-private-v1-dead",
        topic: "users.private.v1.dead",
        route: `${route}.dead`,
        metadata: { queueType: "quorum" },
      },
    ]);
    expect([...sidecar.deliveries().keys()]).toEqual([route, `${route}.dead`]);
    await using single = createDaprSidecar({ ...options, pubsub: "pubsub" });
    single.subscribe(table);
    expect(new Set(single.subscriptionDocument().map((row) => row.pubsubname))).toEqual(new Set(["pubsub"]));
  });

  it("has paths that follow from the app token, and cannot be told without it", () => {
    expect(eventRoute(APP_TOKEN, "t")).toBe(eventRoute(APP_TOKEN, "t"));
    expect(eventRoute(APP_TOKEN, "t")).not.toBe(eventRoute("another-token", "t"));
    expect(eventRoute(APP_TOKEN, "t")).toMatch(/^\/events\/[0-9a-f]{32}\/t$/);
  });

  it("is not taken without an app token, or with a topic twice", async () => {
    await using tokenless = createDaprSidecar({ httpPort: 1, clock: systemClock });
    expect(() => tokenless.subscribe(table)).toThrow(/APP_API_TOKEN/);
    await using sidecar = createDaprSidecar(options);
    expect(() => sidecar.subscribe([...table, ...table])).toThrow(/same topic/);
  });
});

interface OpenDapr extends OpenSidecar {
  readonly sidecar: DaprSidecar;
  readonly daprd: Daprd;
  /** Errors of the listener. */
  readonly lines: readonly string[];
}

const SECRETS = {
  "contract-test": "hidden",
  "one-key": { some: "only" },
  "value-key": { other: "not this", value: "chosen" },
  "many-keys": { a: "1", b: "2" },
};

const IN_MEMORY = component("state", "state.in-memory", {});

function listenerOf(sidecar: DaprSidecar, lines: string[]): Parameters<typeof createServer>[0] {
  const { listener } = createSidecarApp<object>({
    appToken: new Secret(APP_TOKEN),
    events: sidecar,
    routes: [],
    deps: {},
    clock: systemClock,
    log: { ...silentLog, error: (_fields, message) => void lines.push(message) },
    metrics: { httpRequest: () => {}, unexpectedError: () => "fingerprint" },
    production: false,
  });
  return listener;
}

/** RabbitMQ drops what is published before a queue is there: events of the tests come after one of each topic has come back. */
function warmingUp(table: readonly Subscription[]): {
  readonly subscriptions: readonly Subscription[];
  readonly done: (sidecar: DaprSidecar) => Promise<void>;
} {
  const warm = new Set<string>();
  const type = "warming-up";
  const subscriptions = table.map((row): Subscription => ({
    ...row,
    deliver: (event) => {
      if ((event as CloudEvent).type !== type) return row.deliver(event);
      warm.add(row.topic);
      return Promise.resolve("SUCCESS");
    },
  }));
  const done = async (sidecar: DaprSidecar): Promise<void> => {
    for (const { topic } of table) {
      const probe = async (): Promise<boolean> => {
        if (!warm.has(topic)) await sidecar.publish(topic, { ...anEvent(), type }, AbortSignal.timeout(8_000));
        return warm.has(topic);
      };
      await until(probe, { everyMs: 50, withinMs: 30_000, what: `${topic} to be subscribed to` });
    }
  };
  return { subscriptions, done };
}

function anEvent(): CloudEvent {
  return {
    specversion: "1.0",
    id: "1",
    source: "urn:test",
    type: "t",
    subject: "s",
    time: "2026-11-24T00:00:00Z",
    datacontenttype: "application/json",
    userversion: 1,
    data: {},
  };
}

function brokers(table: readonly Subscription[], connectionString: string): Record<string, string> {
  if (table.length === 0) return {};
  const names = ["pubsub", ...table.map(({ topic }) => subscribingComponent(topic))];
  const settings = {
    connectionString,
    durable: "true",
    deletedWhenUnused: "false",
    deliveryMode: "2",
    publisherConfirm: "true",
    requeueInFailure: "true",
    reconnectWaitSeconds: "1s",
    prefetchCount: "10",
  };
  const files = names.map((name) => [`${name}.yaml`, component(name, "pubsub.rabbitmq", settings)] as const);
  return { ...Object.fromEntries(files), "resiliency.yaml": resiliency(names.slice(1)) };
}

function resiliency(components: readonly string[]): string {
  const targets = components.map((name) => `      ${name}: { inbound: { retry: quick } }`).join("\n");
  return `apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: { name: contract }
spec:
  policies:
    retries:
      quick: { policy: constant, duration: 50ms, maxRetries: 5 }
  targets:
    components:
${targets}
`;
}

function state(port: number): string {
  return component("state", "state.redis", { redisHost: `127.0.0.1:${port}` });
}

function secrets(file: string): string {
  return component("secrets", "secretstores.local.file", { secretsFile: file, multiValued: "true" });
}

function component(name: string, type: string, metadata: Readonly<Record<string, string>>): string {
  const lines = Object.entries(metadata).map(([key, value]) => `    - { name: ${key}, value: ${JSON.stringify(value)} }`);
  const list = lines.length === 0 ? "" : `  metadata:\n${lines.join("\n")}\n`;
  return `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: { name: ${name} }\nspec:\n  type: ${type}\n  version: v1\n${list}`;
}
