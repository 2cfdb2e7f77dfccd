/** How often one's preferences may be read and changed. */

import type { Action } from "#src/kernel/actor";

export const readPreferencesAction: Action = { name: "preferences.read", limit: 300, windowSeconds: 60 };
export const changePreferencesAction: Action = { name: "preferences.change", limit: 60, windowSeconds: 60 };
