/** How a use case ended, as one word to compare. */

import { Problem } from "#src/kernel/problem";

/** `ok`, the code of the problem it refused with, or what went wrong in words. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => "ok",
    (error: unknown) => (error instanceof Problem ? error.code : String(error)),
  );
}
