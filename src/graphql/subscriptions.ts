/** Subscriptions at `/graphql` by the protocol graphql-transport-ws: one more door to what sockets are told. */

import type { IncomingMessage, Server as HttpServer } from "node:http";
import type { Duplex } from "node:stream";
import {
  getOperationAST,
  GraphQLError,
  Kind,
  specifiedRules,
  subscribe,
  validate,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLSchema,
  type SelectionSetNode,
} from "graphql";
import { handleProtocols, makeServer, type OperationResult, type ServerOptions } from "graphql-ws";
import { WebSocketServer, type RawData, type WebSocket } from "ws";
import { z } from "zod";
import type { Action, Client, Gate, Throttle } from "#src/kernel/actor";
import type { Log } from "#src/kernel/log";
import { Problem } from "#src/kernel/problem";
import { withRemoteTrace, type SpanSpec } from "#src/kernel/trace";
import { inPieces } from "#src/realtime/cut";
import type { Realtime } from "#src/realtime/realtime";
import { wire } from "#src/realtime/wire";
import { RequestContext } from "./context.ts";
import { COST_LIMIT, costOf } from "./cost.ts";
import { errorFormatter, originalOf } from "./errors.ts";
import type { Documents } from "./documents.ts";
import { documentInvalid, operationUnknown, requestInvalid, subscriptionsOnly, tooCostly } from "./graphql.errors.ts";
import { parseWithinLimits } from "./limits.ts";
import { CLOSE, Line } from "./line.ts";
import { bearerToken, readOperation } from "./request.ts";

export interface SubscriptionsOptions<Deps> {
  /** Socket.IO on the same server takes its own path. */
  readonly server: HttpServer;
  readonly path: string;
  readonly schema: GraphQLSchema;
  readonly deps: Deps;
  readonly realtime: Pick<Realtime, "admits" | "connect">;
  readonly gate: Gate;
  readonly throttle: Throttle;
  readonly clientOf: (request: IncomingMessage) => Client;
  readonly log: Log;
  readonly documents: Pick<Documents, "textOf">;
  /** Whether errors hint at misspelt names. */
  readonly introspection: boolean;
  /** In ms; given by tests only. */
  readonly timings?: { readonly initMs?: number; readonly keepAliveMs?: number };
}

export interface Subscriptions {
  /** Tells those who are left to come back elsewhere, and closes. Call it when the sockets are closed. */
  readonly close: () => void;
}

const INIT_MS = 10_000;
/** For people who type: a page opens a handful. */
const subscribeAction: Action = { name: "graphql.subscribe", limit: 240, windowSeconds: 60 };
const SPAN: SpanSpec = { name: "subscription", kind: "server", attributes: { "graphql.operation.type": "subscription" } };

/** Begins to accept websockets. */
export function openSubscriptions<Deps>(options: SubscriptionsOptions<Deps>): Subscriptions {
  const { server, realtime, path, timings } = options;
  const lines = new Set<Line<Deps>>();
  const protocol = makeServer(protocolOptions(options));
  const websockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: wire.maxMessageBytes,
    handleProtocols,
  });
  const opened = (socket: WebSocket, request: IncomingMessage): void => {
    const line = new Line<Deps>(socket, request);
    lines.add(line);
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (text) => line.send(text),
        close: (code = CLOSE.badRequest, reason = "") => line.close(code, reason),
        onMessage: (take) => listen(socket, line, options.log, take),
        // The library would send back whatever came with it.
        onPing: () => line.send(`{"type":"pong"}`),
      },
      line,
    );
    socket.once("close", (code, reason) => {
      lines.delete(line);
      line.gone();
      closed(code, reason.toString()).catch((error: unknown) => options.log.error({ error }, "a connection could not be put away"));
    });
  };
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.url?.split("?", 1)[0] !== path) return;
    const admits = realtime.admits(request);
    if (admits === "yes") websockets.handleUpgrade(request, socket, head, opened);
    else refuseUpgrade(socket, admits === "origin" ? "403 Forbidden" : "503 Service Unavailable");
  });
  const beats = setInterval(() => void inPieces([...lines], (line) => line.beat()), timings?.keepAliveMs ?? wire.pingIntervalMs);
  beats.unref();
  return {
    close: () => {
      clearInterval(beats);
      for (const line of lines) line.close(CLOSE.restart, "server.draining");
    },
  };
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.on("error", () => {});
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function listen<Deps>(socket: WebSocket, line: Line<Deps>, log: Log, take: (text: string) => Promise<void>): void {
  const heard = (): void => line.heard();
  // What ws refuses (a frame too long, no UTF-8) it closes itself.
  socket.on("error", () => {});
  socket.on("pong", heard);
  socket.on("ping", (data: Buffer) => {
    heard();
    line.pong(data);
  });
  socket.on("message", (data: RawData, isBinary: boolean) => {
    heard();
    // Frames that were on their way when it was closed.
    if (!line.isOpen) return;
    if (isBinary) return line.close(CLOSE.badRequest, "message.binary");
    // One Buffer: that is how ws gives messages unless it is told otherwise.
    take((data as Buffer).toString("utf8")).catch((error: unknown) => {
      const isTheirs = error instanceof Error && error.message.startsWith("Unexpected message of type");
      if (!isTheirs) log.error({ error: error instanceof Error ? error.stack : String(error) }, "a message of a subscriber failed");
      line.close(isTheirs ? CLOSE.badRequest : CLOSE.internalError, isTheirs ? "Invalid message received" : "service.internal_error");
    });
  });
}

