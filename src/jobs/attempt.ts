/** One try of a job or sweep: bounded in time, cut short at shutdown, its error kept for who looks at the row. */

/**
 * Runs `work` with a signal that is aborted after `timeoutMs` or by `cutting`. Work that does not heed the signal is not
 * waited for: it may still run when this has rejected.
 */
export async function withTimeout(timeoutMs: number, cutting: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(new Error(`not done after ${timeoutMs} ms`)), timeoutMs);
  const cut = (): void => ending.abort(cutting.reason);
  cutting.addEventListener("abort", cut, { once: true });
  const ended = new Promise<never>((_resolve, reject) => {
    ending.signal.addEventListener("abort", () => reject(ending.signal.reason as Error), { once: true });
  });
  try {
    if (cutting.aborted) cut();
    await Promise.race([work(ending.signal), ended]);
  } finally {
    clearTimeout(timer);
    cutting.removeEventListener("abort", cut);
  }
}

/** For a column of text, where NUL cannot be kept. */
export function describeError(error: unknown): string {
  return String(error).replaceAll("\0", "").slice(0, 500);
}
