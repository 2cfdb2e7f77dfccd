/** How often the doors of discovery may be tried. */

import type { Action } from "#src/kernel/actor";

export const searchAction: Action = { name: "discovery.search", limit: 120, windowSeconds: 60 };
export const suggestAction: Action = { name: "discovery.suggest", limit: 60, windowSeconds: 60 };
export const dismissAction: Action = { name: "discovery.dismiss", limit: 60, windowSeconds: 60 };
