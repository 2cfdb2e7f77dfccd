/** The trace a request belongs to (W3C Trace Context, section 3.2): the caller's, or a new one. */

import { randomFillSync } from "node:crypto";
import { parseTraceparent } from "#src/kernel/trace-context";

const random = Buffer.alloc(4096);
let used = random.length;

/** The trace id of a `traceparent` header, or a new one of 16 random bytes when it is missing or not well formed. 32 hex digits. */
export function traceIdOf(traceparent: string | string[] | undefined): string {
  const given = parseTraceparent(traceparent)?.traceId;
  if (given !== undefined) return given;
  if (used === random.length) {
    randomFillSync(random);
    used = 0;
  }
  used += 16;
  return random.toString("hex", used - 16, used);
}