/** Made ready in `onSubscribe`, so that every refusal is an `error` message. */
interface Ready extends ExecutionArgs {
  readonly result: OperationResult;
}

const initPayload = z.strictObject({ accessToken: z.string().max(4096).optional() });

function protocolOptions<Deps>(options: SubscriptionsOptions<Deps>): ServerOptions<Record<string, unknown>, Line<Deps>> {
  const format = errorFormatter(options.log, options);
  return {
    schema: options.schema,
    connectionInitWaitTimeout: options.timings?.initMs ?? INIT_MS,
    onConnect: async ({ connectionParams, extra: line }) => {
      const given = initPayload.safeParse(connectionParams ?? {});
      if (given.success)
        return await line.enter(options.realtime, given.data.accessToken ?? bearerToken(line.request.headers.authorization));
      line.close(CLOSE.badRequest, "input.invalid");
      return false;
    },
    onSubscribe: async ({ extra: line }, _id, payload) => {
      try {
        return await withRemoteTrace(undefined, SPAN, () => ready(options, line, payload));
      } catch (error) {
        return refusals([error], format);
      }
    },
    subscribe: (args) => (args as Ready).result,
    onNext: (...[, , , , result]) =>
      result.errors === undefined
        ? undefined
        : { data: result.data ?? null, errors: refusals(result.errors, format).map((error) => error.toJSON()) },
  };
}

/** The subscription, begun, or why it is not. @throws Problem of the kit's limits */
async function ready<Deps>(
  options: SubscriptionsOptions<Deps>,
  line: Line<Deps>,
  payload: unknown,
): Promise<Ready | readonly GraphQLError[]> {
  const { schema, documents, deps, gate, throttle, introspection } = options;
  const { socket, accessToken } = line.entered;
  throttle(subscribeAction, socket);
  const { operationName, variables, ...asked } = readOperation(payload);
  const text = documents.textOf(asked);
  // The protocol wants the document itself, whatever hash is beside it.
  if (text === undefined) throw new Problem(requestInvalid);
  const document = parseWithinLimits(text);
  const operation = getOperationAST(document, operationName);
  if (operation === null || operation === undefined) throw new Problem(operationUnknown);
  if (operation.operation !== "subscription") throw new Problem(subscriptionsOnly);
  if (hasDirectives(document, operation.selectionSet)) throw new Problem(documentInvalid, { detail: "The root field takes no directives" });
  const invalid = validate(schema, document, specifiedRules, { hideSuggestions: !introspection });
  if (invalid.length > 0)
    return refusals(
      invalid.map((error) => coded(error, "GRAPHQL_VALIDATION_FAILED")),
      errorFormatter(options.log, options),
    );
  if (costOf(schema, document, operation, variables ?? {}) > COST_LIMIT)
    throw new Problem(tooCostly, { extensions: { limit: COST_LIMIT } });
  const contextValue = new RequestContext(deps, { accessToken, client: socket.client, gate, throttle }, line);
  const args: ExecutionArgs = { schema, document, operationName, variableValues: variables, contextValue };
  const result = await subscribe(args);
  if (!("errors" in result)) return { ...args, result: result as AsyncGenerator<ExecutionResult> };
  // What nothing was thrown for are arguments that do not fit.
  const errors = result.errors?.map((error) => (originalOf(error) instanceof GraphQLError ? coded(error, "BAD_USER_INPUT") : error));
  return refusals(errors ?? [], errorFormatter(options.log, options));
}

/** A root field that may be skipped may leave none, which neither validation nor execution of graphql 16 expect. */
function hasDirectives(document: DocumentNode, set: SelectionSetNode, seen = new Set<string>()): boolean {
  return set.selections.some((selection) => {
    if ((selection.directives?.length ?? 0) > 0) return true;
    if (selection.kind === Kind.FIELD) return false;
    if (selection.kind === Kind.INLINE_FRAGMENT) return hasDirectives(document, selection.selectionSet, seen);
    const name = selection.name.value;
    if (seen.has(name)) return false;
    seen.add(name);
    return document.definitions.some(
      (one) => one.kind === Kind.FRAGMENT_DEFINITION && one.name.value === name && hasDirectives(document, one.selectionSet, seen),
    );
  });
}

function coded({ message, nodes }: GraphQLError, code: string): GraphQLError {
  return new GraphQLError(message, { nodes: nodes ?? null, extensions: { code } });
}

/** Errors as clients get them over HTTP. */
function refusals(errors: readonly unknown[], format: ReturnType<typeof errorFormatter>): GraphQLError[] {
  return errors.map((error) => {
    const one = error instanceof GraphQLError ? error : new GraphQLError("", { originalError: error as Error });
    const { message, extensions } = format(one.toJSON(), one);
    return new GraphQLError(message, { nodes: one.nodes ?? null, path: one.path ?? null, extensions: extensions ?? null });
  });
}
