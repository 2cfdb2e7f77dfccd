/** Asks the parts we depend on how they are: each at most once a second, never twice at once, never without end. */

import type { Clock } from "#src/kernel/clock";
import type { Log } from "#src/kernel/log";

/** How a part is. */
export type PartState = "up" | "degraded" | "down";

/** One answer of a check. */
export interface CheckResult {
  readonly state: PartState;
  readonly latencyMs: number;
  /** A word for operators; no secret, no address. */
  readonly detail?: string;
}

/** A part and how to ask for its state. A check that throws or takes over a second means `down`. */
export interface Check {
  readonly name: string;
  readonly check: () => Promise<CheckResult>;
}

/** A part's state, and since when it is so. */
export interface PartHealth extends CheckResult {
  readonly since: Date;
  /** The same moment on the monotonic clock, for telling how long. */
  readonly sinceMonotonicMs: number;
}

/** How old a result may be when it is handed out again, in ms. */
const FRESH_MS = 1_000;
/** How long one check may take, in ms. */
const CHECK_LIMIT_MS = 1_000;

export interface HealthBoard {
  /** The state of every part, at most a second old. */
  readonly read: () => Promise<Readonly<Record<string, PartHealth>>>;
  /** What is known of one part, at once; asks anew behind the caller's back. A probe must not wait for what may be hanging. */
  readonly latest: (name: string) => PartHealth | undefined;
}

/** However many probes come, each part is asked at most once in `FRESH_MS`. Whoever reads the log is told when a part's state changes, and why. */
export function createHealthBoard(checks: readonly Check[], { clock, log }: { readonly clock: Clock; readonly log: Log }): HealthBoard {
  const parts = new Map(checks.map((check) => [check.name, watched(check, clock, log)]));
  return {
    read: async () => Object.fromEntries(await Promise.all([...parts].map(async ([name, part]) => [name, await part.read()] as const))),
    latest: (name) => parts.get(name)?.latest(),
  };
}

interface Part {
  readonly read: () => Promise<PartHealth>;
  readonly latest: () => PartHealth | undefined;
}

function watched({ name, check }: Check, clock: Clock, log: Log): Part {
  let known: PartHealth | undefined;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let asking: Promise<PartHealth> | undefined;
  const ask = async (): Promise<PartHealth> => {
    const { error, ...result } = await bounded(check);
    const same = known?.state === result.state ? known : undefined;
    if (same === undefined) tellChange(log, name, { ...result, error }, known && clock.monotonicMs() - known.sinceMonotonicMs);
    known = { ...result, since: same?.since ?? clock.now(), sinceMonotonicMs: same?.sinceMonotonicMs ?? clock.monotonicMs() };
    askedAtMs = clock.monotonicMs();
    asking = undefined;
    return known;
  };
  const read = async (): Promise<PartHealth> => {
    if (known !== undefined && clock.monotonicMs() - askedAtMs < FRESH_MS) return known;
    asking ??= ask();
    return await asking;
  };
  const latest = (): PartHealth | undefined => {
    void read();
    return known;
  };
  return { read, latest };
}

/** What the answer does not say, for it may hold an address. */
type Looked = CheckResult & { readonly error?: unknown };

function tellChange(log: Log, part: string, { state, detail, error }: Looked, beforeMs: number | undefined): void {
  if (state !== "up") log.warn({ part, state, detail, error }, "a part is not as it should be");
  else if (beforeMs !== undefined) log.info({ part, forSeconds: Math.round(beforeMs / 1_000) }, "a part is well again");
}

function bounded(check: Check["check"]): Promise<Looked> {
  return new Promise((resolve) => {
    const down = (detail: string, error?: unknown): void => resolve({ state: "down", latencyMs: CHECK_LIMIT_MS, detail, error });
    const timer = setTimeout(() => down("no answer in a second"), CHECK_LIMIT_MS);
    const failed = (error: unknown): void => down("the check failed", error);
    void Promise.resolve()
      .then(check)
      .then(resolve, failed)
      .finally(() => clearTimeout(timer));
  });
}
