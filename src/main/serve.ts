/** The API: REST, GraphQL and Socket.IO on the public listener; events and calls of other apps on the sidecar's. */

import type { IncomingMessage, RequestListener } from "node:http";
import { warmUp } from "#src/db/pool";
import { eventTypes } from "#src/contract/event-types";
import { asyncApiDocument } from "#src/events/asyncapi";
import { Presence } from "#src/features/presence/public";
import { watchersAmong } from "#src/features/presence/presence.sockets";
import { readLink } from "#src/features/one-time-tokens/public";
import { gateProblems } from "#src/features/sessions/public";
import type { Config } from "#src/config/config";
import type { TrustedDocuments } from "#src/graphql/documents";
import { createGraphql, type Graphql } from "#src/graphql/graphql";
import { readManifest } from "#src/graphql/manifest";
import { openSubscriptions, type Subscriptions } from "#src/graphql/subscriptions";
import { clientOf } from "#src/http/client-address";
import { createCors } from "#src/http/cors";
import { healthRoutes } from "#src/http/health";
import { createPublicApp, type Mount, type PublicApp } from "#src/http/public-app";
import { createServer, type DrainableServer } from "#src/http/server";
import { LINK_PATH, linkPages } from "#src/http/link-pages";
import { startingListener } from "#src/http/starting";
import { createThrottle, type CountingThrottle } from "#src/http/throttle";
import type { Client } from "#src/kernel/actor";
import { createRealtime, type Realtime } from "#src/realtime/realtime";
import { kitEvents } from "#src/realtime/token-refresh";
import { serverEvents } from "#src/realtime/socket-event";
import { apiChecks, registerFigures } from "./checks.ts";
import { openIdentity, type ApiDeps, type CoreDeps, type Identity } from "./deps.ts";
import { observeOutbox, startInflow, startOutflow } from "./event-flow.ts";
import { features } from "./features.ts";
import { guardSessions, type SessionGuard } from "./guard.ts";
import { openSidecarDoor } from "./sidecar-door.ts";
import { version } from "./version.ts";
import type { Running } from "./work.ts";

/** The API's part of a process, listening. */
export interface RunningApi extends Running {
  readonly port: number;
}

/** How long open sockets get to leave by themselves once told, in ms. */
const SOCKET_GRACE_MS = 2_000;
/** How long requests in flight get, in ms. */
const REQUEST_GRACE_MS = 10_000;

const GRAPHQL_PATH = "/graphql";

/** What differs between the processes that serve. */
export interface ServeOptions {
  /** Whether events leave by this process too; else the worker's relay takes them. */
  readonly relaysHere: boolean;
  /** Aborted when the process is told to end before it has started. */
  readonly leaving: AbortSignal;
}

/**
 * Listens at once, waits for what it needs, then serves.
 * @throws Error when there are no keys or the port is taken
 */
export async function startApi(core: CoreDeps, options: ServeOptions): Promise<RunningApi> {
  const { config } = core;
  let listener: RequestListener = startingListener;
  const http = createServer((request, response) => listener(request, response));
  const port = await listen(http, [config.port, ...config.otherPorts], config.bindAddress);
  const identity = await openIdentity(core, options.leaving);
  const throttle = createThrottle({
    clock: core.clock,
    enabled: config.rateLimits,
    onLimited: (action) => core.metrics.rateLimited(action.name),
  });
  const guard = guardSessions(core, identity.accessTokens);
  const late = lateRealtime();
  const deps = apiDeps(core, identity, { realtime: late.get, guard });
  const parts: Parts = { core, deps, identity, guard, throttle, realtime: late.get };
  const graphql = await openGraphql(parts);
  let couldServe = false;
  const app = await openApp(parts, { graphql, http, isStarted: () => (couldServe ||= guard.feed.isFresh()) });
  const realtime = openRealtime(parts, http);
  late.set(realtime);
  guard.cutBy(realtime);
  const subscriptions = subscriptionsDoor(parts, http, graphql);
  deps.presence.start(watchersAmong(realtime.pushes));
  registerFigures({ ...parts, sharingAttempts: identity.sharingAttempts });
  const events = await startEvents(deps, options);
  await warmUp(core.db);
  listener = app.listener;
  return { port, stop: (signal) => stop({ ...parts, graphql, subscriptions, http, events }, signal) };
}

