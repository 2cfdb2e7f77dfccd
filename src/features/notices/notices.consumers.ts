/** A new notice reaches the user's sockets when its transaction has committed. */

import { userNotified } from "#src/contract/event-types";
import type { Db } from "#src/db/pool";
import { consumer, success } from "#src/events/consumer";
import { channelsFor } from "#src/features/preferences/public";
import { serverEvent, type Pushes } from "#src/realtime/socket-event";
import { kindOf } from "./kinds.ts";
import { findNotice } from "./notices.sql.ts";
import { noticeSchema, noticeView } from "./notices.views.ts";

interface Needs {
  readonly db: Db;
  readonly pushes: Pushes;
}

export const notification = serverEvent("notification", "You got a notice; the same as one of /api/users/me/notices.", noticeSchema);

export const noticesConsumers = [
  consumer({
    name: "notices.push",
    event: userNotified,
    delivery: "push",
    handle: async (deps: Needs, event) => {
      const notice = await findNotice(deps.db, event.data.userId, event.data.noticeId);
      const kind = notice === undefined ? undefined : kindOf(notice.type);
      if (kind !== undefined && !(await channelsFor(deps.db, event.data.userId, kind)).push) return success;
      if (notice !== undefined) deps.pushes.toUser(event.data.userId, notification, noticeView(notice));
      return success;
    },
  }),
];
