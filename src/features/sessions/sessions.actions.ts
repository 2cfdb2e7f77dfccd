/** How often the doors of this feature may be tried. */

import type { Action } from "#src/kernel/actor";

export const refreshAction: Action = { name: "sessions.refresh", limit: 600, windowSeconds: 60 };
export const endAction: Action = { name: "sessions.end", limit: 60, windowSeconds: 60 };
export const listAction: Action = { name: "sessions.list", limit: 120, windowSeconds: 60 };
export const keysAction: Action = { name: "sessions.keys", limit: 600, windowSeconds: 60 };
