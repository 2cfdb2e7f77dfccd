/** How often admins may look and act. */

import type { Action } from "#src/kernel/actor";

export const lookAction: Action = { name: "admin.look", limit: 300, windowSeconds: 60 };
/** How many impersonations one admin may begin, counted in the database over all processes. */
export const IMPERSONATIONS_AN_HOUR = 20;
export const actAction: Action = { name: "admin.act", limit: 60, windowSeconds: 60 };
