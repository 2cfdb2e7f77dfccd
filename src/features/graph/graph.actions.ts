/** How often the doors of the graph may be tried, and by whom. */

import type { Access, Action } from "#src/kernel/actor";

export const followAction: Action = { name: "graph.follow", limit: 120, windowSeconds: 60 };
export const unfollowAction: Action = { name: "graph.unfollow", limit: 120, windowSeconds: 60 };
export const followListAction: Action = { name: "graph.list", limit: 300, windowSeconds: 60 };
export const blockAction: Action = { name: "graph.block", limit: 60, windowSeconds: 60 };
export const muteAction: Action = { name: "graph.mute", limit: 60, windowSeconds: 60 };
export const answerRequestAction: Action = { name: "graph.answer_request", limit: 300, windowSeconds: 60 };
export const removeFollowerAction: Action = { name: "graph.remove_follower", limit: 300, windowSeconds: 60 };
export const relationshipsAction: Action = { name: "graph.relationships", limit: 300, windowSeconds: 60 };
export const ownListAction: Action = { name: "graph.own_list", limit: 300, windowSeconds: 60 };

/** The same on REST and GraphQL. */
export const follows = { kind: "account", capability: "follow", impersonation: { writes: "follow" } } as const satisfies Access;
export const unfollows = { kind: "account", impersonation: { writes: "unfollow" } } as const satisfies Access;
