/** What every sidecar adapter must do. A test file calls it with a way to open one. */

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "@jest/globals";
import { systemClock } from "#src/kernel/clock";
import { newUuid } from "#src/kernel/ids";
import type { CloudEvent, DeliveryOutcome, Sidecar, Subscription } from "#src/sidecar/port";
import { until } from "../kit/until.ts";

/** An adapter that is ready, with the table handed over. */
export interface OpenSidecar extends AsyncDisposable {
  readonly sidecar: Sidecar;
}

/** Another app, on 127.0.0.1. */
export interface Neighbour {
  readonly appId: string;
  readonly port: number;
}

/** What the suite needs of the side that sets the adapter up. */
export interface SidecarSetup {
  /** Opens an adapter which tries a delivery at least three times, with short pauses, before it becomes a dead letter. */
  readonly open: (subscriptions: readonly Subscription[], neighbour?: Neighbour) => Promise<OpenSidecar>;
  /** A secret that exists. */
  readonly secret: { readonly name: string; readonly value: string };
}

/** Topics that a setup must know, each with its dead-letter topic. */
export const CONTRACT_TOPIC = "contract.v1";
const DEAD_TOPIC = `${CONTRACT_TOPIC}.dead`;

const never = new AbortController().signal;

/** Declares the tests. */
export function sidecarContract(name: string, setup: SidecarSetup): void {
  describe(`${name} as a sidecar`, () => {
    describe("publish and subscribe", () => publishTests(setup));
    describe("state", () => stateTests(setup));
    describe("secrets", () => secretTests(setup));
    describe("invocation", () => invokeTests(setup));
  });
}

function publishTests(setup: SidecarSetup): void {
  it("delivers an event as it was published", async () => {
    const seen: unknown[] = [];
    await using open = await setup.open(table(async (event) => void seen.push(event)));
    const event = anEvent({
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      data: { text: "ő 🙂", nested: [1, null] },
    });
    await open.sidecar.publish(CONTRACT_TOPIC, event, never);
    await until(() => seen.length > 0);
    const { traceparent, ...rest } = event;
    expect(seen[0]).toMatchObject(rest);
    expect(String((seen[0] as CloudEvent).traceparent).split("-")[1]).toBe(traceparent?.split("-")[1]);
  });

  it("delivers to the subscriptions of the topic only", async () => {
    const seen: string[] = [];
    await using open = await setup.open([
      { topic: CONTRACT_TOPIC, deadLetterTopic: DEAD_TOPIC, deliver: noting(seen, "main") },
      { topic: DEAD_TOPIC, deliver: noting(seen, "dead") },
    ]);
    await open.sidecar.publish(CONTRACT_TOPIC, anEvent(), never);
    await until(() => seen.length > 0);
    expect(seen).toEqual(["main"]);
  });

  it("delivers again, with the same id, what was answered RETRY or failed", async () => {
    const seen: string[] = [];
    await using open = await setup.open(
      table((event) => {
        seen.push((event as CloudEvent).id);
        if (seen.length === 1) return Promise.reject(new Error("not yet"));
        return Promise.resolve(seen.length === 2 ? "RETRY" : "SUCCESS");
      }),
    );
    const event = anEvent();
    await open.sidecar.publish(CONTRACT_TOPIC, event, never);
    await until(() => seen.length >= 3);
    expect(seen).toEqual([event.id, event.id, event.id]);
  });

  it("delivers another event while one is tried again", async () => {
    const stuck = anEvent();
    const other = anEvent();
    const done: string[] = [];
    let tries = 0;
    await using open = await setup.open(
      table((event) => {
        const { id } = event as CloudEvent;
        if (id === stuck.id && !done.includes(other.id) && (tries += 1) > 0) return Promise.resolve("RETRY");
        done.push(id);
        return Promise.resolve("SUCCESS");
      }),
    );
    await open.sidecar.publish(CONTRACT_TOPIC, stuck, never);
    await open.sidecar.publish(CONTRACT_TOPIC, other, never);
    await until(() => done.includes(other.id));
    expect(tries).toBeGreaterThan(0);
  });

  it.each<[DeliveryOutcome, string]>([
    ["DROP", "at once"],
    ["RETRY", "after some tries"],
  ])("brings what is answered %s for good to the dead-letter topic, unchanged, %s", async (outcome) => {
    const dead: unknown[] = [];
    let tries = 0;
    await using open = await setup.open([
      { topic: CONTRACT_TOPIC, deadLetterTopic: DEAD_TOPIC, deliver: () => ((tries += 1), Promise.resolve(outcome)) },
      { topic: DEAD_TOPIC, deliver: (event) => (dead.push(event), Promise.resolve("SUCCESS")) },
    ]);
    const event = anEvent();
    await open.sidecar.publish(CONTRACT_TOPIC, event, never);
    await until(() => dead.length > 0, { withinMs: 20_000 });
    const { id, type, subject, userversion, data } = event;
    expect(dead[0]).toMatchObject({ id, type, subject, userversion, data });
    if (outcome === "DROP") expect(tries).toBe(1);
    else expect(tries).toBeGreaterThanOrEqual(3);
  });

  it("does not publish when the signal is aborted", async () => {
    await using open = await setup.open(table(async () => {}));
    await expect(open.sidecar.publish(CONTRACT_TOPIC, anEvent(), AbortSignal.abort(new Error("too late")))).rejects.toThrow();
  });
}

