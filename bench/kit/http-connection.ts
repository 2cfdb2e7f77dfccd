/**
 * One keep-alive HTTP/1.1 connection with one request in flight, on a bare socket: about 15 µs a request, where node:http
 * takes 60 and would take a third of two cores from what is measured. Understands what the measured servers answer:
 * a head, and a body of the length it announces.
 */

import { connect, type Socket } from "node:net";

/** An answer, as far as a load generator looks. */
export interface Answer {
  readonly status: number;
  readonly hasRetryAfter: boolean;
  readonly body: () => string;
}

const HEAD_END = "\r\n\r\n";
const LENGTH = /\r\ncontent-length: (\d+)/i;
const RETRY_AFTER = /\r\nretry-after: \d+/i;

export class HttpConnection implements Disposable {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
  }

  static open(port: number): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.off("error", reject);
        resolve(new HttpConnection(socket));
      });
      socket.once("error", reject);
    });
  }

  /** Sends a request that `httpRequest` made, and gives its answer. */
  send(request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  [Symbol.dispose](): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = this.#received.toString("latin1", 0, headEnd);
    const bodyStart = headEnd + HEAD_END.length;
    const bodyEnd = bodyStart + Number(LENGTH.exec(head)?.[1] ?? 0);
    if (this.#received.length < bodyEnd) return;
    const whole = this.#received;
    this.#received = whole.subarray(bodyEnd);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({
      status: Number(head.slice(9, 12)),
      hasRetryAfter: RETRY_AFTER.test(head),
      body: () => whole.toString("utf8", bodyStart, bodyEnd),
    });
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

/** A request as text, so that a list of them can stand in a file. */
export interface RequestText {
  readonly method: string;
  readonly path: string;
  readonly token?: string;
  /** JSON, unless `headers` say otherwise. */
  readonly body?: string;
  /** Beside those that are always sent; a `content-type` in place of JSON's. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The bytes of a request. */
export function httpRequest({ method, path, token, body, headers = {} }: RequestText): Buffer {
  const head = [`${method} ${path} HTTP/1.1`, "Host: 127.0.0.1", "User-Agent: bench"];
  if (token !== undefined) head.push(`Authorization: Bearer ${token}`);
  if (body !== undefined) head.push(`Content-Length: ${Buffer.byteLength(body)}`);
  const all = body === undefined ? headers : { "content-type": "application/json", ...headers };
  for (const [name, value] of Object.entries(all)) head.push(`${name}: ${value}`);
  return Buffer.from(`${head.join("\r\n")}${HEAD_END}${body ?? ""}`);
}
