/** Tells the followee's connected clients of a follow and of its end. */

import { z } from "zod";
import { userFollowed, userUnfollowed } from "#src/contract/event-types";
import { consumer, success } from "#src/events/consumer";
import { serverEvent, type Pushes } from "#src/realtime/socket-event";

interface Deps {
  readonly pushes: Pushes;
}

const edge = z.object({
  followerId: z.uuid(),
  followeeId: z.uuid(),
  edgeVersion: z.number().int().describe("Grows with each change of this pair; a lower one is older news"),
});

const followed = serverEvent("user:followed", "Someone began to follow you.", edge);
const unfollowed = serverEvent("user:unfollowed", "Someone who followed you does so no more.", edge);

export const graphConsumers = [
  consumer({
    name: "graph.push-followed",
    event: userFollowed,
    delivery: "push",
    handle: async (deps: Deps, { data }) => {
      deps.pushes.toUser(data.followeeId, followed, data);
      return success;
    },
  }),
  consumer({
    name: "graph.push-unfollowed",
    event: userUnfollowed,
    delivery: "push",
    handle: async (deps: Deps, { data }) => {
      deps.pushes.toUser(data.followeeId, unfollowed, data);
      return success;
    },
  }),
];