function stateTests(setup: SidecarSetup): void {
  const key = (): string => `contract:${newUuid(systemClock)}`;

  it("has nothing under a new key, and then what was set", async () => {
    await using open = await setup.open([]);
    const { state } = open.sidecar;
    const mine = key();
    expect(await state.get(mine, never)).toBeUndefined();
    const value = { tries: 3, list: ["\0", "é", null], nested: { deep: true } };
    expect(await state.set(mine, value, { expected: "nothing" }, never)).toBe("set");
    expect((await state.get(mine, never))?.value).toEqual(value);
  });

  it("changes the tag with each write, and refuses a write that names an old one", async () => {
    await using open = await setup.open([]);
    const { state } = open.sidecar;
    const mine = key();
    await state.set(mine, 1, { expected: "nothing" }, never);
    const first = (await state.get(mine, never))?.etag ?? "";
    expect(await state.set(mine, 2, { expected: { etag: first } }, never)).toBe("set");
    expect(await state.set(mine, 3, { expected: { etag: first } }, never)).toBe("conflict");
    const second = await state.get(mine, never);
    expect(second?.value).toBe(2);
    expect(second?.etag).not.toBe(first);
  });

  it("makes an entry only where there is none, if that is what is expected", async () => {
    await using open = await setup.open([]);
    const { state } = open.sidecar;
    const mine = key();
    expect(await state.set(mine, 1, { expected: "nothing" }, never)).toBe("set");
    expect(await state.set(mine, 2, { expected: "nothing" }, never)).toBe("conflict");
    expect((await state.get(mine, never))?.value).toBe(1);
  });

  it("lets one of many win that make the same entry at once", async () => {
    await using open = await setup.open([]);
    const mine = key();
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, index) => open.sidecar.state.set(mine, index, { expected: "nothing" }, never)),
    );
    expect(outcomes.filter((outcome) => outcome === "set")).toHaveLength(1);
  });

  it("loses no count when many compare and set at once", async () => {
    await using open = await setup.open([]);
    const { state } = open.sidecar;
    const mine = key();
    await state.set(mine, 0, { expected: "nothing" }, never);
    const addOne = async (): Promise<void> => {
      for (;;) {
        const entry = await state.get(mine, never);
        if (entry === undefined) throw new Error("the entry is gone");
        if ((await state.set(mine, Number(entry.value) + 1, { expected: { etag: entry.etag } }, never)) === "set") return;
      }
    };
    await Promise.all(Array.from({ length: 10 }, addOne));
    expect((await state.get(mine, never))?.value).toBe(10);
  });

  it("forgets an entry after its time, and takes a new one in its place", async () => {
    await using open = await setup.open([]);
    const { state } = open.sidecar;
    const mine = key();
    await state.set(mine, "old", { expected: "nothing", ttlSeconds: 1 }, never);
    expect((await state.get(mine, never))?.value).toBe("old");
    await until(async () => (await state.get(mine, never)) === undefined);
    expect(await state.set(mine, "new", { expected: "nothing" }, never)).toBe("set");
    expect((await state.get(mine, never))?.value).toBe("new");
  });

  it("deletes, unless another version is there than was expected", async () => {
    await using open = await setup.open([]);
    const { state } = open.sidecar;
    const mine = key();
    await state.set(mine, 1, { expected: "nothing" }, never);
    const old = (await state.get(mine, never))?.etag ?? "";
    await state.set(mine, 2, { expected: { etag: old } }, never);
    expect(await state.delete(mine, { etag: old }, never)).toBe("conflict");
    expect((await state.get(mine, never))?.value).toBe(2);
    expect(await state.delete(mine, "anything", never)).toBe("deleted");
    expect(await state.get(mine, never)).toBeUndefined();
    expect(await state.delete(mine, "anything", never)).toBe("deleted");
  });

  it.each(["", "a||b", "a b", "a/../b", "ű", "a\0b", "x".repeat(201)])("refuses the key %j", async (bad) => {
    await using open = await setup.open([]);
    await expect(open.sidecar.state.get(bad, never)).rejects.toThrow(RangeError);
    await expect(open.sidecar.state.set(bad, 1, { expected: "nothing" }, never)).rejects.toThrow(RangeError);
    await expect(open.sidecar.state.delete(bad, "anything", never)).rejects.toThrow(RangeError);
  });

  it("answers no further once the signal is aborted", async () => {
    await using open = await setup.open([]);
    await expect(open.sidecar.state.get(key(), AbortSignal.abort(new Error("too late")))).rejects.toThrow();
  });
}

