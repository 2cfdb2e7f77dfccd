/** An application on a real server and port, for tests of the HTTP kit; and a socket to say to it what no client library would. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Actor, Gate } from "#src/kernel/actor";
import { systemClock } from "#src/kernel/clock";
import type { SessionId, UserId } from "#src/kernel/ids";
import type { Log, LogFields } from "#src/kernel/log";
import { Problem, problem } from "#src/kernel/problem";
import { createPublicApp, type PublicAppOptions } from "#src/http/public-app";
import type { Route } from "#src/http/route";
import { createServer, type DrainableServer, type ServerOptions } from "#src/http/server";
import { createThrottle } from "#src/http/throttle";
import { until } from "./until.ts";

/** Refusals of the gate below, in place of the real one's. */
export const tokenMissing = problem("test.token_missing", 401, "A token is needed");
export const tokenInvalid = problem("test.token_invalid", 401, "The token is not valid");

/** Who the token `good` belongs to. */
export const actor: Actor = {
  userId: "0190c7a0-0000-7000-8000-000000000001" as UserId,
  sessionId: "0190c7a0-0000-7000-8000-000000000002" as SessionId,
  role: "user",
  restricted: false,
  limited: new Set(),
  tokenExpiresAt: new Date("2030-01-01T00:00:00Z"),
};

/** Lets the token `good` through. */
export const gate: Gate = async (token, needs) => {
  if (needs.kind === "anyone") return undefined;
  if (token === undefined) throw new Problem(tokenMissing);
  if (token !== "good") throw new Problem(tokenInvalid);
  return actor;
};

/** One line of the log. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: LogFields;
  readonly message: string;
}

/** An application that serves, until it is disposed of. */
export interface ServedApp extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly lines: readonly LogLine[];
  readonly requests: readonly { readonly method: string; readonly route: string; readonly status: number }[];
  readonly served: DrainableServer;
}

/** Serves these routes on a free port of 127.0.0.1. */
export async function serveApp(
  routes: readonly Route<unknown>[],
  options: Partial<PublicAppOptions<unknown>> & { readonly server?: ServerOptions } = {},
): Promise<ServedApp> {
  const lines: LogLine[] = [];
  const requests: { method: string; route: string; status: number }[] = [];
  const app = createPublicApp<unknown>({
    routes,
    deps: {},
    gate,
    accountProblems: [tokenMissing, tokenInvalid],
    throttle: createThrottle({ clock: systemClock, enabled: true }),
    clock: systemClock,
    log: linesTo(lines),
    metrics: { httpRequest: (request) => void requests.push(request), unexpectedError: () => "fingerprint" },
    production: false,
    publicUrl: "http://localhost:3002",
    corsOrigins: [],
    trustedProxyHops: 0,
    version: "0.0.0",
    ...options,
  });
  const served = createServer(app.listener, options.server);
  const port = await served.listen(0, "127.0.0.1");
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    lines,
    requests,
    served,
    [Symbol.asyncDispose]: async () => {
      served.server.closeAllConnections();
      await served.drain(0);
    },
  };
}

function linesTo(lines: LogLine[]): Log {
  const at =
    (level: LogLine["level"]) =>
    (fields: LogFields, message: string): void =>
      void lines.push({ level, fields, message });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A raw connection: what comes back is collected until it closes. */
export interface RawConnection extends Disposable {
  readonly socket: Socket;
  readonly received: () => string;
  /** Resolves with everything received, when the other side has closed. */
  readonly closed: Promise<string>;
}

/** Connects to the port and says `first`. */
export async function rawConnection(port: number, first = ""): Promise<RawConnection> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
  socket.on("error", () => {});
  const closed = new Promise<string>((resolve) => socket.once("close", () => resolve(received)));
  await once(socket, "connect");
  socket.write(first);
  return { socket, received: () => received, closed, [Symbol.dispose]: () => void socket.destroy() };
}

/** Says a whole request, as it is, and gives everything that came back until an answer was there or the connection closed. */
export async function sayRaw(port: number, text: string): Promise<string> {
  using connection = await rawConnection(port, text);
  const isClosed = (): boolean => connection.socket.closed;
  await until(() => connection.received().includes("\r\n\r\n") || isClosed(), { withinMs: 30_000, what: "an answer" });
  const isWhole = (): boolean => /"code":"[^"]+"/.test(connection.received()) || /^HTTP\/1.1 [23]0/.test(connection.received());
  await until(() => isWhole() || isClosed(), { withinMs: 30_000, what: "the whole answer" });
  return connection.received();
}

/** Of such an answer: its status, and the code of a refusal. */
export function toldRaw(answer: string): string {
  const [, status = "closed"] = /^HTTP\/1.1 (\d+)/.exec(answer) ?? [];
  return [status, ...(/"code":"([^"]+)"/.exec(answer)?.slice(1) ?? [])].join(" ");
}