/** Events of both ways as far as they pass this process, and the listener that daprd brings them to. */
async function startEvents(deps: ApiDeps, { relaysHere }: ServeOptions): Promise<Running> {
  const outflow = relaysHere ? startOutflow(deps) : undefined;
  if (outflow === undefined) observeOutbox(deps);
  const inflow = startInflow(deps, outflow?.relay.nudge);
  const internal = features.flatMap((feature) => feature.internal ?? []);
  const door = await openSidecarDoor(deps, internal);
  return {
    stop: async (signal) => {
      await outflow?.stop(signal);
      // Deliveries that run may still bring receipts. When this listener has closed, daprd ends too.
      await door?.stop(signal);
      await deps.closeSidecar();
      await inflow.stop();
    },
  };
}

/** Listens on the first port that is free. @throws Error naming PORT when none is */
async function listen(http: DrainableServer, ports: readonly number[], address: string): Promise<number> {
  for (const port of ports) {
    try {
      return await http.listen(port, address);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
  throw new Error(`port ${ports.join(", ")} of ${address} is in use: end what listens there, or set PORT to another one`);
}

interface Parts {
  readonly core: CoreDeps;
  readonly deps: ApiDeps;
  readonly identity: Identity;
  readonly guard: SessionGuard;
  readonly throttle: CountingThrottle;
  readonly realtime: () => Realtime;
}

/** Consumers and routes push to sockets; sockets hand their events to use cases. One of the two must be named before it is there. */
function lateRealtime(): { readonly get: () => Realtime; readonly set: (realtime: Realtime) => void } {
  let made: Realtime | undefined;
  return {
    get: () => {
      if (made === undefined) throw new Error("sockets are not open yet");
      return made;
    },
    set: (realtime) => {
      made = realtime;
    },
  };
}

function apiDeps(core: CoreDeps, identity: Identity, { realtime, guard }: Pick<Parts, "realtime" | "guard">): ApiDeps {
  const pushes: ApiDeps["pushes"] = {
    toUser: (userId, event, payload) => realtime().pushes.toUser(userId, event, payload),
    toRoom: (room, event, payload) => realtime().pushes.toRoom(room, event, payload),
    leave: (userId, room) => realtime().pushes.leave(userId, room),
  };
  return {
    ...core,
    ...identity,
    onRegistration: core.metrics.registration,
    onLogin: core.metrics.login,
    revocationsSettled: () => guard.feed.settled(),
    pushes,
    realtime: { figures: () => realtime().figures() },
    presence: new Presence(core),
  };
}

function clientReader(core: CoreDeps): (request: IncomingMessage) => Client {
  return (request) => clientOf(request, core.config.trustedProxyHops);
}

async function openGraphql({ core, deps, guard, throttle }: Parts): Promise<Graphql> {
  return await createGraphql({
    parts: features.flatMap((feature) => feature.graphql ?? []),
    deps,
    gate: guard.gate,
    throttle,
    clientOf: clientReader(core),
    log: core.log,
    introspection: core.config.graphql.introspection,
    trusted: await trustedDocuments(core.config),
  });
}

/** Elsewhere than in production they are known by their hash, and others run beside them. */
async function trustedDocuments({ production, graphql: { documents } }: Config): Promise<TrustedDocuments | undefined> {
  return documents === undefined ? undefined : { manifest: await readManifest(documents), only: production };
}

async function openApp(
  parts: Parts,
  rest: { readonly graphql: Graphql; readonly http: DrainableServer; readonly isStarted: () => boolean },
): Promise<PublicApp> {
  const { core, deps, guard, throttle, identity } = parts;
  const { config, clock, log, metrics } = core;
  const health = healthRoutes({
    checks: apiChecks({ ...parts, sharingAttempts: identity.sharingAttempts }),
    vitalCheck: "database",
    clock,
    log,
    isStarted: rest.isStarted,
    isDraining: rest.http.isDraining,
    summary: metrics.summary,
    prometheus: metrics.prometheus,
    prometheusContentType: metrics.contentType,
  });
  return createPublicApp({
    ...config,
    routes: [...features.flatMap((feature) => feature.routes ?? []), ...health],
    deps,
    gate: guard.gate,
    accountProblems: gateProblems,
    throttle,
    clock,
    log,
    metrics,
    version,
    mounts: await mounts(parts, rest.graphql),
    asyncApi: asyncApi(core),
  });
}

async function mounts({ core, deps, throttle }: Parts, graphql: Graphql): Promise<Mount[]> {
  const pages = linkPages({
    pages: features.flatMap((feature) => feature.pages ?? []),
    deps,
    read: (token) => readLink(deps, token),
    throttle,
    clientOf: clientReader(core),
    log: core.log,
  });
  const open: Mount[] = [
    { path: GRAPHQL_PATH, methods: ["GET", "POST"], middleware: graphql.middleware },
    { path: LINK_PATH, methods: ["GET", "POST"], middleware: pages },
  ];
  if (core.config.production) return open;
  // Here only: what is for one machine is not in the image.
  const { mailboxPage } = await import("#src/mail/mailbox-page");
  const mailbox = mailboxPage(core);
  return [
    ...open,
    ...["/mailbox", "/mailbox/:messageId", "/mailbox/:messageId/html"].map((path): Mount => ({
      path,
      methods: ["GET"],
      middleware: mailbox,
    })),
  ];
}

function asyncApi(core: CoreDeps): object {
  return asyncApiDocument({
    eventTypes: eventTypes(),
    socketEvents: [...features.flatMap((feature) => feature.sockets ?? []), ...kitEvents(() => Promise.resolve(undefined))],
    serverEvents: serverEvents(),
    publicUrl: core.config.publicUrl,
    version,
  });
}

function openRealtime({ core, deps, guard, throttle }: Parts, http: DrainableServer): Realtime {
  const { config, clock, log } = core;
  return createRealtime({
    server: http.server,
    events: features.flatMap((feature) => feature.sockets ?? []),
    connections: features.flatMap((feature) => (feature.connections === undefined ? [] : [feature.connections])),
    deps,
    gate: guard.gate,
    throttle,
    clientOf: clientReader(core),
    allowsOrigin: createCors(config.corsOrigins).allows,
    redisUrl: config.redisUrl?.reveal(),
    clock,
    log,
    production: config.production,
  });
}

function subscriptionsDoor(
  { core, deps, guard, throttle, realtime }: Parts,
  { server }: DrainableServer,
  { schema, documents }: Graphql,
): Subscriptions {
  return openSubscriptions({
    server,
    path: GRAPHQL_PATH,
    schema,
    documents,
    deps,
    realtime: realtime(),
    gate: guard.gate,
    throttle,
    clientOf: clientReader(core),
    log: core.log,
    introspection: core.config.graphql.introspection,
  });
}

/** Hint the sockets, accept nothing more, finish what is in flight, then close what it needed. */
async function stop(
  parts: Parts & {
    readonly graphql: Graphql;
    readonly subscriptions: Subscriptions;
    readonly http: DrainableServer;
    readonly events: Running;
  },
  signal: AbortSignal,
): Promise<void> {
  const realtime = parts.realtime();
  const requests = parts.http.drain(REQUEST_GRACE_MS);
  await realtime.drain(SOCKET_GRACE_MS);
  await realtime.close();
  parts.subscriptions.close();
  await parts.deps.presence.stop();
  await requests;
  await parts.graphql.stop();
  await parts.events.stop(signal);
  await parts.guard.stop();
  await parts.identity.hasher.close();
  await parts.identity.breachedPasswords.close();
  await parts.identity.providers.close();
}
