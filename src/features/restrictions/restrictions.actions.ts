/** How often a moderator may ask. */

import type { Action } from "#src/kernel/actor";

export const restrictAction: Action = { name: "restrictions.impose", limit: 120, windowSeconds: 60 };
export const liftAction: Action = { name: "restrictions.lift", limit: 120, windowSeconds: 60 };
export const recordAction: Action = { name: "restrictions.record", limit: 300, windowSeconds: 60 };