function secretTests(setup: SidecarSetup): void {
  it("gives a secret that does not show itself", async () => {
    await using open = await setup.open([]);
    const secret = await open.sidecar.secret(setup.secret.name, never);
    expect(secret?.reveal()).toBe(setup.secret.value);
    expect(JSON.stringify({ secret })).not.toContain(setup.secret.value);
  });

  it("has nothing under an unknown name", async () => {
    await using open = await setup.open([]);
    expect(await open.sidecar.secret("not-there", never)).toBeUndefined();
  });

  it.each(["../passwd", "a/b", "a.b", "", "-a", "UPPER", "a\0", "x".repeat(65)])("refuses the name %j", async (bad) => {
    await using open = await setup.open([]);
    await expect(open.sidecar.secret(bad, never)).rejects.toThrow(RangeError);
  });
}

function invokeTests(setup: SidecarSetup): void {
  const open = async (neighbour: Neighbour): Promise<OpenSidecar> => await setup.open([], neighbour);

  it("brings method, path, query, body and trace to the app, and its answer back", async () => {
    await using app = await startNeighbour();
    await using opened = await open(app);
    const answer = await opened.sidecar.invoke(
      app.appId,
      {
        method: "PUT",
        path: "internal/things/a%20b:c?limit=2&after=%C3%A9",
        body: { text: "ő 🙂", nested: [1, null] },
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      },
      never,
    );
    expect(answer).toEqual({ status: 200, body: { hello: "there" } });
    expect(app.seen).toEqual([
      {
        method: "PUT",
        path: "/internal/things/a b:c",
        query: { limit: "2", after: "é" },
        body: { text: "ő 🙂", nested: [1, null] },
        traceId: "0af7651916cd43dd8448eb211c80319c",
      },
    ]);
  });

  it.each([400, 401, 403, 404, 409, 500, 503])("gives the app's own %i as an answer", async (status) => {
    await using app = await startNeighbour();
    await using opened = await open(app);
    const answer = await opened.sidecar.invoke(app.appId, { method: "GET", path: `status/${status}` }, never);
    expect(answer).toEqual({ status, body: { status } });
  });

  it.each(["empty", "text", "broken"])("has no body where the app's answer is %s", async (kind) => {
    await using app = await startNeighbour();
    await using opened = await open(app);
    const answer = await opened.sidecar.invoke(app.appId, { method: "DELETE", path: kind }, never);
    expect(answer).toEqual({ status: kind === "empty" ? 204 : 200, body: undefined });
  });

  it("rejects when the app is not there, or nobody knows it", async () => {
    await using app = await startNeighbour();
    await using opened = await open(app);
    await app.stop();
    await expect(opened.sidecar.invoke(app.appId, { method: "GET", path: "x" }, never)).rejects.toThrow();
    await expect(opened.sidecar.invoke("nobody-of-that-name", { method: "GET", path: "x" }, never)).rejects.toThrow(/nobody-of-that-name/);
  });

  it("ends with its signal, whether the app answers or not", async () => {
    await using app = await startNeighbour();
    await using opened = await open(app);
    const aborted = AbortSignal.abort(new Error("too late"));
    await expect(opened.sidecar.invoke(app.appId, { method: "GET", path: "x" }, aborted)).rejects.toThrow("too late");
    await expect(opened.sidecar.invoke(app.appId, { method: "GET", path: "hang" }, AbortSignal.timeout(200))).rejects.toThrow(/time/);
    expect(app.seen.map((request) => request.path)).toEqual(["/hang"]);
  });

  it.each([
    ["a path with a slash in front", "app", "/x"],
    ["no path", "app", ""],
    ["an empty segment", "app", "a//b"],
    ["a way up", "app", "a/../b"],
    ["an escaped slash", "app", "a%2Fb"],
    ["an escaped dot", "app", "%2e%2e/b"],
    ["an escaped escape", "app", "a%252Fb"],
    ["an escaped question mark", "app", "a%3Fb"],
    ["an escaped control character", "app", "a%0db"],
    ["a fragment", "app", "a#b"],
    ["a space", "app", "a b"],
    ["an app id with a slash", "app/method/x", "x"],
    ["an address for an app", "http://127.0.0.1:1", "x"],
    ["no app", "", "x"],
  ])("refuses %s", async (_what, appId, path) => {
    await using opened = await setup.open([]);
    await expect(opened.sidecar.invoke(appId, { method: "GET", path }, never)).rejects.toThrow(RangeError);
  });
}

