import { Agent, get as httpGet, type IncomingMessage } from "node:http";
import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { anyone } from "#src/kernel/actor";
import { rawConnection, serveApp } from "../../test/kit/http-app.ts";
import { until } from "../../test/kit/until.ts";
import { route } from "./route.ts";

/** A route that answers when it is told to. */
function gated(): { readonly route: typeof waiting; readonly open: () => void; readonly waiting: () => number } {
  let inside = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const waiting = route({
    method: "get",
    path: "/wait",
    tag: "test",
    summary: "Waits",
    problems: [],
    throttle: { name: "test.wait", limit: 10_000, windowSeconds: 1 },
    needs: anyone,
    answers: { 200: { description: "Done", body: z.strictObject({ done: z.literal(true) }) } },
    handle: async () => {
      inside += 1;
      await promise;
      return { status: 200, body: { done: true } };
    },
  });
  return { route: waiting, open: () => resolve(), waiting: () => inside };
}

const GET = "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";

describe("a slow client", () => {
  it("that never ends its head is cut with 408", async () => {
    await using app = await serveApp([], { server: { headersTimeoutMs: 100 } });
    using connection = await rawConnection(app.port, "GET /wait HTTP/1.1\r\nHost: a\r\n");
    const drip = setInterval(() => connection.socket.write("X-A: b\r\n"), 50);
    const answer = await connection.closed;
    clearInterval(drip);
    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(answer).toContain('"code":"request.timed_out"');
  });

  it("that connects and says nothing is cut", async () => {
    await using app = await serveApp([], { server: { headersTimeoutMs: 100 } });
    using connection = await rawConnection(app.port);
    await connection.closed;
  });

  it("that drips a body nobody waits for is cut", async () => {
    await using app = await serveApp([], { server: { headersTimeoutMs: 100, requestTimeoutMs: 200 } });
    using connection = await rawConnection(app.port, "GET /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    const drip = setInterval(() => connection.socket.write("a"), 50);
    await connection.closed;
    clearInterval(drip);
  });

  it("among five hundred of its kind leaves others served at once", async () => {
    const { route: waiting, open } = gated();
    open();
    await using app = await serveApp([waiting]);
    const slow = await Promise.all(Array.from({ length: 500 }, () => rawConnection(app.port, "GET /wait HTTP/1.1\r\nX-A")));
    expect((await fetch(`${app.url}/wait`)).status).toBe(200);
    for (const connection of slow) connection[Symbol.dispose]();
  });
});

describe("what is no proper HTTP", () => {
  it.each([
    ["junk", "\u0016\u0003\u0001\r\n\r\n", "400", "request.malformed"],
    ["a bad header", "GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n", "400", "request.malformed"],
    ["two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "400", "request.malformed"],
    [
      "length and chunks",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "400",
      "request.malformed",
    ],
    ["20 KB of headers", `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${"a".repeat(20_000)}\r\n\r\n`, "431", "request.headers_too_large"],
  ])("%s is refused as a problem", async (_name, bytes, status, code) => {
    await using app = await serveApp([]);
    using connection = await rawConnection(app.port, bytes);
    const answer = await connection.closed;
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer).toContain(`"code":"${code}"`);
  });

  it("ten thousand small headers harm nobody", async () => {
    await using app = await serveApp([]);
    const headers = Array.from({ length: 10_000 }, (_, n) => `a${n}:b\r\n`).join("");
    using connection = await rawConnection(app.port, `GET / HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
    expect(await connection.closed).toMatch(/^HTTP\/1\.1 431 /);
  });
});

it("pipelined requests are answered in their order", async () => {
  const { route: waiting, open } = gated();
  await using app = await serveApp([waiting]);
  using connection = await rawConnection(app.port, `${GET}GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n${GET}`);
  open();
  await until(() => connection.received().match(/HTTP\/1\.1 /g)?.length === 3, { what: "three answers" });
  expect([...connection.received().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(["200", "404", "200"]);
});

it("a request smuggled behind an ignored body is not served as one", async () => {
  const { route: waiting, open } = gated();
  open();
  await using app = await serveApp([waiting]);
  const hidden = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
  using _connection = await rawConnection(
    app.port,
    `GET /wait HTTP/1.1\r\nHost: a\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}${GET}`,
  );
  await until(() => app.requests.length === 2, { what: "two requests" });
  expect(app.requests.map(({ route: path }) => path)).toEqual(["/wait", "/wait"]);
});

describe("draining", () => {
  it("finishes what is in flight, says Connection: close, and takes no new connection", async () => {
    const { route: waiting, open, waiting: inside } = gated();
    await using app = await serveApp([waiting]);
    using connection = await rawConnection(app.port, GET);
    await until(() => inside() === 1);
    const drained = app.served.drain(10_000);
    await expect(rawConnection(app.port)).rejects.toThrow("ECONNREFUSED");
    open();
    const answer = await connection.closed;
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toMatch(/\r\nConnection: close\r\n/);
    await drained;
    expect(app.served.isDraining()).toBe(true);
  });

  it("still answers a request that was already on its way over an idle connection", async () => {
    const { route: waiting, open } = gated();
    open();
    await using app = await serveApp([waiting]);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const get = (): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        httpGet(`${app.url}/wait`, { agent }, (response) => response.resume().once("end", () => resolve(response))).once("error", reject);
      });
    expect((await get()).headers.connection).toBe("keep-alive");
    const drained = app.served.drain(10_000);
    const late = await get();
    expect([late.statusCode, late.headers.connection]).toEqual([200, "close"]);
    await drained;
    agent.destroy();
  });

  it("closes idle connections by itself", async () => {
    await using app = await serveApp([]);
    using connection = await rawConnection(app.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => connection.received().includes("route.not_found"));
    await Promise.all([app.served.drain(10_000), connection.closed]);
  });

  it("is bounded: what hangs is cut", async () => {
    const { route: waiting, open, waiting: inside } = gated();
    await using app = await serveApp([waiting]);
    using connection = await rawConnection(app.port, GET);
    await until(() => inside() === 1);
    await app.served.drain(50);
    expect(await connection.closed).toBe("");
    open();
  });
});

it("a port that is taken is an error, not a crash", async () => {
  await using app = await serveApp([]);
  await using other = await serveApp([]);
  await expect(other.served.listen(app.port, "127.0.0.1")).rejects.toThrow();
});
