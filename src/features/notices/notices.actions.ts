/** How often one may ask. */

import type { Action } from "#src/kernel/actor";

export const listNoticesAction: Action = { name: "notices.list", limit: 120, windowSeconds: 60 };
export const markNoticeAction: Action = { name: "notices.mark", limit: 120, windowSeconds: 60 };
