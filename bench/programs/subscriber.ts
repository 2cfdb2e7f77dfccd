/** A neighbour's app behind its own daprd: takes every event of `users.v1` and tells when each came first. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { answerCalls } from "../kit/rpc.ts";

/** What came since the last `forget`. */
export interface Arrivals {
  /** When each event came first, in ms since the first of them, in order of arrival. */
  readonly atMs: readonly number[];
  readonly repeats: number;
}

interface Waiting {
  readonly isOver: () => boolean;
  readonly resolve: () => void;
}

/** Event id → when it came first, in ns of the machine's monotonic clock. */
const byId = new Map<string, bigint>();
/** Subject → when the last event about it came first. */
const bySubject = new Map<string, bigint>();
const waiting = new Set<Waiting>();
let repeats = 0;

async function take(request: IncomingMessage): Promise<void> {
  const nowNs = process.hrtime.bigint();
  const { id, subject } = (await json(request)) as { readonly id: string; readonly subject: string };
  if (byId.has(id)) {
    repeats += 1;
    return;
  }
  byId.set(id, nowNs);
  bySubject.set(subject, nowNs);
  for (const one of waiting) if (one.isOver()) one.resolve();
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = "" } = request;
  if (method === "POST" && url.startsWith("/events/")) {
    await take(request);
    return end(response, { status: "SUCCESS" });
  }
  return end(response, url === "/dapr/subscribe" ? [] : {});
}

function end(response: ServerResponse, answer: object): void {
  const body = JSON.stringify(answer);
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) }).end(body);
}

const server = createServer((request, response) => {
  serve(request, response).catch((error: unknown) => {
    console.error(error);
    response.writeHead(500, { "content-length": 0 }).end();
  });
});
const listening = new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

async function until(isOver: () => boolean, withinMs: number): Promise<void> {
  if (isOver()) return;
  await new Promise<void>((resolve, reject) => {
    const one: Waiting = { isOver, resolve: () => finish(resolve) };
    const timer = setTimeout(() => finish(() => reject(new Error(`only ${byId.size} events had come after ${withinMs} ms`))), withinMs);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      waiting.delete(one);
      settle();
    };
    waiting.add(one);
  });
}

answerCalls({
  port: async (): Promise<number> => {
    await listening;
    return (server.address() as AddressInfo).port;
  },
  forget: (): void => {
    byId.clear();
    bySubject.clear();
    repeats = 0;
  },
  /** Waits until `count` different events have come. */
  arrivals: async ({ count, withinMs }: { readonly count: number; readonly withinMs: number }): Promise<Arrivals> => {
    await until(() => byId.size >= count, withinMs);
    const times = [...byId.values()];
    const firstNs = times[0] ?? 0n;
    return { atMs: times.map((ns) => Number(ns - firstNs) / 1e6), repeats };
  },
  /** Waits for an event about `subject`; gives its time as text. */
  arrivalOf: async ({ subject, withinMs }: { readonly subject: string; readonly withinMs: number }): Promise<string> => {
    await until(() => bySubject.has(subject), withinMs);
    return String(bySubject.get(subject));
  },
});
