/** Work that is done later, at least once: declared as data, enqueued in the transaction that wants it. */

import type { z } from "zod";

/** A kind of job. `handle` may run more than once for one row and must bear that. */
export interface Job<Deps> {
  readonly kind: string;
  readonly summary: string;
  readonly payload: z.ZodType;
  readonly maxAttempts: number;
  /** After this long the signal is aborted and the attempt has failed; 30 s when left out. */
  readonly timeoutMs?: number;
  readonly handle: (
    deps: Deps,
    payload: never,
    signal: AbortSignal,
    job: { readonly id: string; readonly attempt: number },
  ) => Promise<void>;
}

/** Thrown by a handler: no further try can help and nobody has to look. The row is done, with this as its `last_error`. */
export class JobEnded extends Error {
  override readonly name = "JobEnded";
}

/** Work that comes round: a sweep. Runs in one process at a time; missing rounds are not made up for. */
export interface Sweep<Deps> {
  readonly name: string;
  readonly summary: string;
  readonly everyMs: number;
  /** After this long the signal is aborted and another process may begin the next round; 30 s when left out. */
  readonly timeoutMs?: number;
  readonly run: (deps: Deps, signal: AbortSignal) => Promise<void>;
}

/** Declares a job; the payload's type follows from its schema. */
export function job<Deps, Payload extends z.ZodType>(
  spec: Omit<Job<Deps>, "payload" | "handle"> & {
    readonly payload: Payload;
    readonly handle: (
      deps: Deps,
      payload: z.infer<Payload>,
      signal: AbortSignal,
      job: { readonly id: string; readonly attempt: number },
    ) => Promise<void>;
  },
): Job<Deps> {
  return spec as unknown as Job<Deps>;
}
