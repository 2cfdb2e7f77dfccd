/** Sending to users and rooms: through the adapter, in slices. */

import type { Server, Socket } from "socket.io";
import { connectionOf, userRoom } from "./connection.ts";
import { Slices } from "./slices.ts";
import type { LocalPushes, ServerEvent } from "./socket-event.ts";

/** @param checkPayloads hold payloads to their declared schema, for tests and development */
export function createPushes(io: Server, checkPayloads: boolean): LocalPushes {
  deliverInSlices(io);
  const { rooms } = io.sockets.adapter;
  const checked = <Data>(event: ServerEvent<Data>, payload: Data): Data => (checkPayloads ? event.payload.parse(payload) : payload);
  return {
    toUser: (userId, event, payload) => void io.to(userRoom(userId)).emit(event.name, checked(event, payload)),
    toRoom: (room, event, payload) => void io.to(room).emit(event.name, checked(event, payload)),
    toRoomHere: (room, event, payload) => void io.local.to(room).emit(event.name, checked(event, payload)),
    hasRoomHere: (room) => rooms.has(room),
    leave: (userId, room) => io.in(userRoom(userId)).socketsLeave(room),
    connectionsHere: (room) =>
      [...(rooms.get(room) ?? [])].flatMap((id) => {
        const socket = io.sockets.sockets.get(id);
        return (socket && connectionOf(socket)) ?? [];
      }),
    roomsHere: (prefix) => [...rooms.keys()].filter((room) => room.startsWith(prefix)),
  };
}

interface Deliverer {
  apply: (options: object, deliver: (socket: Socket) => void) => void;
}

// The adapter finds a message's recipients and writes to them in `apply`, also for messages of other processes. It encodes
// a message once for all of them, which sending to parts of a room would not.
function deliverInSlices(io: Server): void {
  const adapter = io.sockets.adapter as unknown as Deliverer;
  const find = adapter.apply.bind(adapter);
  const slices = new Slices();
  adapter.apply = (options, deliver) => {
    const recipients: Socket[] = [];
    find(options, (socket) => recipients.push(socket));
    slices.each(recipients, deliver);
  };
}
