/** Whether the service answers: told once each way, and what waits since it was away is brought forward when it is back. */

import type { Outcome } from "#src/client/restrictions";
import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";

/** Not more often than this, in ms: one resource that always fails beside others that do not must not become a loop. */
const BACK_AT_MOST_EVERY_MS = 10_000;

/** Gives what is told of each call: what failed, or nothing. @param options.back something waits no more */
export function createReachability(options: {
  readonly clock: Clock;
  readonly log: Log;
  readonly back: () => void;
}): (failure: string | undefined) => void {
  let isAway = false;
  let lastBackMs = Number.NEGATIVE_INFINITY;
  return (failure) => {
    const nowMs = options.clock.monotonicMs();
    if (failure !== undefined && !isAway) {
      isAway = true;
      options.log.warn({ error: failure }, "the service does not answer as it should; restrictions stay as they are and it is asked again");
    } else if (failure === undefined && isAway && nowMs - lastBackMs >= BACK_AT_MOST_EVERY_MS) {
      isAway = false;
      lastBackMs = nowMs;
      options.log.info({}, "the service answers again");
      options.back();
    }
  };
}

/** Why a call got no answer of the contract, or nothing. */
export function failureOf(outcome: Outcome<unknown>): string | undefined {
  return outcome.kind === "unreachable" ? outcome.error : undefined;
}
