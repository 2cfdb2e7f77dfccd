/** Time as a dependency. The only file that may ask the machine for it. */

/** Two clocks: `now` for what people see and rows keep, `monotonicMs` for measuring how long something took. */
export interface Clock {
  /** Wall time. May jump; never used to decide how long ago something was. */
  readonly now: () => Date;
  /** Milliseconds since an arbitrary moment; never goes back and goes on while the process is stopped. */
  readonly monotonicMs: () => number;
}

/** The machine's own clocks. */
export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};

/** Resolves after `delayMs`, or rejects with the signal's reason as soon as it is aborted. The timer keeps no process alive. */
export function delay(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
