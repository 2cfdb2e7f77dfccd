/** Engine.IO by hand: frames that no client library would send. */

import { once } from "node:events";
import { rawConnection, type RawConnection } from "./http-app.ts";
import { until } from "./until.ts";

/** A connected socket, and what it was sent. */
export type EngineSocket = WebSocket & { readonly texts: string[] };

/** Connects and joins the namespace with this token. */
export async function engineSocket(port: number, token: string): Promise<EngineSocket> {
  const texts: string[] = [];
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`);
  socket.addEventListener("message", ({ data }) => texts.push(String(data)));
  socket.addEventListener("error", () => {});
  await until(() => texts.some((text) => text.startsWith("0")));
  socket.send(`40${JSON.stringify({ token })}`);
  await until(() => texts.some((text) => text.startsWith("40")));
  return Object.assign(socket, { texts });
}

/** A TCP connection that asks to become a WebSocket. @param extra header lines before the key of the handshake */
export async function upgradeByHand(port: number, extra = ""): Promise<RawConnection> {
  const connection = await rawConnection(port);
  const answered = Promise.race([once(connection.socket, "data"), connection.closed]);
  connection.socket.write(
    `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Version: 13\r\n${extra}` +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  );
  await answered;
  return connection;
}
