/**
 * One Socket.IO connection by WebSocket on a bare TCP socket: connects with a token, answers pings, and notices its end.
 * A few KB and µs each, where socket.io-client would take more of two cores than the servers that are measured.
 */

import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

const OPCODE = { text: 1, close: 8, ping: 9, pong: 10 } as const;
const HEAD_END = "\r\n\r\n";
const FINAL = 0x80;
const MASKED = 0x80;

export class SocketConnection {
  /** Resolves with the moment, in ns of the machine's monotonic clock, at which the TCP connection had ended. */
  readonly closed: Promise<bigint>;
  readonly #socket: Socket;
  readonly #auth: string;
  readonly #opened: PromiseWithResolvers<void>;
  #received: Buffer = Buffer.alloc(0);
  #upgraded = false;

  private constructor(socket: Socket, auth: string) {
    this.#socket = socket;
    this.#auth = auth;
    this.#opened = Promise.withResolvers<void>();
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", () => {});
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#opened.reject(new Error("the connection ended before it was admitted"));
        resolve(process.hrtime.bigint());
      });
    });
  }

  /** Resolves once the server has admitted the connection. */
  static async open(port: number, token: string): Promise<SocketConnection> {
    const socket = connect(port, "127.0.0.1");
    const connection = new SocketConnection(socket, JSON.stringify({ token }));
    socket.write(
      [
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}${HEAD_END}`,
      ].join("\r\n"),
    );
    await connection.#opened.promise;
    return connection;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    if (!this.#upgraded && !this.#tookUpgrade()) return;
    while (this.#tookFrame());
  }

  #tookUpgrade(): boolean {
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return false;
    if (this.#received.toString("latin1", 9, 12) !== "101") {
      this.#opened.reject(new Error(this.#received.toString("latin1", 0, headEnd)));
      this.#socket.destroy();
      return false;
    }
    this.#received = this.#received.subarray(headEnd + HEAD_END.length);
    this.#upgraded = true;
    return true;
  }

  /** A server's frames are not masked, and none that we are sent is longer than 64 KB. */
  #tookFrame(): boolean {
    const data = this.#received;
    if (data.length < 2) return false;
    const short = data.readUInt8(1) & 0x7f;
    const start = short === 126 ? 4 : 2;
    if (data.length < start) return false;
    const end = start + (short === 126 ? data.readUInt16BE(2) : short);
    if (data.length < end) return false;
    this.#received = data.subarray(end);
    this.#read(data.readUInt8(0) & 0x0f, data.subarray(start, end));
    return true;
  }

  #read(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE.text) this.#readPacket(payload.toString("utf8"));
    else if (opcode === OPCODE.ping) this.#send(OPCODE.pong, payload);
    else if (opcode === OPCODE.close) {
      this.#send(OPCODE.close, payload);
      this.#socket.end();
    }
  }

  /** Engine.IO 4: `0` open, `2` ping, `4` message; Socket.IO within: `0` connected, `4` refused. */
  #readPacket(text: string): void {
    if (text.startsWith("0")) this.#send(OPCODE.text, Buffer.from(`40${this.#auth}`));
    else if (text === "2") this.#send(OPCODE.text, Buffer.from("3"));
    else if (text.startsWith("40")) this.#opened.resolve();
    else if (text.startsWith("44")) this.#opened.reject(new Error(text));
  }

  #send(opcode: number, payload: Buffer): void {
    const extended = payload.length > 125;
    const head = Buffer.alloc(extended ? 8 : 6);
    head[0] = FINAL | opcode;
    head[1] = MASKED | (extended ? 126 : payload.length);
    if (extended) head.writeUInt16BE(payload.length, 2);
    // A mask of zeros leaves the payload as it is.
    this.#socket.write(Buffer.concat([head, payload]));
  }
}
