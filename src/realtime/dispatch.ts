/** One function that takes every event of every connection: gate, throttle, schema, handler, acknowledgement. */

import type { Socket } from "socket.io";
import type { Action, Gate, Throttle } from "#src/kernel/actor";
import type { Log } from "#src/kernel/log";
import { inputInvalid, internalError, Problem } from "#src/kernel/problem";
import { problemDocument } from "#src/kernel/problem-document";
import { currentSpan, errorTypeOf, isTracing, withRemoteTrace, type Span } from "#src/kernel/trace";
import { findUnsafeText } from "#src/kernel/unsafe-text";
import type { Clock } from "#src/kernel/clock";
import { askAgain, connectionOf, type Connection } from "./connection.ts";
import { eventQueueFull, eventUnknown } from "./realtime.errors.ts";
import type { SocketEvent } from "./socket-event.ts";

export interface DispatchNeeds<Deps> {
  readonly events: readonly SocketEvent<Deps>[];
  readonly deps: Deps;
  readonly gate: Gate;
  readonly throttle: Throttle;
  readonly clock: Clock;
  readonly log: Log;
  /** Hold answers to their declared schema; for tests and development. */
  readonly checkAnswers: boolean;
  /** Told when the gate refused the connection itself and not just this event. */
  readonly onRefused: (connection: Connection, problem: Problem) => void;
  /** Told of each event, for metrics: `outcome` is `ok` or a problem's code. */
  readonly onEvent: (name: string, outcome: string, durationMs: number) => void;
}

type Ack = (answer: unknown) => void;

/** Events of one connection that may wait for those before them. */
const MOST_WAITING = 100;
const unknownEvent: Action = { name: "realtime.unknown_event", limit: 60, windowSeconds: 60 };

/** Made once; hand it to `socket.onAny` of each socket, whose `this` it reads. */
export function createDispatcher<Deps>(needs: DispatchNeeds<Deps>): (this: Socket, ...args: unknown[]) => void {
  const events = new Map(needs.events.map((event) => [event.name, event]));
  if (events.size !== needs.events.length) throw new Error("two socket events have the same name");
  return function dispatch(this: Socket, ...args: unknown[]): void {
    const connection = connectionOf(this);
    if (connection === undefined || connection.isCut) return;
    const ack = typeof args.at(-1) === "function" ? (args.pop() as Ack) : undefined;
    if (connection.waiting >= MOST_WAITING) {
      ack?.(refusal(new Problem(eventQueueFull)));
      return;
    }
    connection.waiting += 1;
    const [name, ...payloads] = args;
    const work = (): Promise<void> | undefined =>
      connection.isCut
        ? undefined
        : traced(needs, events.get(String(name)), { connection, name: String(name), payloads, ack, isSessionOver: false });
    const done = (connection.last ?? Promise.resolve()).then(work).finally(() => {
      connection.waiting -= 1;
      if (connection.waiting === 0) connection.last = undefined;
    });
    connection.last = done;
  };
}

interface Arrival {
  readonly connection: Connection;
  readonly name: string;
  readonly payloads: readonly unknown[];
  readonly ack: Ack | undefined;
  isSessionOver: boolean;
}

/** Each event is a trace of its own: a connection lives for hours, and who opened it has no part in what it does then. */
function traced<Deps>(needs: DispatchNeeds<Deps>, event: SocketEvent<Deps> | undefined, arrival: Arrival): Promise<void> {
  if (!isTracing()) return answer(needs, event, arrival);
  // The name of an event that is none is the client's to choose.
  const name = event?.name ?? "(unknown)";
  const attributes = { "socketio.event": name, "enduser.id": arrival.connection.actor.userId };
  return withRemoteTrace(undefined, { name: `socket ${name}`, kind: "server", attributes }, () => answer(needs, event, arrival));
}

/** Never rejects. */
async function answer<Deps>(needs: DispatchNeeds<Deps>, event: SocketEvent<Deps> | undefined, arrival: Arrival): Promise<void> {
  const startedMs = needs.clock.monotonicMs();
  const { connection, ack } = arrival;
  let outcome = "ok";
  try {
    const data = await handle(needs, event, arrival);
    ack?.({ ok: true, data });
  } catch (error) {
    const problem = error instanceof Problem ? error : new Problem(internalError);
    const span = currentSpan();
    if (problem !== error) {
      const text = error instanceof Error ? error.stack : String(error);
      needs.log.error({ event: event?.name, error: text, traceId: span?.traceId }, "a socket event failed");
    }
    outcome = problem.code;
    noteRefusal(span, problem, error);
    ack?.(refusal(problem));
    if (arrival.isSessionOver) needs.onRefused(connection, problem);
  }
  needs.onEvent(event?.name ?? "unknown", outcome, needs.clock.monotonicMs() - startedMs);
}

function noteRefusal(span: Span | undefined, problem: Problem, error: unknown): void {
  span?.set({ "problem.code": problem.code });
  if (problem.type.status >= 500) span?.fail(errorTypeOf(error));
}

async function handle<Deps>(needs: DispatchNeeds<Deps>, event: SocketEvent<Deps> | undefined, arrival: Arrival): Promise<unknown> {
  const { connection, payloads } = arrival;
  if (event === undefined) {
    needs.throttle(unknownEvent, connection);
    throw new Problem(eventUnknown);
  }
  try {
    await askAgain(needs.gate, connection, event.needs);
  } catch (error) {
    arrival.isSessionOver = error instanceof Problem && isSessionOver(error);
    throw error;
  }
  needs.throttle(event.throttle, connection);
  const data = await event.handle(needs.deps, connection, parsePayload(event, payloads) as never);
  if (needs.checkAnswers) event.answer.parse(data);
  return data;
}

function parsePayload<Deps>(event: SocketEvent<Deps>, payloads: readonly unknown[]): unknown {
  if (payloads.length > 1) throw invalid([{ path: "payload", message: "must be one object" }]);
  const given = payloads[0] ?? {};
  const unsafe = findUnsafeText(given, "payload");
  if (unsafe !== undefined) throw invalid([unsafe]);
  const parsed = event.payload.safeParse(given);
  if (parsed.success) return parsed.data;
  throw invalid(
    parsed.error.issues.slice(0, 20).map((issue) => ({ path: ["payload", ...issue.path].map(String).join("."), message: issue.message })),
  );
}

function invalid(errors: readonly { readonly path: string; readonly message: string }[]): Problem {
  return new Problem(inputInvalid, { errors });
}

function refusal(problem: Problem): { readonly ok: false; readonly error: ReturnType<typeof problemDocument> } {
  return { ok: false, error: problemDocument(problem) };
}

const ABOUT_THE_SESSION = /^(token\.(missing|invalid|expired)|session\.|account\.restricted$)/;

/** Whether the gate said that this session, not just this event, is over. */
export function isSessionOver(problem: Problem): boolean {
  return (problem.type.status === 401 || problem.type.status === 403) && ABOUT_THE_SESSION.test(problem.code);
}
