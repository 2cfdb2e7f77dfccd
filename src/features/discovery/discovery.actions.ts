/** How often the doors of discovery may be tried. */

import type { Action } from "#src/kernel/actor";

export const searchAction: Action = { name: "discovery.search", limit: 120, windowSeconds: 60 };
