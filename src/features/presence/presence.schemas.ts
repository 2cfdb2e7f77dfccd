/** What clients send about presence. */

import { z } from "zod";

/** How many ids one event may name. */
export const MOST_IDS = 500;

export const watchPayload = z.strictObject({
  userIds: z.array(z.uuid()).min(1).max(MOST_IDS).describe("People to watch; repeats count once"),
});

export const setStatusPayload = z.strictObject({ status: z.enum(["online", "away"]) });

export const nothing = z.strictObject({});
