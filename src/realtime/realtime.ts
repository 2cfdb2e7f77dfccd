/** Socket.IO on the service's port: admitted by the gate at connect and at each event, cut when the gate says so. */

import type { IncomingMessage, Server as HttpServer } from "node:http";
import { Server, type Socket } from "socket.io";
import type { Client, Gate, Throttle } from "#src/kernel/actor";
import { delay, type Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import type { Problem } from "#src/kernel/problem";
import { admission, isOriginAdmitted, type AdmissionNeeds } from "./admission.ts";
import { connectionOf, userRoom, type Connection } from "./connection.ts";
import * as ending from "./cut.ts";
import { createDispatcher } from "./dispatch.ts";
import { connectInner, InnerConn, type Farewell, type InnerConnection, type InnerListener } from "./inner-connection.ts";
import { textParser } from "./parser.ts";
import { createPushes } from "./pushes.ts";
import { linkRedis, type RedisLink } from "./redis.ts";
import { serverDraining } from "./server-events.ts";
import type { ConnectionListener, LocalPushes, SocketEvent } from "./socket-event.ts";
import { recheck, Sweep } from "./sweep.ts";
import { kitEvents } from "./token-refresh.ts";
import { wire } from "./wire.ts";

export interface RealtimeOptions<Deps> {
  /** Must have its request listener already: Socket.IO takes its own path out of it. */
  readonly server: HttpServer;
  readonly events: readonly SocketEvent<Deps>[];
  readonly connections: readonly ConnectionListener<Deps>[];
  readonly deps: Deps;
  readonly gate: Gate;
  readonly throttle: Throttle;
  readonly clientOf: (request: IncomingMessage) => Client;
  /** Whether pages of this origin may connect. Clients that are no browser send no origin and are not asked. */
  readonly allowsOrigin: (origin: string) => boolean;
  /** Pushes reach sockets of other processes when set; everything else works without. */
  readonly redisUrl?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly production: boolean;
  readonly observe?: Partial<RealtimeObserver>;
}

/** For metrics. Names and codes are from short lists; nothing here names a person. */
export interface RealtimeObserver {
  /** `outcome` is `ok` or a problem's code. */
  readonly event: (name: string, outcome: string, durationMs: number) => void;
  readonly refused: (code: string) => void;
  /** `reason` is one of ours (`account.restricted`, `token.expired`, `slow`, …). */
  readonly cut: (reason: string, count: number) => void;
}

/** What a process has open at this moment. */
export interface RealtimeFigures {
  readonly connections: number;
  readonly users: number;
  readonly redis: "off" | "up" | "down";
  /** Pushes that other processes did not get because Redis was away. */
  readonly pushesMissed: number;
}

export interface Revocation {
  readonly subject: string;
  /** Null for all sessions of the subject. */
  readonly sessionId: string | null;
  /** Told to the client; `account.restricted` makes it `account:restricted`. */
  readonly reason: string;
  /** The payload of `account:restricted`; asked of the gate when left out. */
  readonly notice?: unknown;
}

export interface Realtime {
  readonly pushes: LocalPushes;
  /** Ends this process's connections of a user or session; resolves with their number once all were told to close. */
  readonly cut: (revocation: Revocation) => Promise<number>;
  /** Asks the gate about each connection of the user again and cuts those it refuses. */
  readonly recheck: (subject: string) => Promise<void>;
  /** Hints every client to connect elsewhere, admits nobody any more, and closes what is left after `graceMs`. */
  readonly drain: (graceMs: number) => Promise<void>;
  /** Whether this request may begin a connection: `origin` where its page may not, `draining` where nobody may any more. */
  readonly admits: (request: IncomingMessage) => "yes" | "origin" | "draining";
  /** Takes a connection from another door of this process as if it were a socket with this token. */
  readonly connect: (request: IncomingMessage, accessToken: string | undefined, listener: InnerListener) => InnerConnection;
  /** Closes everything but the HTTP server, which is its owner's. */
  readonly close: () => Promise<void>;
  readonly figures: () => RealtimeFigures;
  /** For `/health/services`; undefined without Redis. */
  readonly checkRedis: (() => Promise<{ readonly state: "up" | "degraded"; readonly latencyMs: number }>) | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Clients come back spread over this time after a drain. */
const RECONNECT_SPREAD_MS = 5_000;

/** Begins to accept connections at `/socket.io`. */
export function createRealtime<Deps>(options: RealtimeOptions<Deps>): Realtime {
  return new RealtimeServer(options);
}

class RealtimeServer<Deps> implements Realtime {
  readonly pushes: LocalPushes;
  readonly checkRedis: Realtime["checkRedis"];
  readonly #options: RealtimeOptions<Deps>;
  readonly #io: Server;
  readonly #redis: RedisLink | undefined;
  readonly #sweep: Sweep;
  readonly #dispatch: (this: Socket, ...args: unknown[]) => void;
  readonly #onDisconnecting: (this: Socket) => void;
  #isDraining = false;

  constructor(options: RealtimeOptions<Deps>) {
    this.#options = options;
    this.#redis = options.redisUrl === undefined ? undefined : linkRedis(options.redisUrl, options.log);
    this.checkRedis = this.#redis === undefined ? undefined : checkOf(this.#redis, options.clock);
    this.#io = this.#open();
    this.pushes = createPushes(this.#io, !options.production);
    this.#dispatch = this.#dispatcher();
    this.#onDisconnecting = disconnectingListener(options);
    this.#sweep = new Sweep({
      ...options,
      sockets: this.#io.sockets.sockets,
      onRefused: this.#refuse,
      onExpired: (connection) => void this.#end([connection], "token.expired", ending.expiredFarewell),
      onSlow: (connection) => {
        connection.isCut = true;
        connection.socket.conn.close(true);
        options.observe?.cut?.("slow", 1);
      },
    });
    this.#io.on("connection", (socket) => this.#connected(socket));
  }

  readonly cut = async (revocation: Revocation): Promise<number> => {
    const { subject, sessionId, reason } = revocation;
    const connections = this.#connectionsOf(subject).filter(({ actor }) => sessionId === null || actor.sessionId === sessionId);
    const [first] = connections;
    if (first === undefined) return 0;
    // Before anything is waited for: what they send from now on is not looked at.
    for (const connection of connections) connection.isCut = true;
    const isRestricted = reason === ending.RESTRICTED;
    const notice = revocation.notice ?? (isRestricted ? await ending.noticeFromGate(this.#options.gate, first) : undefined);
    await this.#end(connections, reason, (connection) =>
      notice === undefined ? ending.revokedFarewell(connection, reason) : ending.restrictedFarewell(notice),
    );
    return connections.length;
  };

  readonly recheck = async (subject: string): Promise<void> => {
    const needs = { gate: this.#options.gate, log: this.#options.log, onRefused: this.#refuse };
    await Promise.all(this.#connectionsOf(subject).map((connection) => recheck(needs, connection)));
  };

  readonly drain = async (graceMs: number): Promise<void> => {
    this.#isDraining = true;
    await ending.inPieces([...this.#io.sockets.sockets.values()], (socket) =>
      socket.emit(serverDraining.name, { reconnectAfterMs: Math.round(Math.random() * RECONNECT_SPREAD_MS) }),
    );
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + graceMs;
    while (this.#io.sockets.sockets.size > 0 && clock.monotonicMs() < untilMs) await delay(20);
    // The transport only: after a disconnect by name clients would not come back by themselves.
    await ending.inPieces([...this.#io.sockets.sockets.values()], (socket) => socket.conn.close());
  };

  readonly admits: Realtime["admits"] = (request) => {
    if (this.#isDraining) return "draining";
    return isOriginAdmitted(this.#admissionNeeds(), request) ? "yes" : "origin";
  };

  readonly connect: Realtime["connect"] = (request, accessToken, listener) =>
    connectInner(this.#io, { request, accessToken, listener }, (sid) => {
      const socket = this.#io.sockets.sockets.get(sid);
      return socket === undefined ? undefined : connectionOf(socket);
    });

  readonly close = async (): Promise<void> => {
    this.#isDraining = true;
    this.#sweep.stop();
    const conns = [...this.#io.sockets.sockets.values()].map(({ conn }) => conn);
    this.#io.engine.close();
    for (const conn of conns as readonly unknown[]) if (conn instanceof InnerConn) conn.close();
    ending.dropLingering(conns);
    await this.#io.sockets.adapter.close();
    this.#redis?.close();
  };

  readonly figures = (): RealtimeFigures => ({
    connections: this.#io.sockets.sockets.size,
    users: this.pushes.roomsHere(userRoom("")).length,
    redis: this.#redis === undefined ? "off" : this.#redis.isUp() ? "up" : "down",
    pushesMissed: this.#redis?.missed() ?? 0,
  });

  #open(): Server {
    const options = this.#options;
    const admitted = this.#admissionNeeds();
    const io = new Server(options.server, {
      serveClient: false,
      parser: textParser,
      path: wire.path,
      transports: wire.transports,
      pingInterval: wire.pingIntervalMs,
      pingTimeout: wire.pingTimeoutMs,
      maxHttpBufferSize: wire.maxMessageBytes,
      connectTimeout: CONNECT_TIMEOUT_MS,
      perMessageDeflate: false,
      cors: { origin: (origin, done) => done(null, origin !== undefined && options.allowsOrigin(origin)), credentials: false },
      allowRequest: (request, done) => done(null, this.admits(request) === "yes"),
      ...(this.#redis === undefined ? {} : { adapter: this.#redis.adapter }),
    });
    io.use(admission(admitted));
    return io;
  }

  #admissionNeeds(): AdmissionNeeds {
    const { gate, throttle, clientOf, allowsOrigin, log, observe } = this.#options;
    return { gate, throttle, clientOf, allowsOrigin, log, onRefused: (code) => observe?.refused?.(code) };
  }

  #dispatcher(): (this: Socket, ...args: unknown[]) => void {
    const options = this.#options;
    return createDispatcher({
      ...options,
      events: [...options.events, ...kitEvents(options.gate)],
      checkAnswers: !options.production,
      onRefused: this.#refuse,
      onEvent: (name, outcome, durationMs) => options.observe?.event?.(name, outcome, durationMs),
    });
  }

  #connected(socket: Socket): void {
    const connection = connectionOf(socket);
    if (connection === undefined) throw new Error("a connection came past its admission");
    void socket.join(userRoom(connection.actor.userId));
    socket.onAny(this.#dispatch);
    socket.on("disconnecting", this.#onDisconnecting);
    for (const listener of this.#options.connections) listener.connected(this.#options.deps, connection);
    // Between the gate's answer and this moment a revocation would not have found it.
    void recheck({ gate: this.#options.gate, log: this.#options.log, onRefused: this.#refuse }, connection);
  }

  #connectionsOf(userId: string): Connection[] {
    const { rooms } = this.#io.sockets.adapter;
    const connections: Connection[] = [];
    for (const id of rooms.get(userRoom(userId)) ?? []) {
      const socket = this.#io.sockets.sockets.get(id);
      const connection = socket === undefined ? undefined : connectionOf(socket);
      if (connection !== undefined && !connection.isCut) connections.push(connection);
    }
    return connections;
  }

  readonly #refuse = (connection: Connection, problem: Problem): void => {
    if (connection.isCut) return;
    void this.#end([connection], problem.code, (one) => ending.farewellOf(one, problem));
  };

  async #end(connections: readonly Connection[], reason: string, farewell: (connection: Connection) => Farewell): Promise<void> {
    for (const connection of connections) if (reason !== "token.expired") connection.howEnded = "session_over";
    this.#options.observe?.cut?.(reason, connections.length);
    await ending.closeAll(connections, farewell);
  }
}

/** Shared by all sockets: which one it is about is its `this`. */
function disconnectingListener<Deps>({ connections, deps }: RealtimeOptions<Deps>): (this: Socket) => void {
  return function onDisconnecting(this: Socket): void {
    const connection = connectionOf(this);
    if (connection === undefined) return;
    for (const listener of connections) listener.disconnected(deps, connection, connection.howEnded);
  };
}

function checkOf(redis: RedisLink, clock: Clock): NonNullable<Realtime["checkRedis"]> {
  return async () => {
    const startedMs = clock.monotonicMs();
    const isUp = await redis.ping().then(
      () => true,
      () => false,
    );
    return { state: isUp ? "up" : "degraded", latencyMs: clock.monotonicMs() - startedMs };
  };
}