interface NeighbourApp extends Neighbour, AsyncDisposable {
  readonly seen: readonly { readonly path: string }[];
  readonly stop: () => Promise<void>;
}

let neighbours = 0;

async function startNeighbour(): Promise<NeighbourApp> {
  neighbours += 1;
  const seen: { path: string }[] = [];
  const server = createServer((request, response) => {
    void request.toArray().then((chunks: Buffer[]) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://app");
      const path = decodeURIComponent(pathname);
      const text = Buffer.concat(chunks).toString("utf8");
      const traceId = String(request.headers["traceparent"]).split("-")[1];
      // A sidecar of the app asks questions of its own.
      if (!path.startsWith("/dapr/"))
        seen.push({ method: request.method, path, query: Object.fromEntries(searchParams), body: parsed(text), traceId } as {
          path: string;
        });
      answer(response, path);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { appId: `neighbour-${neighbours}`, port: (server.address() as AddressInfo).port, seen, stop, [Symbol.asyncDispose]: stop };
}

function parsed(text: string): unknown {
  return text === "" ? undefined : (JSON.parse(text) as unknown);
}

function answer(response: ServerResponse, path: string): void {
  const status = Number(/^\/status\/(\d+)$/.exec(path)?.[1] ?? 200);
  const json = { "content-type": "application/json" };
  if (path === "/hang") return;
  if (path === "/empty") response.writeHead(204).end();
  else if (path === "/text") response.writeHead(200, { "content-type": "text/plain" }).end("{}");
  else if (path === "/broken") response.writeHead(200, json).end("{");
  else response.writeHead(status, json).end(JSON.stringify(status === 200 ? { hello: "there" } : { status }));
}

function table(deliver: (event: unknown) => Promise<DeliveryOutcome | void>): Subscription[] {
  return [
    { topic: CONTRACT_TOPIC, deadLetterTopic: DEAD_TOPIC, deliver: async (event) => (await deliver(event)) ?? "SUCCESS" },
    { topic: DEAD_TOPIC, deliver: () => Promise.resolve("SUCCESS") },
  ];
}

function noting(seen: string[], name: string): Subscription["deliver"] {
  return () => {
    seen.push(name);
    return Promise.resolve("SUCCESS");
  };
}

function anEvent(parts: Partial<CloudEvent> = {}): CloudEvent {
  return {
    specversion: "1.0",
    id: newUuid(systemClock),
    source: "urn:videamozi:contract-test",
    type: "videamozi.contract.tested.v1",
    subject: newUuid(systemClock),
    time: new Date().toISOString(),
    datacontenttype: "application/json",
    userversion: 1,
    data: { hello: "there" },
    ...parts,
  };
}
