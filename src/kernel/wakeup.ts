/** A pause between rounds of a loop that can be cut short. */

/** One waiter at a time: the loop that owns it. */
export interface Wakeup {
  /** Ends the pause; where there is none just now, the next one ends at once. */
  readonly wake: () => void;
  /** Resolves after `forMs`, at `wake()` or when the signal is aborted, whichever is first. Never rejects. */
  readonly pause: (forMs: number, signal: AbortSignal) => Promise<void>;
}

/** Makes the pause of one loop. */
export function createWakeup(): Wakeup {
  let woken = false;
  let end: (() => void) | undefined;
  return {
    wake: () => {
      if (end === undefined) woken = true;
      else end();
    },
    pause: (forMs, signal) =>
      new Promise((resolve) => {
        if (woken || signal.aborted) {
          woken = false;
          resolve();
          return;
        }
        end = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", stop);
          end = undefined;
          resolve();
        };
        const stop = end;
        const timer = setTimeout(stop, forMs);
        signal.addEventListener("abort", stop, { once: true });
      }),
  };
}
