/** How often the doors of profiles may be tried. */

import type { Action } from "#src/kernel/actor";

export const readMeAction: Action = { name: "profiles.me", limit: 1200, windowSeconds: 60 };
export const readProfileAction: Action = { name: "profiles.read", limit: 600, windowSeconds: 60 };
export const updateProfileAction: Action = { name: "profiles.update", limit: 30, windowSeconds: 60 };
