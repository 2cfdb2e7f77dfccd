/** The floor of a login: the service's own hasher with its threads, and nothing around it. */

import { createPasswordHasher, type PasswordHasher } from "#src/features/sign-in/public";
import { systemClock } from "#src/kernel/clock";
import { answerCalls } from "../kit/rpc.ts";

/** Told by the bench. */
export interface HashPlan {
  readonly cost: number;
  readonly password: string;
  readonly stored: string;
  readonly atOnce: number;
  readonly durationMs: number;
}

let hasher: PasswordHasher | undefined;

answerCalls({
  /** Verifications a second, between the first and the last to end. */
  run: async (plan: HashPlan): Promise<{ readonly count: number; readonly rate: number }> => {
    hasher ??= createPasswordHasher({ cost: plan.cost });
    const one = hasher;
    const endMs = systemClock.monotonicMs() + plan.durationMs;
    const endedMs: number[] = [];
    const go = async (): Promise<void> => {
      while (systemClock.monotonicMs() < endMs) {
        if (!(await one.verify(plan.password, plan.stored))) throw new Error("the password did not match");
        endedMs.push(systemClock.monotonicMs());
      }
    };
    await Promise.all(Array.from({ length: plan.atOnce }, go));
    const seconds = ((endedMs.at(-1) ?? 0) - (endedMs[0] ?? 0)) / 1000;
    return { count: endedMs.length, rate: seconds > 0 ? (endedMs.length - 1) / seconds : 0 };
  },
});
