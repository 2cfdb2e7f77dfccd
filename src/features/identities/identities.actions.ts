/** How often people may go to other providers. */

import type { Action } from "#src/kernel/actor";

export const listProvidersAction: Action = { name: "identities.providers", limit: 300, windowSeconds: 60 };
export const readIdentitiesAction: Action = { name: "identities.read", limit: 120, windowSeconds: 60 };
export const changeIdentitiesAction: Action = { name: "identities.change", limit: 30, windowSeconds: 60 };
