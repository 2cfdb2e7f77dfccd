/** How often addresses may be confirmed and changed. */

import type { Action } from "#src/kernel/actor";

export const verifyAction: Action = { name: "addresses.verify", limit: 60, windowSeconds: 60 };
export const resendAction: Action = { name: "addresses.resend", limit: 30, windowSeconds: 60 };
export const changeAction: Action = { name: "addresses.change", limit: 30, windowSeconds: 60 };
