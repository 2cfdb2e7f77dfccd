/** An orderly end under load: nothing in flight fails, sockets are told before they are closed, and nothing is left. */

import { describe, expect, it } from "@jest/globals";
import { cloneDatabase } from "../kit/database.ts";
import { HttpClient } from "../kit/http-client.ts";
import { onDatabase, registerPeople, startApiProcess } from "../kit/service.ts";
import { until } from "../kit/until.ts";

const CALLERS = 12;
const SOCKETS = 50;

/** No connection was made: a client with another address would use that one. Anything else is a request that failed. */
function isNotAccepted(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ECONNREFUSED";
}

describe("SIGTERM under load", () => {
  it("finishes every request, hints every socket, and leaves no connection behind", async () => {
    await using database = await cloneDatabase();
    await using api = await startApiProcess({ database });
    using http = new HttpClient(api.url);
    const { ann, bob } = await registerPeople(http, ["ann", "bob"]);
    const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => api.socket(ann.accessToken)));
    using _closing = { [Symbol.dispose]: () => sockets.forEach((socket) => socket[Symbol.dispose]()) };

    const failed: string[] = [];
    const statuses = new Map<number, number>();
    let answeredAfterMs = 0;
    let signalledMs = Number.POSITIVE_INFINITY;
    const call = async (index: number): Promise<void> => {
      // Some keep their connection, as a load balancer does; some come with a new one each time.
      using own = new HttpClient(api.url, { maxSockets: 1 });
      const client = index % 3 === 0 ? own : http;
      for (let turn = 0; ; turn += 1) {
        try {
          const { status, doneMs } = await (turn % 2 === 0
            ? client.get("/api/users/me", ann.accessToken)
            : client.send(turn % 4 === 1 ? "POST" : "DELETE", `/api/users/${ann.id}/follow`, { token: bob.accessToken }));
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          if (doneMs > signalledMs) answeredAfterMs = Math.max(answeredAfterMs, doneMs - signalledMs);
        } catch (error) {
          if (!isNotAccepted(error)) failed.push(String(error));
          return;
        }
      }
    };
    const calling = Promise.all(Array.from({ length: CALLERS }, (_, index) => call(index)));
    await until(() => (statuses.get(200) ?? 0) > 200);
    signalledMs = performance.now();
    api.program.signal("SIGTERM");
    await calling;
    const exit = await api.program.exited;

    expect(failed).toEqual([]);
    expect([...statuses.keys()]).toEqual([200]);
    expect(answeredAfterMs).toBeGreaterThan(0);
    expect(exit).toEqual({ code: 0, signal: null });
    expect(performance.now() - signalledMs).toBeLessThan(15_000);
    const hints = sockets.map((socket) => socket.told.find(({ name }) => name === "server:draining"));
    for (const [index, socket] of sockets.entries()) {
      const { atMs = Number.NaN } = hints[index] ?? {};
      expect((socket.closed?.atMs ?? Number.NaN) - atMs).toBeGreaterThan(0);
      // Not a disconnect by name, after which clients stay away.
      expect(socket.closed?.reason).toBe("transport close");
    }
    // They come back spread over time.
    const delays = new Set(hints.map((hint) => (hint?.payload as { reconnectAfterMs: number } | undefined)?.reconnectAfterMs));
    expect(delays.size).toBeGreaterThan(SOCKETS / 2);
    const left =
      "select application_name from pg_stat_activity where datname = current_database() and application_name like 'user-service%'";
    expect(await onDatabase(database.adminUrl, left)).toEqual([]);
    expect(api.errors()).toEqual([]);
  }, 60_000);
});
