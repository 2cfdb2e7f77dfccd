/** What the controller tells of itself, for metrics: the process registers them, this room only calls. */

import type { KubeObserver } from "./kube.ts";

/** Told of what happens. Must not throw. */
export interface ControllerObserver extends KubeObserver {
  /** One look at one resource ended. In ms. */
  readonly reconciled?: (look: { readonly outcome: "done" | "failed"; readonly durationMs: number }) => void;
  /** How long a key waited for a worker from when it was due, in ms. */
  readonly waited?: (waitedMs: number) => void;
  /** Somebody had lifted it by other means; it was imposed again. */
  readonly driftRepaired?: () => void;
  readonly watchRestarted?: (why: "gone" | "failed") => void;
}
