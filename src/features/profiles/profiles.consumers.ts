/** Tells connected clients that a profile changed: the user's own sockets, and whoever watches them and may see it. */

import { z } from "zod";
import { userProfileUpdated } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { consumer, success } from "#src/events/consumer";
import { delay } from "#src/kernel/clock";
import { serverEvent, type Pushes } from "#src/realtime/socket-event";
import { selectIsUnsettled } from "./tie-changes.sql.ts";

interface Deps {
  readonly db: Db;
  readonly pushes: Pushes;
}

export const profileUpdated = serverEvent(
  "user:profile-updated",
  "A profile changed: your own, or one you watch and may see. Carries what a profile shows whole, but for counters and address; keep the one with the highest profileVersion.",
  z.object({
    userId: z.uuid(),
    username: z.string(),
    displayName: z.string(),
    avatarUrl: z.string().nullable(),
    bio: z.string(),
    ...z
      .object({
        links: z.array(z.object({ label: z.string(), url: z.string() })),
        pronouns: z.string().nullable(),
        location: z.string().nullable(),
        timezone: z.string().nullable(),
      })
      .partial().shape,
    previousUsername: z.string().optional().describe("There where the name changed: the one that was left"),
    profileVersion: z.number().int(),
  }),
);

/** By then every process has taken those out of a profile's room who may not see it any more: each looks every half second. */
const SETTLED_AFTER_MS = 1_000;

export const profilesConsumers = [
  consumer({
    name: "profiles.push-profile-updated",
    event: userProfileUpdated,
    delivery: "push",
    handle: async (deps: Deps, { data }) => {
      const { userId, username, displayName, avatarUrl, bio, details, previousUsername, profileVersion } = data;
      const profile = {
        userId,
        username,
        displayName,
        avatarUrl,
        bio,
        profileVersion,
        ...details,
        ...(previousUsername !== undefined && { previousUsername }),
      };
      deps.pushes.toUser(userId, profileUpdated, profile);
      // Blocked, or shut out by a setting, and this is newer than that: they must not be told.
      if (await selectIsUnsettled(deps.db, userId)) await delay(SETTLED_AFTER_MS);
      deps.pushes.toRoom(`profile:${userId}`, profileUpdated, profile);
      return success;
    },
  }),
];
