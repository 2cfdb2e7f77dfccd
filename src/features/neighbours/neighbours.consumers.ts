/** Events of other services. */

import { socialStatsUpdated } from "#src/contract/neighbour-event-types";
import { neighbourConsumer, success, type Verdict } from "#src/events/consumer";
import { applySocialStats, type Taken } from "./social-stats.ts";

const drop = (reason: string): Verdict => ({ outcome: "DROP", reason });

const VERDICTS: Readonly<Record<Taken, Verdict>> = {
  applied: success,
  older: success,
  erased: success,
  "unknown-user": drop("unknown user"),
  "other-subject": drop("subject and data.userId differ"),
  "no-version": drop("neither data.version nor userversion"),
};

export const neighboursConsumers = [
  neighbourConsumer({
    name: "neighbours.social-stats",
    event: socialStatsUpdated,
    delivery: "once",
    handle: async (_deps: unknown, { data, subject, userVersion, time }, tx) =>
      VERDICTS[await applySocialStats(tx, { ...data, subject, envelopeVersion: userVersion, time })],
  }),
];
