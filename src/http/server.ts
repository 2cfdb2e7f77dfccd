/** The `node:http` server below the application: limits against slow and large clients, and an orderly end. */

import { createServer as createHttpServer, ServerResponse, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { Server as NetServer, type AddressInfo, type Socket } from "node:net";
import type { ProblemType } from "#src/kernel/problem";
import { declaredBytes } from "./exchange.ts";
import { requestHeadersTooLarge, requestMalformed, requestTimedOut } from "./http.errors.ts";
import { MAX_BODY_BYTES } from "./json-body.ts";
import { problemUri } from "#src/kernel/problem-document";

/** Times in ms. What is left out has the value that suits a service behind a load balancer. */
export interface ServerOptions {
  /** Until the head of a request must be there, counted from its first byte or from the connection. */
  readonly headersTimeoutMs?: number;
  /** Until the whole request must be there. */
  readonly requestTimeoutMs?: number;
  /** How long an idle connection is kept; longer than the load balancer's own, or it sends into a closed one. */
  readonly keepAliveTimeoutMs?: number;
  /** Connections at most, WebSockets among them; further ones are dropped at once. */
  readonly maxConnections?: number;
}

/** A server that can end in good order. */
export interface DrainableServer {
  /** For Socket.IO to share. */
  readonly server: Server;
  /** Begins to listen and gives the port. @throws Error with `code` `EADDRINUSE` and its like */
  readonly listen: (port: number, address: string) => Promise<number>;
  /**
   * Stops accepting and finishes what is in flight, each answer saying `Connection: close`. Resolves when the last
   * connection has ended, or after `graceMs`, when the rest are cut. WebSockets count until their owner closes them.
   */
  readonly drain: (graceMs: number) => Promise<void>;
  readonly isDraining: () => boolean;
}

/** Idle connections stay open for so long while draining: a request that was already on its way still gets its answer. */
const LAST_CALL_MS = 1_000;

export function createServer(listener: RequestListener, options: ServerOptions = {}): DrainableServer {
  let draining = false;
  // The head is the last moment to say that the connection ends: a request may have begun long before the draining.
  class Response extends ServerResponse {
    override writeHead(...head: [number]): this {
      if (draining) this.shouldKeepAlive = false;
      return super.writeHead(...head);
    }
  }
  const server = createHttpServer({
    ServerResponse: Response,
    headersTimeout: options.headersTimeoutMs ?? 10_000,
    requestTimeout: options.requestTimeoutMs ?? 20_000,
    keepAliveTimeout: options.keepAliveTimeoutMs ?? 65_000,
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: 16 * 1024,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  });
  server.maxConnections = options.maxConnections ?? 50_000;
  server.on("request", listener);
  // Without this Node asks for a body that we are about to refuse.
  server.on("checkContinue", (request: IncomingMessage, response) => {
    if (declaredBytes(request) <= MAX_BODY_BYTES) response.writeContinue();
    server.emit("request", request, response);
  });
  server.on("clientError", answerClientError);
  return {
    server,
    listen: (port, address) => listen(server, port, address),
    drain: (graceMs) => {
      draining = true;
      return drain(server, graceMs);
    },
    isDraining: () => draining,
  };
}

function listen(server: Server, port: number, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, address, 1024, () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function drain(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    // After the turn in which what has arrived is read: a timer comes before it, and on a busy machine would cut requests that are here.
    const lastCall = setInterval(() => setImmediate(() => server.closeIdleConnections()), LAST_CALL_MS);
    const cut = setTimeout(() => {
      server.closeAllConnections();
      ended();
    }, graceMs);
    const ended = (): void => {
      clearInterval(lastCall);
      clearTimeout(cut);
      resolve();
    };
    // http.Server.close would cut idle connections at once, with requests on their way to them; net's stops accepting and no more.
    NetServer.prototype.close.call(server, ended);
  });
}

const CLIENT_ERRORS: Readonly<Record<string, ProblemType>> = {
  HPE_HEADER_OVERFLOW: requestHeadersTooLarge,
  ERR_HTTP_REQUEST_TIMEOUT: requestTimedOut,
};

const REASONS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

/** What is no HTTP gets the same kind of refusal as everything else, as far as it still can be told. */
function answerClientError(error: Error & { readonly code?: string }, socket: Socket & { readonly _httpMessage?: unknown }): void {
  // With an answer under way, more bytes would garble it.
  if (!socket.writable || error.code === "ECONNRESET" || isAnswering(socket)) {
    socket.destroy();
    return;
  }
  const type = CLIENT_ERRORS[error.code ?? ""] ?? requestMalformed;
  const body = JSON.stringify({ type: problemUri(type), title: type.title, status: type.status, code: type.code });
  const head = [
    `HTTP/1.1 ${type.status} ${REASONS[type.status]}`,
    "Content-Type: application/problem+json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

function isAnswering(socket: { readonly _httpMessage?: unknown }): boolean {
  const message = socket._httpMessage;
  return typeof message === "object" && message !== null && "headersSent" in message && message.headersSent === true;
}
