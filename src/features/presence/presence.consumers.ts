/** A block ends watching at once, where the adapter reaches; each process finds out by itself a moment later in any case. */

import { userBlocked } from "#src/contract/event-types";
import { consumer, success } from "#src/events/consumer";
import type { LocalPushes } from "#src/realtime/socket-event";
import { profileRoom, watchRoom } from "./watch.ts";

interface Deps {
  readonly pushes: Pick<LocalPushes, "leave">;
}

export const presenceConsumers = [
  consumer({
    name: "presence.end-watching",
    event: userBlocked,
    delivery: "push",
    handle: async ({ pushes }: Deps, { data: { blockerId, blockedId } }) => {
      for (const room of [watchRoom(blockerId), profileRoom(blockerId)]) pushes.leave(blockedId, room);
      for (const room of [watchRoom(blockedId), profileRoom(blockedId)]) pushes.leave(blockerId, room);
      return success;
    },
  }),
];
