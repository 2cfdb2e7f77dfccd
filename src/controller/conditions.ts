/** Conditions as Kubernetes' API conventions have them. Pure. */

import type { Condition, ConditionType, UserBanStatus } from "./userban.ts";

/** What is to be said now; when it was first said is found by `settle`. */
export type Said = Pick<Condition, "status" | "reason" | "message">;

/** In the order in which they are shown. `Held` comes with the limit on lifts. */
export type SaidConditions = Readonly<Record<Exclude<ConditionType, "Held">, Said | Condition>>;

const MESSAGE_LIMIT = 1024;

/** One that was written before. */
export function conditionOf(status: UserBanStatus | undefined, type: ConditionType): Condition | undefined {
  return status?.conditions?.find((one) => one.type === type);
}

/**
 * The conditions to write: `lastTransitionTime` moves exactly when the status does, and what was not looked at again keeps the
 * generation it was about. Whatever else stood there goes.
 */
export function settle(
  before: UserBanStatus | undefined,
  said: SaidConditions,
  at: { readonly generation: number; readonly now: Date },
): Condition[] {
  return Object.entries(said).map(([name, { status, reason, message, ...rest }]) => {
    const type = name as ConditionType;
    const known = conditionOf(before, type);
    return {
      type,
      status,
      observedGeneration: ("observedGeneration" in rest ? rest.observedGeneration : undefined) ?? at.generation,
      lastTransitionTime: known?.status === status ? known.lastTransitionTime : secondsText(at.now),
      reason,
      message: message.slice(0, MESSAGE_LIMIT),
    };
  });
}

/** The API keeps whole seconds. */
function secondsText(moment: Date): string {
  return moment.toISOString().replace(/\.\d{3}Z$/, "Z");
}
