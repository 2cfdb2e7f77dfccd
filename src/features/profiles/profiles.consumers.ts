/** Tells connected clients that a profile changed: the user's own sockets and whoever watches them. */

import { z } from "zod";
import { userProfileUpdated } from "#src/contract/event-types";
import { consumer, success } from "#src/events/consumer";
import { serverEvent, type Pushes } from "#src/realtime/socket-event";

interface Deps {
  readonly pushes: Pushes;
}

const profileUpdated = serverEvent(
  "user:profile-updated",
  "A profile changed: your own, or one you watch. Carries the public part whole; keep the one with the highest profileVersion.",
  z.object({
    userId: z.uuid(),
    username: z.string(),
    displayName: z.string(),
    avatarUrl: z.string().nullable(),
    bio: z.string(),
    profileVersion: z.number().int(),
  }),
);

export const profilesConsumers = [
  consumer({
    name: "profiles.push-profile-updated",
    event: userProfileUpdated,
    delivery: "push",
    handle: async (deps: Deps, { data }) => {
      deps.pushes.toUser(data.userId, profileUpdated, data);
      deps.pushes.toRoom(`watch:${data.userId}`, profileUpdated, data);
      return success;
    },
  }),
];
