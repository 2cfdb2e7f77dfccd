/** How long to wait before another try. */

/**
 * Exponential, with half of it random so that those that failed together do not come back together.
 * @param attempt how many tries have failed, from 1
 * @returns milliseconds between a half and the whole of `firstMs` · 2^(attempt-1), that being at most `mostMs`
 */
export function backoffMs(
  attempt: number,
  bounds: { readonly firstMs: number; readonly mostMs: number },
  random: () => number = Math.random,
): number {
  const wholeMs = Math.min(bounds.mostMs, bounds.firstMs * 2 ** (attempt - 1));
  return wholeMs / 2 + (random() * wholeMs) / 2;
}
