/** How often the doors of this feature may be tried, and by whom. */

import type { Access, Action } from "#src/kernel/actor";

export const refreshAction: Action = { name: "sessions.refresh", limit: 600, windowSeconds: 60 };
export const endAction: Action = { name: "sessions.end", limit: 60, windowSeconds: 60 };
export const renameAction: Action = { name: "sessions.rename", limit: 60, windowSeconds: 60 };
export const listAction: Action = { name: "sessions.list", limit: 120, windowSeconds: 60 };
export const keysAction: Action = { name: "sessions.keys", limit: 600, windowSeconds: 60 };

/** The same on REST and GraphQL. */
export const leavesEverywhere = { kind: "account", restricted: "allowed" } as const satisfies Access;
/** Whoever is in somebody's place may always leave it. */
export const leaves = { ...leavesEverywhere, impersonation: { writes: "logout" } } as const satisfies Access;
