/** A bound on how much runs at once. */

export interface Slots {
  /** Resolves when one is free, first come first served; rejects with the signal's reason. */
  readonly take: (signal: AbortSignal) => Promise<void>;
  readonly release: () => void;
}

/** Makes `count` slots, all free. */
export function createSlots(count: number): Slots {
  let free = count;
  const waiting = new Set<() => void>();
  return {
    take: (signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason as Error);
        if (free > 0) {
          free -= 1;
          return resolve();
        }
        const onAbort = (): void => {
          waiting.delete(grant);
          reject(signal.reason as Error);
        };
        const grant = (): void => {
          waiting.delete(grant);
          signal.removeEventListener("abort", onAbort);
          resolve();
        };
        waiting.add(grant);
        signal.addEventListener("abort", onAbort, { once: true });
      }),
    release: () => {
      const [next] = waiting;
      if (next === undefined) free += 1;
      else next();
    },
  };
}
