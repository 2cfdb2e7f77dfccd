/** Tells connected clients of follows and requests, and leaves notices of requests; nobody hears of whom they muted or blocked. */

import { z } from "zod";
import { followAccepted, followRequested, userFollowed, userUnfollowed } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { consumer, success } from "#src/events/consumer";
import { serverEvent, type Pushes } from "#src/realtime/socket-event";
import { noteAccepted, noteFollowed, noteRequest } from "./note-requests.ts";
import { selectIsQuiet } from "./mute.sql.ts";

interface Deps {
  readonly db: Db;
  readonly pushes: Pushes;
}

const edge = z.object({
  followerId: z.uuid(),
  followeeId: z.uuid(),
  edgeVersion: z.number().int().describe("Grows with each change of this pair; a lower one is older news"),
});

const followed = serverEvent("user:followed", "Someone began to follow you.", edge);
const unfollowed = serverEvent("user:unfollowed", "Someone who followed you does so no more.", edge);
const requested = serverEvent("user:follow-requested", "Someone asks to follow you.", edge);

/** The followee does not want to hear of the follower, or must not. */
const isQuiet = (deps: Deps, { followerId, followeeId }: z.infer<typeof edge>): Promise<boolean> =>
  selectIsQuiet(deps.db, { actorId: followeeId, otherId: followerId });

export const graphConsumers = [
  consumer({
    name: "graph.push-followed",
    event: userFollowed,
    delivery: "push",
    handle: async (deps: Deps, { data }) => {
      if (!(await isQuiet(deps, data))) deps.pushes.toUser(data.followeeId, followed, data);
      return success;
    },
  }),
  consumer({
    name: "graph.push-unfollowed",
    event: userUnfollowed,
    delivery: "push",
    handle: async (deps: Deps, { data }) => {
      if (!(await isQuiet(deps, data))) deps.pushes.toUser(data.followeeId, unfollowed, data);
      return success;
    },
  }),
  consumer({
    name: "graph.push-follow-requested",
    event: followRequested,
    delivery: "push",
    handle: async (deps: Deps, { data }) => {
      if (!(await isQuiet(deps, data))) deps.pushes.toUser(data.followeeId, requested, data);
      return success;
    },
  }),
  consumer({
    name: "graph.note-followed",
    event: userFollowed,
    delivery: "once",
    handle: async (_deps: Deps, { data }, tx) => {
      await noteFollowed(tx, data);
      return success;
    },
  }),
  consumer({
    name: "graph.note-requested",
    event: followRequested,
    delivery: "once",
    handle: async (_deps: Deps, { data }, tx) => {
      await noteRequest(tx, data);
      return success;
    },
  }),
  consumer({
    name: "graph.note-accepted",
    event: followAccepted,
    delivery: "once",
    handle: async (_deps: Deps, { data }, tx) => {
      await noteAccepted(tx, data);
      return success;
    },
  }),
];
