/** What there is to know of sockets, over REST. */

import type { Db } from "#src/db/pool";
import { route } from "#src/http/route";
import type { Realtime } from "#src/realtime/realtime";
import { wire } from "#src/realtime/wire";
import { socketInfoAction } from "./presence.actions.ts";
import { socketInfoSchema, socketStatsSchema } from "./presence.views.ts";
import { socketStats } from "./socket-stats.ts";

interface Deps {
  readonly db: Db;
  readonly realtime: Pick<Realtime, "figures">;
}

export const presenceRoutes = [
  route({
    method: "get",
    path: "/api/websocket/info",
    tag: "realtime",
    summary: "How to connect by Socket.IO",
    answers: { 200: { description: "Path, transports and limits", body: socketInfoSchema } },
    problems: [],
    throttle: socketInfoAction,
    needs: { kind: "anyone" },
    handle: async () => ({ status: 200, body: wire }),
  }),
  route({
    method: "get",
    path: "/api/websocket/stats",
    tag: "realtime",
    summary: "How many sockets are open",
    answers: { 200: { description: "Figures of this process and of all", body: socketStatsSchema } },
    problems: [],
    throttle: socketInfoAction,
    needs: { kind: "account", role: "moderator" },
    handle: async (deps: Deps) => ({ status: 200, body: await socketStats(deps) }),
  }),
];
