/** How often the doors of the graph may be tried. */

import type { Action } from "#src/kernel/actor";

export const followAction: Action = { name: "graph.follow", limit: 120, windowSeconds: 60 };
export const unfollowAction: Action = { name: "graph.unfollow", limit: 120, windowSeconds: 60 };
export const followListAction: Action = { name: "graph.list", limit: 300, windowSeconds: 60 };
