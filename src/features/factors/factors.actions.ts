/** How often second factors may be changed and tried. */

import type { Action } from "#src/kernel/actor";

export const readFactorsAction: Action = { name: "factors.read", limit: 120, windowSeconds: 60 };
export const changeFactorsAction: Action = { name: "factors.change", limit: 30, windowSeconds: 60 };

/** Codes tried for one account, counted across processes. Whoever gets here knows the password or holds a session. */
export const factorBudget: Action = { name: "factors.code.account", limit: 10, windowSeconds: 15 * 60 };

export const readPasskeysAction: Action = { name: "factors.passkeys.read", limit: 120, windowSeconds: 60 };
export const changePasskeysAction: Action = { name: "factors.passkeys.change", limit: 60, windowSeconds: 60 };
