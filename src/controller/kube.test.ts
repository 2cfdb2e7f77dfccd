import { once } from "node:events";
import { connect, createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "@jest/globals";
import { selfSigned } from "../../test/kit/certificate.ts";
import { createKube } from "./kube.ts";

describe("the Kubernetes API over one connection", () => {
  it("outlives the end of that connection although there are streams in it that nobody asked for", async () => {
    const { cert, key } = selfSigned("localhost");
    const server = createSecureServer({ cert, key });
    server.on("stream", (stream) => {
      stream.on("error", () => {});
      stream.respond({ ":status": 200 });
      stream.end("{}");
      // undici takes no pushes, but what Node makes of an answer to an abandoned request is this: a stream without an owner.
      if (!stream.pushAllowed) return;
      stream.pushStream({ ":path": "/" }, (_, push) => {
        push.on("error", () => {});
        push.respond({ ":status": 200 });
        push.write("{");
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const origin = `https://localhost:${(server.address() as AddressInfo).port}`;
    await using kube = createKube({ server: origin, tls: { ca: Buffer.from(cert) }, headers: () => Promise.resolve({}) });
    expect(await kube.send("GET", "/version", new AbortController().signal)).toEqual({});

    const session = connect(origin, { ca: cert });
    session.on("error", () => {});
    session.request({ ":path": "/" }).resume();
    await once(session, "stream");
    // The error comes to each stream; one that nobody listens to fails this test, and would end a controller.
    const closed = new Promise((resolve) => session.once("close", resolve));
    session.destroy(new Error("cut"));
    await closed;
    server.close();
  });
});
