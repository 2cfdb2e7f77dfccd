/** Clients of a running service who notice everything that goes wrong: a steady rate of requests, and sockets that stay open. */

import { io, type Socket } from "socket.io-client";
import { delay } from "#src/kernel/clock";
import { HttpClient, type Answer } from "../kit/http-client.ts";
import { until } from "../kit/until.ts";

/** Who asks. */
export interface LoadPerson {
  readonly accessToken: string;
}

/** A load that runs. */
export interface Load {
  /** Ends it when what is under way is answered. */
  readonly stop: () => Promise<LoadResult>;
}

/** What clients saw. */
export interface LoadResult {
  readonly requests: number;
  /** Requests that had no answer or another than 200, in words. */
  readonly failed: readonly string[];
  /** Milliseconds from sending to the whole answer, sorted. */
  readonly tookMs: readonly number[];
  /** How often a socket was closed and had been told to reconnect before. */
  readonly hinted: number;
  /** Why sockets were closed without having been told, in words. */
  readonly lost: readonly string[];
  /** Sockets open at the end. */
  readonly open: number;
}

/** As proxies do: connections that are kept, a few for each pod. */
const CONNECTIONS = 20;
const CHANGES_EVERY = 50;
const BACK_WITHIN_MS = 20_000;

/**
 * Sends `perSecond` requests a second, of which every fiftieth changes a profile, and keeps `sockets` connections open; one that is
 * told to reconnect does so when it is closed.
 */
export function startLoad(
  url: string,
  people: readonly LoadPerson[],
  { perSecond, sockets }: { readonly perSecond: number; readonly sockets: number },
): Load {
  const requests = startRequests(url, people, perSecond);
  const clients = Array.from({ length: sockets }, (_, index) => new KeptSocket(url, people[index % people.length] as LoadPerson));
  return {
    stop: async () => {
      const answered = await requests.stop();
      // Who was told to come back in some seconds does so then. Who has not by the end of this is counted as not open.
      await until(() => clients.every((client) => client.isOpen()), { withinMs: BACK_WITHIN_MS, everyMs: 50 }).catch(() => undefined);
      const result = {
        ...answered,
        hinted: clients.reduce((sum, client) => sum + client.hinted, 0),
        lost: clients.flatMap((client) => client.lost),
        open: clients.filter((client) => client.isOpen()).length,
      };
      for (const client of clients) client.close();
      return result;
    },
  };
}

type Answered = Pick<LoadResult, "requests" | "failed" | "tookMs">;

function startRequests(url: string, people: readonly LoadPerson[], perSecond: number): { readonly stop: () => Promise<Answered> } {
  const http = new HttpClient(url, { maxSockets: CONNECTIONS });
  const failed: string[] = [];
  const tookMs: number[] = [];
  const underWay = new Set<Promise<void>>();
  let count = 0;
  const send = async (index: number): Promise<Answer<unknown>> => {
    const token = people[index % people.length]?.accessToken;
    if (index % CHANGES_EVERY !== 0) return await http.get("/api/users/me", token);
    return await http.send("PATCH", "/api/users/me", { token, body: { bio: `change ${index}` } });
  };
  const one = async (index: number): Promise<void> => {
    try {
      const { status, body, sentMs, doneMs } = await send(index);
      tookMs.push(doneMs - sentMs);
      if (status !== 200) failed.push(`${status} ${JSON.stringify(body)}`);
    } catch (error) {
      failed.push(`${index % CHANGES_EVERY === 0 ? "PATCH" : "GET"}: ${String(error)}`);
    }
  };
  // Every 20 ms what is due by then, so that a late timer sends no fewer.
  const startMs = performance.now();
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) / 1_000) * perSecond);
    for (; count < due; count += 1) {
      const sent = one(count).finally(() => underWay.delete(sent));
      underWay.add(sent);
    }
  }, 20);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(underWay);
      http[Symbol.dispose]();
      return { requests: count, failed, tookMs: tookMs.toSorted((a, b) => a - b) };
    },
  };
}

/** A connection that comes back when it was told to. */
class KeptSocket {
  hinted = 0;
  readonly lost: string[] = [];
  readonly #socket: Socket;
  readonly #ended = new AbortController();
  #reconnectAfterMs: number | undefined;

  constructor(url: string, { accessToken }: LoadPerson) {
    this.#socket = io(url, { transports: ["websocket"], forceNew: true, reconnection: false, auth: { token: accessToken } });
    this.#socket.on("server:draining", ({ reconnectAfterMs }: { readonly reconnectAfterMs: number }) => {
      this.#reconnectAfterMs = reconnectAfterMs;
    });
    this.#socket.on("disconnect", (reason) => void this.#comeBack(reason));
    // Refused while it comes back: as a client does, it tries again.
    this.#socket.on("connect_error", (error) => void this.#again(200, error.message));
  }

  isOpen(): boolean {
    return this.#socket.connected;
  }

  close(): void {
    this.#ended.abort(new Error("the load has ended"));
    this.#socket.close();
  }

  async #comeBack(reason: string): Promise<void> {
    if (this.#ended.signal.aborted) return;
    const afterMs = this.#reconnectAfterMs;
    this.#reconnectAfterMs = undefined;
    if (afterMs === undefined) this.lost.push(reason);
    else this.hinted += 1;
    await this.#again(afterMs ?? 200, reason);
  }

  async #again(afterMs: number, _why: string): Promise<void> {
    await delay(afterMs, this.#ended.signal).catch(() => {});
    if (!this.#ended.signal.aborted) this.#socket.connect();
  }
}
