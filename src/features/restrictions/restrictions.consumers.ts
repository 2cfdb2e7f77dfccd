/** What the sockets of the account itself are told, after the commit; and restrictions that waited for whoever registers. */

import { z } from "zod";
import { userRegistered, userRestored, userRestricted } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { consumer, success } from "#src/events/consumer";
import { serverEvent, type Pushes } from "#src/realtime/socket-event";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";
import { imposeAwaited } from "./impose-awaited.ts";
import { noticeFor } from "./notice-for.ts";
import { restrictionNoticeSchema } from "./restrictions.views.ts";

interface Needs {
  readonly db: Db;
  readonly clock: Clock;
  readonly log: Log;
  readonly pushes: Pushes;
}

const accountRestricted = serverEvent(
  "account:restricted",
  "Your account is restricted. After a suspension or ban the socket is closed.",
  restrictionNoticeSchema,
);

const accountRestored = serverEvent(
  "account:restored",
  "A restriction of your account ended or was lifted; `status` says how the account stands now.",
  z.object({
    kind: z.enum(["limit", "suspend", "ban"]),
    status: z.enum(["active", "suspended", "banned", "deactivated", "erased"]),
  }),
);

export const restrictionsConsumers = [
  consumer({
    name: "restrictions.push-restricted",
    event: userRestricted,
    delivery: "push",
    // Suspensions and bans are told by whoever cuts the sockets; by the time of this event there are none left.
    handle: async (deps: Needs, { data: { userId } }) => {
      const notice = await noticeFor(deps.db, userId);
      if (notice?.kind === "limit") deps.pushes.toUser(userId, accountRestricted, notice);
      return success;
    },
  }),
  consumer({
    name: "restrictions.push-restored",
    event: userRestored,
    delivery: "push",
    handle: (deps: Needs, { data: { userId, kind, status } }) => {
      deps.pushes.toUser(userId, accountRestored, { kind, status });
      return Promise.resolve(success);
    },
  }),
  consumer({
    name: "restrictions.impose-awaited",
    event: userRegistered,
    delivery: "once",
    handle: async (deps: Needs, { data: { userId } }, tx) => {
      await imposeAwaited(deps, tx, userId);
      return success;
    },
  }),
];
