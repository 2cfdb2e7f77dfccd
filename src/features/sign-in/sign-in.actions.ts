/** How often people may register and try to sign in. */

import type { Action } from "#src/kernel/actor";

export const registerAction: Action = { name: "sign_in.register", limit: 300, windowSeconds: 60 };
export const loginAction: Action = { name: "sign_in.login", limit: 300, windowSeconds: 60 };

/** Counted across processes: guesses at one account, wherever they come from, and guesses from one address. */
export const loginAccountBudget: Action = { name: "sign_in.login.account", limit: 20, windowSeconds: 15 * 60 };
export const loginAddressBudget: Action = { name: "sign_in.login.address", limit: 300, windowSeconds: 15 * 60 };
