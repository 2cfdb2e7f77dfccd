/** Presence over sockets. */

import { z } from "zod";
import type { Db } from "#src/db/pool";
import { account, accountOrLook } from "#src/kernel/actor";
import { serverEvent, socketEvent, type ConnectionListener, type LocalPushes } from "#src/realtime/socket-event";
import { pingAction, setStatusAction, watchAction } from "./presence.actions.ts";
import { tooManyWatched } from "./presence.errors.ts";
import type { Presence, Watchers } from "./presence.ts";
import { nothing, setStatusPayload, watchPayload } from "./presence.schemas.ts";
import { statusSchema } from "./presence.views.ts";
import { profileRoom, watch, watchedIn, watchRoom } from "./watch.ts";

interface Deps {
  readonly db: Db;
  readonly presence: Presence;
}

export const userStatus = serverEvent(
  "user:status",
  "Somebody you watch came, went or is away. Delivered at most once: watch again after connecting to be told how everybody is.",
  statusSchema,
);

export const presenceSockets = [
  socketEvent({
    name: "presence:watch",
    summary: "Watch people and be told how they are now; those you may not see look offline",
    payload: watchPayload,
    answer: z.object({ statuses: z.array(statusSchema) }),
    needs: accountOrLook,
    throttle: watchAction,
    problems: [tooManyWatched],
    handle: async (deps: Deps, socket, { userIds }) => {
      const join = (room: string): Promise<void> => socket.join(room);
      const leave = (room: string): Promise<void> => socket.leave(room);
      return { statuses: await watch(deps, { viewer: socket.actor, userIds, watched: watchedIn(socket.rooms()), join, leave }) };
    },
  }),
  socketEvent({
    name: "presence:unwatch",
    summary: "Watch these people no more",
    payload: watchPayload,
    answer: z.object({ watching: z.number().int().describe("How many this connection still watches") }),
    needs: accountOrLook,
    throttle: watchAction,
    problems: [],
    handle: async (_deps: Deps, socket, { userIds }) => {
      for (const userId of userIds.map((id) => id.toLowerCase())) {
        await socket.leave(watchRoom(userId));
        await socket.leave(profileRoom(userId));
      }
      return { watching: watchedIn(socket.rooms()).length };
    },
  }),
  socketEvent({
    name: "presence:set",
    summary: "Say whether you are at this device; people see you online while one of your devices is",
    payload: setStatusPayload,
    answer: setStatusPayload,
    needs: account,
    throttle: setStatusAction,
    problems: [],
    handle: async (deps: Deps, socket, { status }) => {
      deps.presence.setStatus(socket.id, socket.actor.userId, status);
      return { status };
    },
  }),
  socketEvent({
    name: "activity:ping",
    summary: "Say that you were active just now; moves your last-seen time",
    payload: nothing,
    answer: nothing,
    needs: account,
    throttle: pingAction,
    problems: [],
    handle: async (deps: Deps, socket) => {
      deps.presence.touch(socket.actor.userId);
      return {};
    },
  }),
];

/** Somebody in a user's place makes nobody look online or seen. */
export const presenceConnections: ConnectionListener<Deps> = {
  connected: ({ presence }, socket) => {
    if (socket.actor.impersonatorId === undefined) presence.connected(socket.id, socket.actor.userId);
  },
  disconnected: ({ presence }, socket, how) => {
    if (socket.actor.impersonatorId === undefined) presence.disconnected(socket.id, socket.actor.userId, how);
  },
};

/** The watchers of this process. Every process tells its own, so that this works with and without Redis alike. */
export function watchersAmong(pushes: LocalPushes): Watchers {
  return {
    isWatched: (userId) => pushes.hasRoomHere(watchRoom(userId)),
    watched: () => watchedIn([...pushes.roomsHere(watchRoom("")), ...pushes.roomsHere(profileRoom(""))]),
    connectionsIn: (room) => pushes.connectionsHere(room),
    tell: (status) => pushes.toRoomHere(watchRoom(status.userId), userStatus, status),
  };
}
