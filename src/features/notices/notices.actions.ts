/** How often one may ask, and who. */

import type { Access, Action } from "#src/kernel/actor";

export const listNoticesAction: Action = { name: "notices.list", limit: 120, windowSeconds: 60 };
export const listenAction: Action = { name: "notices.listen", limit: 120, windowSeconds: 60 };
export const markNoticeAction: Action = { name: "notices.mark", limit: 120, windowSeconds: 60 };

/** The same on REST and GraphQL. */
export const readsNotices = { kind: "account", restricted: "allowed", impersonation: "reads" } as const satisfies Access;
export const marksNotices = { kind: "account", restricted: "allowed" } as const satisfies Access;
