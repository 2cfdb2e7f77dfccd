/** A handler that takes too long has failed: the sidecar waits for no one for ever. */

/** @throws Error when the work is not done after `timeoutMs`; it may still go on */
export async function inTime<T>(work: Promise<T>, timeoutMs = 5_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
