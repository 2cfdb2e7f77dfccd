/** How often the doors of presence may be tried. */

import type { Action } from "#src/kernel/actor";

export const watchAction: Action = { name: "presence.watch", limit: 120, windowSeconds: 60 };
export const setStatusAction: Action = { name: "presence.set", limit: 60, windowSeconds: 60 };
export const pingAction: Action = { name: "presence.ping", limit: 60, windowSeconds: 60 };
export const socketInfoAction: Action = { name: "presence.socket_info", limit: 120, windowSeconds: 60 };
