/** The proxy of tests does to connections what networks do. */

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { describe, expect, it } from "@jest/globals";
import { startTcpProxy } from "./tcp-proxy.ts";
import { until } from "./until.ts";

describe("the TCP proxy of tests", () => {
  it("passes both ways, counts, and cuts", async () => {
    await using echo = await startEcho();
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: echo.port });
    using one = client(proxy.port);
    one.socket.write("hello");
    await until(() => one.heard() === "hello");
    expect([proxy.connections, proxy.open, echo.open()]).toEqual([1, 1, 1]);
    proxy.cut();
    await until(() => one.isClosed());
    await until(() => echo.open() === 0);
    using two = client(proxy.port);
    two.socket.end("bye");
    await until(() => two.isClosed());
    expect(two.heard()).toBe("bye");
    await until(() => proxy.open === 0);
    expect(proxy.connections).toBe(2);
  });

  it("refuses while it is told to, and leaves open connections alone", async () => {
    await using echo = await startEcho();
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: echo.port });
    using early = client(proxy.port);
    await until(() => proxy.open === 1);
    await proxy.refuse(true);
    using late = client(proxy.port);
    await until(() => late.isClosed());
    expect(late.error()).toBe("ECONNREFUSED");
    early.socket.write("still here");
    await until(() => early.heard() === "still here");
    await proxy.refuse(false);
    using again = client(proxy.port);
    again.socket.write("back");
    await until(() => again.heard() === "back");
  });

  it("swallows while it stalls: neither words nor ends come through, not afterwards either", async () => {
    await using echo = await startEcho();
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: echo.port });
    using old = client(proxy.port);
    old.socket.write("before");
    await until(() => old.heard() === "before");
    proxy.stall(true);
    using young = client(proxy.port);
    await until(() => proxy.open === 2);
    young.socket.write("lost");
    old.socket.write("lost");
    proxy.stall(false);
    using fresh = client(proxy.port);
    fresh.socket.write("fresh");
    await until(() => fresh.heard() === "fresh");
    old.socket.write("after");
    echo.cut();
    await until(() => fresh.isClosed());
    expect([old.heard(), young.heard(), old.isClosed(), young.isClosed()]).toEqual(["before", "", false, false]);
  });

  it("holds back, and lets go of all of it in order", async () => {
    await using echo = await startEcho();
    await using proxy = await startTcpProxy({ host: "127.0.0.1", port: echo.port });
    using one = client(proxy.port);
    await until(() => echo.open() === 1);
    proxy.hold(true);
    one.socket.write("a");
    one.socket.write("b");
    using two = client(proxy.port);
    two.socket.write("c");
    await until(() => proxy.open === 2);
    expect(one.heard()).toBe("");
    proxy.hold(false);
    await until(() => one.heard() === "ab" && two.heard() === "c");
  });
});

function client(port: number) {
  const socket = connect({ port, host: "127.0.0.1" });
  let heard = "";
  let code: string | undefined;
  let closed = false;
  socket.setEncoding("utf8").on("data", (text: string) => (heard += text));
  socket.on("error", (error: NodeJS.ErrnoException) => (code = error.code)).on("close", () => (closed = true));
  return {
    socket,
    heard: () => heard,
    error: () => code,
    isClosed: () => closed,
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

async function startEcho() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    open: () => sockets.size,
    cut,
    [Symbol.asyncDispose]: async () => {
      server.close();
      cut();
      await once(server, "close");
    },
  };
}
